"""Runs in MLflow: one for each run of the benchmark, whatever was interrupted, failed, made anew or logged again."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avbench.errors import in_one_line
from avbench.report.tracking_card import log_parameters, parameters
from avbench.report.tracking_client import Client, keeps_own_store
from avbench.report.tracking_store import ARTIFACTS

if TYPE_CHECKING:
    from avbench.records.card import Card

log = logging.getLogger(__name__)

EXPERIMENT = "avbench"
RUN, GROUP, RESULTS, PROCESS = "avbench.run", "avbench.group", "avbench.results", "avbench.process"
ERROR, REPLACED = "avbench.error", "avbench.replaced_by"
PARENT = "mlflow.parentRunId"
_MANY = 10_000  # runs asked for at once
_LONGEST = 1000  # characters of an error; some servers refuse tags of more than 5000


def open_run(client: Client, card: Card, results: Path) -> str:
    """Open a run with the card's parameters and return its id; what earlier calls left of it unfinished is deleted."""
    experiment = _experiment(client, results)
    _close_left_behind(client, experiment)
    tags = {
        "mlflow.runName": card.id,
        RUN: card.id,
        RESULTS: str(results.resolve()),
        PROCESS: f"{os.getpid()}@{socket.gethostname()}",
        "avbench.caveats": ", ".join(card.caveats),
    }
    if card.group:
        tags[PARENT] = _parent(client, experiment, card.group)
    run = str(client.create_run(experiment, tags=tags).info.run_id)
    _replace(client, experiment, card.id, run, results, finished=False)
    log_parameters(client, run, parameters(card))
    return run


def close_finished(client: Client, run: str, card: Card, results: Path) -> None:
    """Close a run of which all is logged; what earlier calls logged of it is deleted."""
    client.set_terminated(run)
    _replace(client, client.get_run(run).info.experiment_id, card.id, run, results, finished=True)


def close_failed(client: Client, run: str, card: Card, folder: Path) -> None:
    """Close a run that came to no result, with the reason as a tag and the card as a file."""
    client.set_tag(run, ERROR, card.error[:_LONGEST])
    client.set_terminated(run, "KILLED" if card.status == "interrupted" else "FAILED")
    if (folder / "card.json").is_file():
        client.log_artifact(run, str(folder / "card.json"))


def newest(client: Client, name: str) -> str | None:
    """Return the id of the newest run of that name, None where there is none."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    found = _named(client, str(experiment.experiment_id), name) if experiment is not None else ()
    return next((str(run.info.run_id) for run in found if "perturbation" not in run.data.params), None)


def _experiment(client: Client, results: Path) -> str:
    """Return the experiment's id; one that was deleted is restored, since no other can have its name."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        from mlflow.exceptions import MlflowException

        artifacts = (results.resolve() / ARTIFACTS).as_uri() if keeps_own_store() else None
        try:
            return str(client.create_experiment(EXPERIMENT, artifact_location=artifacts))
        except MlflowException:  # another process was quicker
            found = client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _parent(client: Client, experiment: str, group: str) -> str:
    """Return the run that a group's runs are shown under; of two that two processes made, both choose the first."""
    query = {"filter_string": _is(f"tags.`{GROUP}`", group), "order_by": ["start_time ASC", "run_id ASC"]}
    if not client.search_runs([experiment], max_results=1, **query):
        made = client.create_run(experiment, tags={"mlflow.runName": group, GROUP: group}).info.run_id
        client.set_terminated(made)
    return str(client.search_runs([experiment], max_results=1, **query)[0].info.run_id)


def _close_left_behind(client: Client, experiment: str) -> None:
    """Close the runs of processes of this machine that are gone, as after a kill, of which nobody told."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=_MANY):
        if _is_gone(run):
            client.set_tag(run.info.run_id, ERROR, "its process ended without a word")
            client.set_terminated(run.info.run_id, "KILLED")


def _replace(client: Client, experiment: str, name: str, by: str, results: Path, *, finished: bool) -> None:
    """Delete what was logged of a run before: unfinished attempts, or all of it; MLflow can restore it until its `gc`.

    The runs of another results folder are left alone, and those that another process of this machine is computing.
    """
    from mlflow.exceptions import MlflowException

    here = str(results.resolve())
    for run in _named(client, experiment, name):
        mine = by in (run.info.run_id, run.data.tags.get(PARENT))
        elsewhere = not keeps_own_store() and run.data.tags.get(RESULTS, here) != here
        kept = run.info.status == "FINISHED" and not finished
        if mine or elsewhere or kept or _is_going_on(run):
            continue
        try:
            client.set_tag(run.info.run_id, REPLACED, by)
            if run.info.status == "RUNNING":
                client.set_terminated(run.info.run_id, "KILLED")
            client.delete_run(run.info.run_id)
        except MlflowException as error:  # such as a server on which nobody may delete
            log.warning("%s: what MLflow has of it from before stays there (%s)", name, in_one_line(error))
            return


def _named(client: Client, experiment: str, name: str) -> Iterator[Any]:
    """Yield the runs of a name, and those of its conditions, newest first."""
    yield from client.search_runs([experiment], _is(f"tags.`{RUN}`", name), max_results=_MANY)


def _is(key: str, value: str) -> str:
    """Return the condition of a search; MLflow knows both quotes and no way around them."""
    return f'{key} = "{value}"' if "'" in value else f"{key} = '{value}'"


def _is_going_on(run: Any) -> bool:
    """Whether another process of this machine is computing a run."""
    process, _, host = run.data.tags.get(PROCESS, "").partition("@")
    here = host == socket.gethostname() and process != str(os.getpid())
    return run.info.status == "RUNNING" and here and not _is_gone(run)


def _is_gone(run: Any) -> bool:
    """Whether the process that computed a run is known to be gone."""
    process, _, host = run.data.tags.get(PROCESS, "").partition("@")
    if host != socket.gethostname() or not process.isdigit() or os.name != "posix":
        return False
    try:
        os.kill(int(process), 0)  # asks, and sends nothing
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
