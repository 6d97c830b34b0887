"""MLflow, as an observer of runs: each is logged as it goes, closed however it ends, and later by the same code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.errors import UserError, in_one_line
from avbench.hookspecs import hookimpl
from avbench.report.tracking_card import log_curves, log_measured
from avbench.report.tracking_client import Client, connect
from avbench.report.tracking_runs import close_failed, close_finished, newest, open_run

if TYPE_CHECKING:
    from avbench.records.card import Card

_running: dict[str, tuple[Client, str]] = {}
_given_up: set[str] = set()


def switched_on() -> bool:
    """Whether runs are logged: unless the environment says AVBENCH_MLFLOW=off."""
    return os.environ.get("AVBENCH_MLFLOW", "on") != "off"


@hookimpl(trylast=True)
def avbench_run_started(card: Card, folder: Path) -> None:
    """Open an MLflow run and log the parameters."""
    _given_up.discard(card.id)
    _running.pop(card.id, None)
    if switched_on():
        with _given_up_at_once(card):
            client = connect(_results(folder))
            _running[card.id] = client, open_run(client, card, _results(folder))


@hookimpl(trylast=True)
def avbench_epoch_ended(card: Card, epoch: int, values: dict[str, float]) -> None:
    """Log the values of an epoch."""
    if card.id in _running:
        client, run = _running[card.id]
        with _given_up_at_once(card):
            log_curves(client, run, values, epoch)


@hookimpl(trylast=True)  # when all is in the folder
def avbench_run_finished(card: Card, folder: Path) -> None:
    """Log metrics, tables, figures and files, and close the run; log all of one that another process computed."""
    if card.id in _running:
        client, run = _running.pop(card.id)
        with _given_up_at_once(card):
            log_measured(client, run, card, folder, curves=card.training.reused)
            close_finished(client, run, card, _results(folder))
    elif switched_on() and card.id not in _given_up:
        with _given_up_at_once(card):
            _log_whole(card, folder)


@hookimpl(trylast=True)
def avbench_run_failed(card: Card, folder: Path) -> None:
    """Close the run as failed, or as killed where it was interrupted, with the reason as a tag."""
    if card.id in _running:
        client, run = _running.pop(card.id)
        with _given_up_at_once(card):
            close_failed(client, run, card, folder)
    elif switched_on() and card.id not in _given_up:
        with _given_up_at_once(card):
            client = connect(_results(folder))
            close_failed(client, open_run(client, card, _results(folder)), card, folder)


@contextmanager
def _given_up_at_once(card: Card) -> Iterator[None]:
    """Try a server that is gone once, not in every epoch; say how to log the run later."""
    try:
        yield
    except Exception as error:
        _running.pop(card.id, None)
        _given_up.add(card.id)
        later = f"avbench report {card.id} --to-mlflow"
        raise RuntimeError(f"this run is not logged, {later} does it later ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """Return what went wrong in a line; what MLflow says of SQL goes on for pages."""
    return str(error) if isinstance(error, UserError) else in_one_line(error)[:200]


def log_run(card: Card, folder: Path) -> str:
    """Log a finished run afterwards, by the same code; return the MLflow run id, or raise UserError."""
    try:
        return _log_whole(card, folder)
    except Exception as error:
        raise UserError(f"{card.id} is not logged to MLflow: {_reason(error)}; repeat the command later") from error


def _log_whole(card: Card, folder: Path) -> str:
    client = connect(_results(folder))
    run = open_run(client, card, _results(folder))
    log_measured(client, run, card, folder, curves=True)
    close_finished(client, run, card, _results(folder))
    return run


def _results(folder: Path) -> Path:
    """Return the results folder of a run's."""
    return folder.resolve().parents[1]


def log_figures(name: str, folder: Path, paths: Sequence[Path]) -> bool:
    """Add figures to the newest MLflow run of the run called `name`; return whether that was done."""
    if not switched_on():
        return False
    client = connect(_results(folder))
    run = newest(client, name)
    if run is None:
        return False
    for path in paths:
        client.log_artifact(run, str(path), "figures")
    return True
