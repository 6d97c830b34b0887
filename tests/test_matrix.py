"""The matrix: trainings shared and never doubled, failures that stop nothing, runs found again, one MLflow parent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from avbench.bench import matrix
from avbench.bench.matrix import Outcome, groups, run_matrix
from avbench.bench.spec import Computing, RunSpec
from avbench.cli import main
from avbench.errors import UserError
from avbench.plugins.registry import installed
from avbench.protocol import Protocol
from avbench.records.card import Card
from avbench.records.card_parts import DetectorPart, ProtocolRecord
from avbench.records.run import Run
from avbench.records.runs import Runs
from dying import kill_after

PLUGIN = Path(__file__).with_name("small_detector.py")
ABSENT = Path(__file__).with_name("absent_detector.py")
NAMED: dict[str, Any] = {"detector": DetectorPart("small"), "protocol": ProtocolRecord("within_folder")}


def spec(detector: str, protocol: str, **changes: Any) -> RunSpec:
    """Return a binary run under a protocol of the installed datasets."""
    return RunSpec(detector=detector, protocol=installed().protocol(protocol), task="binary", **changes)


def names(group: Sequence[RunSpec]) -> list[str]:
    """Name the runs of a group."""
    return [f"{one.detector} {one.protocol.name}" for one in group]


def test_protocols_of_one_training_are_one_group() -> None:
    specs = [
        spec("chance", "within_lavdf"),
        spec("chance", "within_fakeav"),
        spec("chance", "cross_lavdf_to_fakeav"),
        spec("chance", "within_lavdf", seed=1),
        spec("chance", "within_lavdf", overrides=("epochs=1",)),
    ]
    (phase,) = groups([*specs, specs[0]], installed())
    assert [names(group) for group in phase] == [
        ["chance within_lavdf", "chance cross_lavdf_to_fakeav"],
        ["chance within_fakeav"],
        ["chance within_lavdf"],
        ["chance within_lavdf"],
    ]


def test_ensembles_come_after_their_members_which_are_trained_once() -> None:
    asked = [
        spec("lipforensics_rawgat", "within_fakeav", overrides=("epochs=2", "rawgat_st.lr=1")),
        spec("realforensics_rawgat", "within_fakeav", overrides=("epochs=2", "rawgat_st.lr=1")),
        spec("lipforensics", "within_fakeav", overrides=("epochs=2",)),
    ]
    members, joined = groups(asked, installed())
    assert sorted(name for group in members for name in names(group)) == [
        "lipforensics within_fakeav",
        "rawgat_st within_fakeav",
        "realforensics within_fakeav",
    ]
    assert [one.overrides for group in members for one in group if one.detector == "rawgat_st"] == [
        ("epochs=2", "lr=1")
    ]
    assert len(joined) == 2


def finished(runs: Path) -> dict[Path, int]:
    """Return when the card of each finished run was written."""
    cards = {path: path.stat().st_mtime_ns for path in runs.glob("*/card.json")}
    return {path: time for path, time in cards.items() if json.loads(path.read_text("utf-8"))["status"] == "finished"}


@pytest.fixture
def command(tiny: Path, tmp_path: Path) -> list[str]:
    """Return the words of a matrix of two small detectors on small videos, one of which cannot be loaded."""
    words = ["matrix", "--detector", "small", "majority", "absent", "--protocol", "within_folder", "--task", "binary"]
    words += ["--data", f"folder={tiny}", "--out", str(tmp_path / "out"), "--workers", "0", "--set", "epochs=1"]
    words += ["--jobs", "1"]
    return [*words, "--plugin", str(PLUGIN), "--plugin", str(ABSENT)]


def test_a_failed_cell_shows_its_reason_and_stops_nothing_and_repeating_does_nothing_again(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 1
    printed = capsys.readouterr().out
    assert "failed: absent" in printed and "nowhere" in printed and "2 of 3 cells finished" in printed
    assert "Majority" in printed and "Matrix" in printed
    before = finished(tmp_path / "out" / "runs")
    assert len(before) == 2
    assert main([*command, "--seed", "0", "1"]) == 1, "one more seed"
    assert "4 of 6 cells finished" in capsys.readouterr().out
    assert before.items() <= finished(tmp_path / "out" / "runs").items()


@pytest.mark.slow
def test_several_processes_give_the_same_scores_and_the_asking_one_logs_them(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVBENCH_MLFLOW", "on")
    command += ["--set", "threads=2"]  # whatever a process' share of the cores
    assert main([*command, "--no-mlflow", "--out", str(tmp_path / "one")]) == 1
    assert main([*command, "--jobs", "2", "--out", str(tmp_path / "two")]) == 1
    for card in (run.card for out in ("one", "two") for run in Runs(tmp_path / out) if run.finished):
        assert card.environment.threads == 2 and [e.threads for e in card.training.environments] == [2]
    runs = {out: sorted((tmp_path / out / "runs").glob("*/scores.parquet")) for out in ("one", "two")}
    assert [p.parent.name for p in runs["one"]] == [p.parent.name for p in runs["two"]] and len(runs["one"]) == 2
    for one, two in zip(runs["one"], runs["two"], strict=True):
        assert one.read_bytes() == two.read_bytes()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'two' / 'mlflow.db'}")
    logged = client.search_runs([e.experiment_id for e in client.search_experiments()])
    parents = [run for run in logged if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in logged if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    assert len(parents) == 1 and not (tmp_path / "one" / "mlflow.db").exists()
    assert sorted(run.info.status for run in children) == ["FAILED", "FINISHED", "FINISHED"]
    assert "nowhere" in next(r.data.tags["avbench.error"] for r in children if r.info.status == "FAILED")


def test_a_run_that_fails_in_another_process_is_told_to_mlflow_by_the_asking_one(tmp_path: Path) -> None:
    made, asked = Run(Card(id="one", **NAMED), tmp_path / "one"), spec("chance", "within_lavdf")
    failed = Run(Card(id="two", status="failed", error="no such video", **NAMED), tmp_path / "two")
    ended = [
        Outcome(spec=asked, run=made, new=True),
        Outcome(spec=asked, failed=failed, reason="no such video", new=True),
        Outcome(spec=asked, reason="it had not begun", new=True),
        Outcome(spec=asked, run=made),  # found again
    ]
    told: list[tuple[str, str]] = []
    plugins = SimpleNamespace(
        named=(), declared={}, notify=lambda hook, *, only, card, folder: told.append((hook, card.id))
    )
    place = SimpleNamespace(
        name="ray", jobs=2, computed=lambda work, chains, *, lost, begun: (group for group in [ended])
    )
    for mlflow, expected in ((True, [("avbench_run_finished", "one"), ("avbench_run_failed", "two")]), (False, [])):
        told.clear()
        shared = matrix._shared([], plugins, Computing(mlflow=mlflow), place, lambda specs: None)  # type: ignore[arg-type]
        assert list(shared) == ended and told == expected


@pytest.mark.parametrize("backend", ["ray", "dask"])
def test_a_cluster_gives_the_same_scores(command: list[str], tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    for out, more in (("one", []), ("two", ["--jobs", "2", "--backend", backend])):
        assert main([*command, "--no-mlflow", "--out", str(tmp_path / out), *more]) == 1
    runs = {out: sorted((tmp_path / out / "runs").glob("*/scores.parquet")) for out in ("one", "two")}
    assert [path.read_bytes() for path in runs["one"]] == [path.read_bytes() for path in runs["two"]]
    assert len(runs["two"]) == 2


@pytest.mark.slow
def test_a_killed_matrix_goes_on_where_it_was(command: list[str], tmp_path: Path) -> None:
    whole = [*command, "--no-mlflow", "--seed", "0", "1"]
    kill_after("avbench.bench.run:measure", 2, whole)
    runs = tmp_path / "out" / "runs"
    before = finished(runs)
    assert len(before) == 1 and len(list(runs.iterdir())) == 2, "one is finished, one has scores and no metrics yet"
    assert main(whole) == 1
    assert main([*whole, "--out", str(tmp_path / "reference")]) == 1
    for path in sorted((tmp_path / "reference" / "runs").glob("*/scores.parquet")):
        continued = runs / path.parent.name / "scores.parquet"
        assert continued.read_bytes() == path.read_bytes()
    assert before.items() <= finished(runs).items(), "what was finished is left alone"


def test_what_cannot_be_is_told_in_one_line(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["matrix"], "name --paper"),
        (["matrix", "--paper", "table9"], "table9"),
        ([*command, "--jobs", "0"], "--jobs 0"),
        ([*command, "--paper", "table1"], "name --paper"),
        ([*command, "--jobs", "2", "--backend", "rays"], "--backend rays: use one of loky, ray, dask, slurm"),
        ([*command, "--task", "four_class", "--detector", "majority"], "nothing to compute"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err


def test_a_preset_is_asked_of_detectors_that_have_a_choice(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["matrix", "--detector", "majority", "lipforensics", "--protocol", "within_folder", "--preset", "nowhere"]
    words += ["--data", f"folder={tiny}", "--out", str(tmp_path), "--workers", "0", "--jobs", "1"]
    assert main(words) == 1
    printed = capsys.readouterr().out
    assert "1 of 2 cells finished" in printed and "failed: lipforensics" in printed and "nowhere" in printed


def test_an_unknown_database_fails_its_cells_alone(tmp_path: Path) -> None:
    here = spec("majority", "within_folder")
    there = RunSpec(detector="majority", protocol=Protocol("p", 1, "folder", "folder", fold=3), task="binary")
    outcomes = run_matrix([here, there], installed(), computing=Computing(results=tmp_path))
    assert [bool(outcome.reason) for outcome in outcomes] == [True, True] and "--data" in outcomes[0].reason


def test_run_takes_an_ablation_as_its_protocol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--detector", "chance", "--protocol", "ablation_modules", "--out", str(tmp_path)]) == 2
    assert "asks for fauforensics" in capsys.readouterr().err
    with pytest.raises(UserError):
        installed().detector("ablation_modules")
