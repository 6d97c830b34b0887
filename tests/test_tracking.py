"""MLflow holds what the card holds: parameters, curves, metrics, confusion matrices, files, groups."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn

import pytest

from avbench.bench.scoring import DetectorScorer
from avbench.cli import main
from avbench.records.card import Card
from avbench.records.card_parts import DataList, DataPart, DetectorPart, ProtocolRecord
from avbench.report import tracking
from avbench.report.tracking_client import Client, connect

Command = Callable[..., list[str]]
QUICK = ("--workers", "0")  # processes take seconds to start


def test_runs_are_logged_live_and_afterwards(
    small_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVBENCH_MLFLOW", "on")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    out = tmp_path / "results"
    assert main(small_command(out, "--task", "binary", "four_class", "--set", "epochs=2", *QUICK)) == 0
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

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
    name = next(iter(runs))
    assert main(["report", name, "--out", str(out), "--to-mlflow"]) == 0
    after = client.search_runs([experiment.experiment_id])
    assert len(after) == 3, "what is logged again takes the place of what was"
    (again,) = [run for run in after if run.data.tags["mlflow.runName"] == name]
    (replaced,) = client.search_runs([experiment.experiment_id], run_view_type=ViewType.DELETED_ONLY)
    assert replaced.info.run_id == runs[name].info.run_id != again.info.run_id
    assert replaced.data.tags["avbench.replaced_by"] == again.info.run_id
    assert again.data.metrics == runs[name].data.metrics


@pytest.fixture
def started(mlflow_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Card, Path]:
    """Return the card and the folder of a run that starts, with MLflow on."""
    monkeypatch.setenv("AVBENCH_MLFLOW", "on")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tracking, "_running", {})
    monkeypatch.setattr(tracking, "_given_up", set())
    shutil.copy(mlflow_store, tmp_path / "mlflow.db")
    card = Card(
        id="small-1",
        detector=DetectorPart("small", version="1", preset="default"),
        protocol=ProtocolRecord("within_folder"),
        data=DataPart(test=DataList(title="Own files", n=4, digest="0")),
    )
    folder = tmp_path / "runs" / "small-1"
    folder.mkdir(parents=True)
    return card, folder


def logged(results: Path, view: int | None = None) -> list[Any]:
    """Return the runs of a results folder's store, oldest first."""
    client = connect(results)
    experiment = client.get_experiment_by_name("avbench").experiment_id
    order = {"order_by": ["start_time ASC"]} | ({} if view is None else {"run_view_type": view})
    return list(client.search_runs([experiment], **order))


def ended_elsewhere() -> str:
    """Return what a run's tag says of a process of this machine that is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return f"{process.pid}@{socket.gethostname()}"


def test_what_a_killed_process_left_open_is_closed(started: tuple[Card, Path], tmp_path: Path) -> None:
    from mlflow.entities import ViewType

    card, folder = started
    other = replace(card, id="other-1")
    for one in (card, other):
        tracking.avbench_run_started(one, folder)
    client = connect(tmp_path)
    for run in logged(tmp_path):
        client.set_tag(run.info.run_id, "avbench.process", ended_elsewhere())
    tracking.avbench_run_started(card, folder)  # as after a kill: nobody told that the first ones were over
    found = [(run.data.tags["avbench.run"], run.info.status) for run in logged(tmp_path)]
    assert found == [("other-1", "KILLED"), ("small-1", "RUNNING")]
    assert logged(tmp_path)[0].data.tags["avbench.error"] == "its process ended without a word"
    assert [run.info.status for run in logged(tmp_path, ViewType.DELETED_ONLY)] == ["KILLED"]


def test_what_another_process_is_computing_is_left_alone(started: tuple[Card, Path], tmp_path: Path) -> None:
    tracking.avbench_run_started(*started)
    (run,) = logged(tmp_path)
    connect(tmp_path).set_tag(run.info.run_id, "avbench.process", f"{os.getppid()}@{socket.gethostname()}")
    tracking.avbench_run_started(*started)
    assert [one.info.status for one in logged(tmp_path)] == ["RUNNING", "RUNNING"]


@pytest.mark.slow
def test_a_run_is_one_run_in_mlflow_however_it_ended_before(
    small_command: Command,
    started: tuple[Card, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mlflow.entities import ViewType

    command = small_command(tmp_path, "--set", "epochs=1", *QUICK)
    for error, status in ((RuntimeError("the sky fell"), "FAILED"), (KeyboardInterrupt(), "KILLED")):

        def score(self: DetectorScorer, *given: object, error: BaseException = error) -> NoReturn:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(DetectorScorer, "score", score)
            with suppress(KeyboardInterrupt, RuntimeError):
                assert main(command) != 0
        (run,) = logged(tmp_path)
        assert run.info.status == status and type(error).__name__ in run.data.tags["avbench.error"]
        files = {item.path for item in connect(tmp_path).list_artifacts(run.info.run_id)}
        assert files == {"card.json"} and run.data.params["task"] == "binary"
    assert main(command) == 0 and main([*command, "--fresh"]) == 0
    (run,) = logged(tmp_path)
    assert run.info.status == "FINISHED" and "avbench.error" not in run.data.tags
    assert len(logged(tmp_path, ViewType.DELETED_ONLY)) == 3
    card = Card.load(tmp_path / "runs" / run.data.tags["avbench.run"])
    assert run.data.metrics["oracle/video/auc"] == pytest.approx(card.headline("auc").value)
    connect(tmp_path).delete_experiment(run.info.experiment_id)
    capsys.readouterr()
    assert main(["report", "--out", str(tmp_path), "--to-mlflow"]) == 0 and "MLflow run" in capsys.readouterr().out
    (tmp_path / "mlflow.db").write_bytes(b"")
    assert main(["report", "--out", str(tmp_path), "--to-mlflow"]) == 0
    (run,) = logged(tmp_path)
    assert run.info.status == "FINISHED" and len(list(tmp_path.glob("mlflow-aside-*.db"))) == 1


def test_a_run_that_another_process_failed_to_compute_is_logged(started: tuple[Card, Path], tmp_path: Path) -> None:
    card, folder = started
    failed = replace(card, status="failed", error="UserError: no such video " + "a" * 9000, group="bob's")
    tracking.avbench_run_failed(failed, folder)
    parent, run = logged(tmp_path)
    assert run.info.status == "FAILED" and run.data.tags["avbench.error"].startswith("UserError: no such video aa")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id


def answer(kind: str, server: socket.socket) -> None:
    """Take connections and answer as a bad server does."""
    pauses = b"HTTP/1.1 503 Busy\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n"
    taken = []  # a connection that is forgotten is closed
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            taken.append(connection)
            if kind == "asks for a pause":
                connection.sendall(pauses)
            elif kind == "byte by byte":
                Thread(target=drip, args=(connection,), daemon=True).start()


def drip(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.5)


@pytest.mark.parametrize(
    "kind",
    [
        "never answers",
        pytest.param("refuses", marks=pytest.mark.slow),
        pytest.param("asks for a pause", marks=pytest.mark.slow),
        pytest.param("byte by byte", marks=pytest.mark.slow),
    ],
)
def test_a_server_that_hangs_or_is_gone_is_tried_once_and_briefly(
    kind: str, started: tuple[Card, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card, folder = started
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        if kind == "refuses":
            server.close()
        else:
            Thread(target=answer, args=(kind, server), daemon=True).start()
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        began = time.monotonic()
        with pytest.raises(RuntimeError, match="avbench report small-1 --to-mlflow does it later"):
            tracking.avbench_run_started(card, folder)
        assert time.monotonic() - began < 13
        began = time.monotonic()
        tracking.avbench_epoch_ended(card, 1, {"loss": 1.0})
        tracking.avbench_run_finished(card, folder)
        tracking.avbench_run_failed(card, folder)
        assert time.monotonic() - began < 0.5, "not tried again"


def test_a_server_that_goes_while_a_run_trains_is_tried_once(started: tuple[Card, Path], tmp_path: Path) -> None:
    card, folder = started
    tracking.avbench_run_started(card, folder)
    client, _ = tracking._running[card.id]
    calls: list[str] = []

    class Gone:
        def __getattr__(self, name: str) -> NoReturn:
            calls.append(name)
            raise ConnectionError

    client._client = Gone()
    with pytest.raises(RuntimeError, match=r"does it later \(ConnectionError: no message\)"):
        tracking.avbench_epoch_ended(card, 1, {"loss": 1.0})
    tracking.avbench_epoch_ended(card, 2, {"loss": 1.0})
    tracking.avbench_run_finished(card, folder)
    assert len(calls) == 1


def test_calls_share_one_patience() -> None:
    class Slow:
        def wait(self, seconds: float) -> float:
            time.sleep(seconds)
            return seconds

    client = Client(Slow, 0.6, "http://slow")  # type: ignore[arg-type]
    began = time.monotonic()
    assert client.wait(0.1) == 0.1 and client.wait(1.3) == 1.3
    with pytest.raises(TimeoutError, match="http://slow kept it waiting"):
        client.wait(30)
    assert time.monotonic() - began < 4


def test_figures_are_added_to_the_run_and_not_to_one_of_its_conditions(
    started: tuple[Card, Path], tmp_path: Path
) -> None:
    card, folder = started
    tracking.avbench_run_started(card, folder)
    (run,) = logged(tmp_path)
    client = connect(tmp_path)
    condition = client.create_run(run.info.experiment_id, tags={"avbench.run": card.id}).info.run_id
    client.log_param(condition, "perturbation", "blur")
    (tmp_path / "drawn.svg").write_text("<svg/>", "utf-8")
    assert tracking.log_figures(card.id, folder, [tmp_path / "drawn.svg"])
    assert [file.path for file in client.list_artifacts(run.info.run_id, "figures")] == ["figures/drawn.svg"]
    assert not tracking.log_figures("nobody", folder, [tmp_path / "drawn.svg"])


def test_mlflow_being_down_costs_nothing(
    small_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AVBENCH_MLFLOW", "on")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}")
    (tmp_path / "file").write_text("no folder", "utf-8")
    assert main(small_command(tmp_path / "results", "--set", "epochs=1", *QUICK)) == 0
    assert "this run is not logged" in caplog.text
    card = Card.load(next((tmp_path / "results" / "runs").iterdir()))
    assert card.status == "finished"
