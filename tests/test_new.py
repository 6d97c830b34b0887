"""`avbench new`: each template is shipped, keeps its contract as written, and really runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from avbench.cli import main
from avbench.cli.new import FULL, KINDS
from avbench.config import resolve
from avbench.engine.building import build
from avbench.hashing import sha256
from avbench.plugins.registry import installed

ROOT = Path(__file__).resolve().parents[1]
Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Written:
    """Return a function that writes a plugin in a scratch folder and checks it as it stands."""
    monkeypatch.chdir(tmp_path)

    def write(kind: str, name: str, *more: str, checked: tuple[str, ...] = ()) -> Path:
        assert main(["new", kind, name, *more]) == 0
        path = Path("protocols", f"{name}.yaml") if kind == "protocol" else Path(f"{name}.py")
        assert f"wrote {path}; next: avbench check" in capsys.readouterr().out
        words = [str(path)] if kind == "protocol" else ["--plugin", str(path), name]
        assert main(["check", *words, *checked]) == 0
        assert "all promises kept" in capsys.readouterr().out
        return path

    return write


def card_of_newest() -> dict[str, Any]:
    """Return the newest card below ./out."""
    newest = max(Path("out", "runs").glob("*/card.json"), key=lambda path: path.stat().st_mtime_ns)
    card: dict[str, Any] = json.loads(newest.read_text("utf-8"))
    assert card["status"] == "finished"
    return card


FIXED = ("--workers", "0", "--out", "out", "--no-mlflow")


@pytest.mark.parametrize("more", [(), ("--full",)])
def test_a_detector_runs(written: Written, tiny: Path, more: tuple[str, ...]) -> None:
    name = f"new_detector{len(more)}"
    path = written("detector", name, *more)
    words = ["run", "--plugin", str(path), "--detector", name, "--protocol", "within_folder", "--task", "binary"]
    assert main([*words, "--data", f"folder={tiny}", "--set", "epochs=1", *FIXED]) == 0
    assert card_of_newest()["metrics"]["oracle"]["video"]["auc"]["n"] == 12


@pytest.mark.slow
def test_the_full_detector_learns_in_both_tasks_from_start_weights(
    written: Written, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written("detector", "new_full", "--full")
    spec = installed().detector("new_full")
    detector: Any = build(spec, resolve(spec, "binary", preset="demo"), seed=5)
    save_file(detector.video.state_dict(), "video.safetensors")
    words = ["run", "--plugin", str(path), "--detector", "new_full", "--protocol", "within_folder", *FIXED]
    words += ["--data", f"folder={tiny}", "--preset", "demo", "--set", "batch=4", "--set", "stream_loss=0.3"]
    assert main([*words, "--set", "epochs=6", "--set", "pretrained=video.safetensors"]) == 0
    cards = [json.loads(path.read_text("utf-8")) for path in Path("out", "runs").glob("*/card.json")]
    assert {card["task"] for card in cards} == {"binary", "four_class"}
    for card in cards:
        assert sha256(Path("video.safetensors")) in json.dumps(card)
        assert card["metrics"]["oracle"]["video"]["auc"]["value"] > 0.6
    save_file(detector.audio.state_dict(), "audio.safetensors")
    capsys.readouterr()
    for wrong, message in (
        ("pretrained=audio.safetensors", "new_full cannot start from this file"),
        ("width=0", "must be at least 1"),
        ("stream_loss=much", "expected a value of type float"),
    ):
        assert main([*words, "--set", wrong]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_dataset_runs(written: Written, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for person in range(8):
        (tmp_path / "files" / f"p{person}").mkdir(parents=True)
        for forgery, name in (("RARV", "real"), ("RAFV", "lips"), ("FARV", "voice"), ("FAFV", "both")):
            shutil.copy(tiny / f"person{person}_{forgery}.mp4", tmp_path / "files" / f"p{person}" / f"{name}.mp4")
    data = ("--data", "new_dataset=files")
    path = written("dataset", "new_dataset", checked=data)
    assert main(["data", "check", "new_dataset", "--plugin", str(path), *data]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    words = ["run", "--plugin", str(path), "--detector", "majority", "--protocol", "within_new_dataset"]
    assert main([*words, "--task", "binary", *data, *FIXED]) == 0
    assert card_of_newest()["counts"]["by_class"] == {"RARV": 2, "RAFV": 2, "FARV": 2, "FAFV": 2}


@pytest.mark.slow
def test_a_metric_is_in_the_card_with_an_interval(written: Written, tiny: Path) -> None:
    path = written("metric", "new_metric")
    words = ["run", "--plugin", str(path), "--detector", "chance", "--protocol", "within_folder", "--task", "binary"]
    assert main([*words, "--data", f"folder={tiny}", *FIXED]) == 0
    entry = card_of_newest()["metrics"]["oracle"]["video"]["new_metric"]
    assert 0 <= entry["value"] <= 1 and entry["n"] == 12 and len(entry["ci95"]) == 2


def test_a_perturbation_is_swept(written: Written, tiny: Path) -> None:
    path = written("perturbation", "new_perturbation")
    detector = str(ROOT / "tests" / "small_detector.py")
    words = ["perturb", "--plugin", str(path), "--plugin", detector, "--detector", "small", "--task", "binary"]
    words += ["--protocol", "within_folder", "--types", "new_perturbation", "--levels", "0", "1", "5"]
    assert main([*words, "--data", f"folder={tiny}", "--set", "epochs=1", *FIXED]) == 0
    assert "new_perturbation" in json.dumps(card_of_newest())


def test_a_protocol_is_found_by_name(written: Written, tiny: Path) -> None:
    path = written("protocol", "new_protocol")
    text = path.read_text("utf-8").replace("train: lavdf", "train: folder").replace("test: fakeav", "test: folder")
    path.write_text(text.replace("version: 1", "version: 3"), "utf-8")
    words = ["run", "--detector", "majority", "--protocol", "new_protocol", "--task", "binary"]
    assert main([*words, "--data", f"folder={tiny}", *FIXED]) == 0
    protocol = card_of_newest()["protocol"]
    assert (protocol["name"], protocol["version"], protocol["strict_identity"]) == ("new_protocol", 3, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["detector", "stage"], "Stage is imported in that file already"),
        (["detector", "video_encoder", "--full"], "VideoEncoder is imported in that file already"),
        (["metric", "mine", "--full"], "--full is for detector"),
        (["protocol", "mine", "--out", "mine.py"], "ends with .yaml"),
        (["detector", "_mine"], "no name for a detector"),
        (["dataset", "2mine"], "no name for a dataset"),
    ],
)
def test_what_cannot_be_written_is_refused(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", *words]) == 2
    assert message in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_every_template_that_is_named_is_there_and_none_beside() -> None:
    named = {kind.template for kind in (*KINDS.values(), *FULL.values())}
    there = {path.name for path in (ROOT / "avbench" / "cli" / "templates").iterdir()}
    assert {f"{name}.template" for name in named} == there
