"""MLflow holds what the card holds: parameters, curves, metrics, confusion matrices, files, groups."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from avbench.cli import main
from avbench.records.card import Card
from avbench.records.card_parts import DataList, DataPart, DetectorPart, ProtocolRecord
from avbench.report import tracking

Command = Callable[..., list[str]]


def test_runs_are_logged_live_and_afterwards(
    small_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVBENCH_MLFLOW", "on")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    out = tmp_path / "results"
    assert main(small_command(out, "--task", "binary", "four_class", "--set", "epochs=2")) == 0
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("avbench")
    runs = {run.data.tags["mlflow.runName"]: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs.pop("small-within_folder")
    assert len(runs) == 2 and {run.data.params["task"] for run in runs.values()} == {"binary", "four_class"}
    for name, run in runs.items():
        card = Card.load(out / "runs" / name)
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id and run.info.status == "FINISHED"
        auc = card.headline("auc")
        assert run.data.metrics["oracle/video/auc"] == pytest.approx(auc.value)
        assert run.data.metrics["oracle/video_interval/auc.low"] == pytest.approx(auc.ci95[0])
        assert run.data.params["train.epochs"] == "2" and run.data.params["protocol"] == "within_folder"
        curve = client.get_metric_history(run.info.run_id, "curves/loss")
        assert [point.step for point in curve] == [1, 2]
        files = {item.path for item in client.list_artifacts(run.info.run_id)}
        assert {"card.json", "scores.parquet", "curves.csv", "figures", "confusion"} <= files
        assert run.info.artifact_uri.startswith((out / "mlflow-artifacts").resolve().as_uri())
    before = len(client.search_runs([experiment.experiment_id]))
    assert main(["report", next(iter(runs)), "--out", str(out), "--to-mlflow"]) == 0
    assert len(client.search_runs([experiment.experiment_id])) == before + 1


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Card, Path]:
    """Return the card and the folder of a run that starts, with MLflow on."""
    monkeypatch.setenv("AVBENCH_MLFLOW", "on")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    card = Card(
        id="small-1",
        detector=DetectorPart("small", version="1", preset="default"),
        protocol=ProtocolRecord("within_folder"),
        data=DataPart(test=DataList(title="Own files", n=4, digest="0")),
    )
    folder = tmp_path / "runs" / "small-1"
    folder.mkdir(parents=True)
    return card, folder


def test_what_a_killed_process_left_open_is_closed(started: tuple[Card, Path], tmp_path: Path) -> None:
    from mlflow import MlflowClient

    for _ in range(2):
        tracking.avbench_run_started(*started)  # as after a kill: nobody told that the first run was over
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("avbench")
    states = [run.info.status for run in client.search_runs([experiment.experiment_id], order_by=["start_time ASC"])]
    assert states == ["KILLED", "RUNNING"]


def test_a_server_that_is_gone_is_tried_once_and_briefly(
    started: tuple[Card, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    card, folder = started
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="avbench report small-1 --to-mlflow does it later"):
        tracking.avbench_run_started(card, folder)
    assert time.monotonic() - began < 30
    tracking._running[card.id] = tracking._client(folder.parents[1]), "gone"  # as if it went while training
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RuntimeError, match="does it later"):
        tracking.avbench_epoch_ended(card, 1, {"loss": 1.0})
    tracking.avbench_epoch_ended(card, 2, {"loss": 1.0})  # not tried again
    tracking.avbench_run_finished(card, folder)


def test_mlflow_being_down_costs_nothing(
    small_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVBENCH_MLFLOW", "on")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'mlflow.db'}")
    assert main(small_command(tmp_path / "results", "--set", "epochs=1")) == 0
    card = Card.load(next((tmp_path / "results" / "runs").iterdir()))
    assert card.status == "finished"
