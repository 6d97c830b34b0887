"""Whole runs on small videos: they learn, repeat byte for byte, survive kills, and judge given weights and scores."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from avbench.cli import main
from avbench.engine.state import Position, TrainingState
from avbench.records.card import Card
from avbench.records.run import Run as StoredRun
from dying import kill_after

Command = Callable[..., list[str]]
Run = Callable[..., tuple[Card, Path]]


@pytest.fixture(scope="module")
def done(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Card, Path, str]:
    """Run once for the whole module; return the results folder, the card, the run's folder and what was printed."""
    out = tmp_path_factory.mktemp("done")
    printed = io.StringIO()
    with redirect_stdout(printed):
        card, folder = small_run(out)
    return out, card, folder, printed.getvalue()


Done = tuple[Path, Card, Path, str]


def test_a_run_learns_and_leaves_everything(done: Done) -> None:
    _, card, folder, printed = done
    assert card.is_finished and card.metrics["oracle"]["video"]["auc"].value >= 0.9
    assert "Own files: 16 train videos" in printed and "Majority" in printed and "true \\ called" in printed
    for name in ("card.json", "scores.parquet", "curves.csv"):
        assert (folder / name).is_file()
    assert list((folder / "figures").glob("*.png")) and list((folder / "figures").glob("*.svg"))
    assert card.data.train.n == 16 and card.data.test.n == 12
    assert len(card.data.test.digest) == 64 and card.environment.packages["torch"]
    assert card.training.weights == {} and card.training.chosen_epoch >= 1
    assert not (folder / "parts").exists()


def test_same_seed_same_bytes_whatever_the_workers_and_other_seed_other_scores(
    small_run: Run, tmp_path: Path, done: Done
) -> None:
    reference = done[2] / "scores.parquet"
    _, two = small_run(tmp_path / "two", "--workers", "1")
    _, other = small_run(tmp_path / "other", "--seed", "5", "--set", "epochs=1")
    assert reference.read_bytes() == (two / "scores.parquet").read_bytes()
    assert not pd.read_parquet(reference)["score"].equals(pd.read_parquet(other / "scores.parquet")["score"])


def test_a_second_protocol_uses_the_training_again_and_repeating_prints(
    small_run: Run, tmp_path: Path, done: Done, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(done[0], tmp_path / "copy")
    second, folder = small_run(tmp_path / "copy", "--placement", "oracle")
    assert second.id != done[1].id and second.training.id == done[1].training.id
    assert second.training.reused and "used again" in capsys.readouterr().out
    assert len(list((tmp_path / "copy" / "trainings").iterdir())) == 1 and (folder / "curves.csv").is_file()
    before = (folder / "card.json").stat().st_mtime_ns
    small_run(tmp_path / "copy", "--placement", "oracle")
    assert "finished before" in capsys.readouterr().out and (folder / "card.json").stat().st_mtime_ns == before
    small_run(tmp_path / "copy", "--placement", "oracle", "--fresh")
    assert (folder / "card.json").stat().st_mtime_ns > before


def test_clips_may_be_pooled_in_another_way_after_the_same_training(
    small_run: Run, tmp_path: Path, done: Done, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(done[0], tmp_path / "copy")
    card, folder = small_run(tmp_path / "copy", "--set", "pooling=mean_logit")
    assert (card.detector.pooling, done[1].detector.pooling) == ("mean_logit", "mean")
    assert card.id != done[1].id and card.training.id == done[1].training.id
    run = StoredRun.read(folder)
    scored = run.scores[run.scores["score"].notna()]
    assert np.allclose(scored["logit"], np.log(scored["score"] / (1 - scored["score"]))) and not caplog.messages
    # as an earlier version wrote it
    table = pq.read_table(folder / "scores.parquet")
    pq.write_table(table.drop_columns(["logit"]), folder / "scores.parquet")
    replace(card, scores_sha256="").save(folder)
    older = StoredRun.read(folder).scores
    assert older["logit"].isna().all() and older["score"].equals(run.scores["score"])
    assert "kept no logits" in caplog.text and run.id in caplog.text


SAVE, LOADED = "avbench.engine.state:TrainingState.save", "avbench.engine.effects:Effects.note"


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        pytest.param(SAVE, 3, id="after an epoch"),
        pytest.param(LOADED, 2, id="at a batch", marks=pytest.mark.slow),
    ],
)
def test_a_kill_continues_to_the_same_scores(
    small_command: Command, small_run: Run, tmp_path: Path, done: Done, function: str, calls: int
) -> None:
    kill_after(function, calls, small_command(tmp_path))
    states = [json.loads(path.read_text())["status"] for path in tmp_path.glob("runs/*/card.json")]
    assert states == ["running"] and bool(list(tmp_path.glob("runs/*/parts"))) == (function == LOADED)
    _, continued = small_run(tmp_path)
    assert (continued / "scores.parquet").read_bytes() == (done[2] / "scores.parquet").read_bytes()


def test_a_kill_inside_an_epoch_continues_to_the_same_scores(
    small_command: Command, small_run: Run, tmp_path: Path, done: Done
) -> None:
    at_each_step = {"avbench.engine.loop:SAVE_SECONDS": 0.0}  # of two an epoch
    kill_after(SAVE, 9, small_command(tmp_path), at_each_step)
    state = TrainingState.load(next((tmp_path / "trainings").iterdir()))
    assert state is not None and state.position == Position(0, 4, 1)
    _, continued = small_run(tmp_path)
    for name in ("scores.parquet", "curves.csv"):
        assert (continued / name).read_bytes() == (done[2] / name).read_bytes()


def test_given_weights_are_judged_and_what_does_not_fit_is_refused(
    small_command: Command, small_run: Run, tmp_path: Path, done: Done, capsys: pytest.CaptureFixture[str]
) -> None:
    out, trained, folder, _ = done
    weights = next((out / "trainings").glob("*/weights.safetensors"))
    judged, again = small_run(tmp_path / "judged", "--checkpoint", str(weights))
    assert judged.training.trained_on.digest == trained.data.train.digest
    assert (again / "scores.parquet").exists() and not (tmp_path / "judged" / "trainings").exists()
    left, right = (pd.read_parquet(f / "scores.parquet") for f in (folder, again))
    assert left["score"].equals(right["score"])
    assert main([*small_command(tmp_path / "no"), "--task", "four_class", "--checkpoint", str(weights)]) == 2
    assert "does not fit small" in capsys.readouterr().err
    bad = tmp_path / "bad.pt"
    bad.write_bytes(b"not weights")
    assert main(small_command(tmp_path / "no", "--checkpoint", str(bad))) == 2


def test_list_goes_out_and_scores_come_back(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "test.csv"
    data = ["--data", f"folder={tiny}"]
    assert main(["export-list", "within_folder", *data, "--out", str(listed)]) == 0
    rows = pd.read_csv(listed)
    assert list(rows.columns[:7]) == ["id", "path", "label", "forgery", "identity", "method", "split"]
    assert list(rows.columns[7:]) == ["clip_start", "clip_end", "fake_start", "fake_end"] and len(rows) == 12
    assert (rows["clip_end"] - rows["clip_start"]).between(0.9, 1.0 + 1e-6).all() and rows["clip_start"].ge(0).all()
    assert all(Path(p).is_absolute() for p in rows["path"])
    assert (rows["label"] == (rows["forgery"] != "RARV")).all() and all(Path(p).is_file() for p in rows["path"])
    rows["score"] = rows["label"] * 0.8 + 0.1
    rows[["id", "score"]].to_csv(tmp_path / "scores.csv", index=False)
    judge = ["evaluate", "--scores", str(tmp_path / "scores.csv"), "--protocol", "within_folder", *data]
    judge += ["--name", "mine", "--out", str(tmp_path)]
    assert main(judge) == 0
    card = Card.load(next((tmp_path / "runs").iterdir()))
    assert card.metrics["oracle"]["video"]["auc"].value == 1.0 and card.caveats == ("external", "few clusters")
    assert main([*judge, "--limit", "4"]) == 2 and "not in the test list" in capsys.readouterr().err
    assert main([*judge, "--name", "my/net"]) == 2 and "cannot name a folder" in capsys.readouterr().err
    assert main([*judge, "--fold", "all"]) == 2 and "of one fold" in capsys.readouterr().err
    rows[["id", "score"]].iloc[1:].to_csv(tmp_path / "scores.csv", index=False)
    capsys.readouterr()
    assert main(judge) == 2 and "missing" in capsys.readouterr().err


def test_corrupt_files_are_rows_with_a_reason_and_too_many_stop_the_run(
    small_command: Command, small_run: Run, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny, data)
    (data / "person6_RAFV.mp4").write_bytes(b"broken")
    card, folder = small_run(tmp_path / "one", "--set", "epochs=1", data=data)
    table = pd.read_parquet(folder / "scores.parquet")
    broken = table[table["reason"] != ""]
    assert set(broken["id"]) == {"person6_RAFV.mp4"} and broken["score"].isna().all()
    assert card.counts.reasons == {"unreadable": 1} and card.counts.scored == 11
    for path in data.glob("person[567]*.mp4"):
        path.write_bytes(b"broken")
    assert main(small_command(tmp_path / "all", data=data)) == 2
    assert "--max-errors" in capsys.readouterr().err
