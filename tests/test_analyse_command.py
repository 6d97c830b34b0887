"""`avbench analyse` from end to end, its one-line errors, and what FauForensics gives it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from avbench.bench.contract import random_batch
from avbench.cli import main
from building import build_detector

TINY = (
    "clip.frames=10",
    "clip.audio_samples=6400",
    "clip.size=64",
    "input_size=32",
    "csn_width=4",
    "width=32",
    "audio_state=32",
    "audio_layers=1",
    "whisper_weights=random",
    "csn_weights=random",
    "freeze_encoders=false",
    "query_gain=1",
)
Command = Callable[..., list[str]]
PLUGIN = str(Path(__file__).with_name("telling_detector.py"))


@pytest.fixture(scope="module")
def told(small_command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of the telling detector."""
    out = tmp_path_factory.mktemp("telling")
    assert main(small_command(out, "--detector", "telling", "--plugin", PLUGIN, "--task", "four_class")) == 0
    return next((out / "runs").iterdir())


def analyse(figure: str, run: Path, *more: str) -> int:
    return main(["analyse", figure, "--run", str(run), "--plugin", PLUGIN, "--workers", "0", "--device", "cpu", *more])


def test_correlation_reads_the_units_of_every_test_video(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyse("correlation", told) == 0
    written = told / "figures" / "analysis_correlation.csv"
    assert str(written) in capsys.readouterr().out and written.with_suffix(".svg").is_file()
    table = pd.read_csv(written)
    assert len(table) == 12 and set(table["class"]) == {"RARV", "RAFV", "FARV", "FAFV"} and "lag_9" in table
    assert table["intensity"].between(-1, 1).all()


def test_tsne_takes_several_runs(told: Path) -> None:
    assert analyse("tsne", told, "--run", str(told), "--perplexity", "3") == 0
    (written,) = (told / "figures").glob("analysis_tsne*.csv")
    assert len(pd.read_csv(written)) == 24 and written.with_suffix(".png").is_file()


def test_attention_is_of_the_clip_that_was_judged(told: Path) -> None:
    assert analyse("attention", told, "--video", "person6_RAFV.mp4") == 0
    table = pd.read_csv(told / "figures" / "analysis_attention_person6-RAFV.csv")
    matrix = table["value"].to_numpy().reshape(10, 10)
    assert np.allclose(matrix, matrix.T, atol=1e-6) and np.allclose(matrix.diagonal(), 1, atol=1e-6)


def test_phonemes_come_from_files(told: Path, tmp_path: Path) -> None:
    (tmp_path / "all.ctm").write_text("any 1 0.1 0.2 p\nany 1 0.3 0.3 u\n", "utf-8")
    rows = "\n".join(f"{k / 25}, 1, {k % 5}" for k in range(30))
    (tmp_path / "all.csv").write_text(f"timestamp, success, AU25_r\n{rows}\n", "utf-8")
    given = ("--phonemes", str(tmp_path / "all.ctm"), "--units", str(tmp_path / "all.csv"))
    assert analyse("phonemes", told, "--video", "person6_RARV.mp4", *given, "--seconds", "0.6") == 0
    table = pd.read_csv(told / "figures" / "analysis_phonemes_person6-RARV.csv", keep_default_na=False)
    assert list(table["class"].unique()) == ["RARV", "RAFV", "FARV", "FAFV"] and set(table["phoneme"]) == {"", "p", "u"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["correlation", "--units", "au"], "no frame-level truth of dataset folder called 'au'"),
        (["correlation", "--limit", "0"], "--limit 0: use 1 or more"),
        (["tsne", "--limit", "4"], "4 clips: t-SNE takes at least 8"),
        (["tsne", "--perplexity", "0"], "--perplexity is above 0"),
        (["attention"], "attention draws one video: name it with --video"),
        (["attention", "--video", "nobody.mp4"], "--video nobody.mp4: no such video"),
        (["attention", "--video", "RAFV.mp4"], "8 videos of .* are called like that"),
        (["phonemes", "--video", "person6_RARV.mp4"], "--units"),
        (["tsne", "--run", "twice"], "no run called 'twice'"),
        (["correlation", "--run", "twice"], "--run is given 2 times; correlation draws one run"),
    ],
)
def test_errors_are_one_line(words: list[str], message: str, told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyse(words[0], told, *words[1:]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("avbench: error: ")
    assert pd.Series([last]).str.contains(message).all(), last


def test_a_detector_without_features_is_told(
    small_run: Callable[..., tuple[object, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder = small_run(tmp_path / "results", "--set", "epochs=1")
    assert analyse("tsne", folder) == 2
    assert "detector small gives no features to analyse" in capsys.readouterr().err


@pytest.mark.slow
def test_figures_are_logged_to_the_run_in_mlflow(told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("AVBENCH_MLFLOW", "on")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    client = MlflowClient(store)
    experiment = client.create_experiment("avbench", artifact_location=(tmp_path / "artifacts").as_uri())
    run = client.create_run(experiment, tags={"avbench.run": told.name}).info.run_id
    assert analyse("correlation", told) == 0
    logged = {file.path for file in client.list_artifacts(run, "figures")}
    assert logged == {f"figures/analysis_correlation.{kind}" for kind in ("png", "svg", "csv")}


def test_mlflow_being_down_costs_nothing(
    told: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AVBENCH_MLFLOW", "on")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert analyse("correlation", told) == 0 and "not logged to MLflow" in caplog.text


build = partial(build_detector, "fauforensics", *TINY, task="four_class")


@pytest.mark.parametrize("rows", ["video", "audio"])
def test_fauforensics_gives_what_its_heads_read(rows: str) -> None:
    detector = build(f"joint_rows={rows}").eval()
    batch = random_batch(detector.config.clip, 2)
    with torch.inference_mode():
        found, output = detector.features(batch), detector(batch)
        logits = detector.network.mlp_joint(found["joint"])
        heard = detector.network.mlp_a(found["attention/audio/audio"].flatten(1))
    assert torch.allclose(logits, output.logits, atol=1e-5) and torch.allclose(heard, output.aux["audio"], atol=1e-5)
    columns = {"video": "audio", "audio": "video"}[rows]
    assert torch.equal(found[f"attention/{rows}/{columns}"].flatten(1), found["joint"])
    assert found["units"].shape[:2] == (2, 10) and found["attention/video/video"].shape == (2, 10, 10)


def test_fauforensics_gives_what_there_is() -> None:
    batch_of = {}
    for switches in (("use_fau=false",), ("use_tap=false",), ("use_audio=false",)):
        detector = build(*switches).eval()
        with torch.inference_mode():
            batch_of[switches[0]] = detector.features(random_batch(detector.config.clip, 2))
    assert "units" not in batch_of["use_fau=false"]
    assert set(batch_of["use_tap=false"]) == {"units", "joint"} and batch_of["use_tap=false"]["joint"].shape == (2, 64)
    assert set(batch_of["use_audio=false"]) == {"units", "joint", "attention/video/video"}
