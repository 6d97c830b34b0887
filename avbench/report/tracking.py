"""MLflow, as an observer of runs: parameters, curves, metrics, confusion matrices and files of every card."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avbench.hookspecs import hookimpl
from avbench.records.measured import Robustness

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from avbench.records.card import Card

EXPERIMENT = "avbench"
_running: dict[str, tuple[MlflowClient, str]] = {}
_given_up: set[str] = set()


def switched_on() -> bool:
    """Whether runs are logged: unless the environment says AVBENCH_MLFLOW=off."""
    return os.environ.get("AVBENCH_MLFLOW", "on") != "off"


@hookimpl(trylast=True)
def avbench_run_started(card: Card, folder: Path) -> None:
    """Open an MLflow run and log the parameters."""
    _given_up.discard(card.id)
    if switched_on():
        with _given_up_at_once(card):
            _running[card.id] = _open(card, folder)


@hookimpl(trylast=True)
def avbench_epoch_ended(card: Card, epoch: int, values: dict[str, float]) -> None:
    """Log the values of an epoch."""
    if card.id in _running:
        client, run = _running[card.id]
        with _given_up_at_once(card):
            _log_curves(client, run, values, epoch)


@hookimpl(trylast=True)  # when all is in the folder
def avbench_run_finished(card: Card, folder: Path) -> None:
    """Log metrics, tables, figures and files, and close the run; log all of one that another process computed."""
    if card.id in _running:
        client, run = _running[card.id]
        with _given_up_at_once(card):
            _complete(client, run, card, folder, curves=card.training.reused)
        del _running[card.id]
    elif switched_on() and card.id not in _given_up:
        with _given_up_at_once(card):
            log_run(card, folder)


@contextmanager
def _given_up_at_once(card: Card) -> Iterator[None]:
    """Try a server that is gone once, not in every epoch; say how to log the run later."""
    try:
        yield
    except Exception as error:
        _running.pop(card.id, None)
        _given_up.add(card.id)
        later = f"avbench report {card.id} --to-mlflow"
        raise RuntimeError(f"this run is not logged, {later} does it later ({str(error).splitlines()[0]})") from error


def log_run(card: Card, folder: Path) -> str:
    """Log a finished run afterwards, by the same code; return the MLflow run id."""
    client, run = _open(card, folder)
    _complete(client, run, card, folder, curves=True)
    return run


def log_figures(name: str, folder: Path, paths: Sequence[Path]) -> bool:
    """Add figures to the newest MLflow run of the run called `name`; return whether that was done."""
    if not switched_on():
        return False
    client = _client(folder.resolve().parents[1])
    experiment = client.get_experiment_by_name(EXPERIMENT)
    found = experiment and client.search_runs(
        [experiment.experiment_id], f"tags.`avbench.run` = '{name}'", max_results=1
    )
    for path in paths if found else ():
        client.log_artifact(found[0].info.run_id, str(path), "figures")
    return bool(found)


def _client(results: Path) -> MlflowClient:
    """Return a client of MLFLOW_TRACKING_URI, else of a sqlite store in the results folder."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # its own 7 are four minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    from mlflow import MlflowClient

    for chatty in ("mlflow", "alembic"):  # they would tell of every table they make
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # and this one of every attempt
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results.resolve() / 'mlflow.db'}"
    return MlflowClient(tracking_uri=uri)


def _experiment(client: MlflowClient, results: Path) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    own_store = not os.environ.get("MLFLOW_TRACKING_URI")
    artifacts = (results.resolve() / "mlflow-artifacts").as_uri() if own_store else None
    return str(client.create_experiment(EXPERIMENT, artifact_location=artifacts))


def _open(card: Card, folder: Path) -> tuple[MlflowClient, str]:
    results = folder.parents[1]
    client = _client(results)
    experiment = _experiment(client, results)
    _close_interrupted(client, experiment, card.id)
    tags = {"mlflow.runName": card.id, "avbench.run": card.id, "avbench.caveats": ", ".join(card.caveats)}
    if card.group:
        tags["mlflow.parentRunId"] = _parent(client, experiment, card.group)
    run = str(client.create_run(experiment, tags=tags).info.run_id)
    from mlflow.entities import Param

    client.log_batch(run, params=[Param(name, str(value)[:500]) for name, value in _parameters(card).items()])
    return client, run


def _close_interrupted(client: MlflowClient, experiment: str, name: str) -> None:
    """Close the runs that an earlier, killed process left open; this one goes on in a run of its own."""
    for run in client.search_runs([experiment], f"tags.`avbench.run` = '{name}' and attributes.status = 'RUNNING'"):
        client.set_terminated(run.info.run_id, "KILLED")


def _parent(client: MlflowClient, experiment: str, group: str) -> str:
    found = client.search_runs([experiment], f"tags.`avbench.group` = '{group}'", max_results=1)
    if found:
        return str(found[0].info.run_id)
    parent = client.create_run(experiment, tags={"mlflow.runName": group, "avbench.group": group})
    client.set_terminated(parent.info.run_id)
    return str(parent.info.run_id)


def _parameters(card: Card) -> dict[str, Any]:
    config, lists = card.training.config, card.data.lists()
    parameters = {
        "detector": card.detector.name,
        "detector_version": card.detector.version,
        "preset": card.detector.preset,
        "protocol": card.protocol.name,
        "protocol_version": card.protocol.version,
        "fold": card.data.fold,
        "task": card.task,
        "seed": card.seed,
        "device": card.device,
        "test_digest": card.data.test.digest if card.data.test is not None else "",
    }
    parameters |= {f"data.{part}": lists[part].title for part in ("train", "test") if part in lists}
    parameters |= {f"n.{part}": one.n for part, one in lists.items()}
    parameters |= {f"set.{name}": value for name, value in config.get("settings", {}).items()}
    parameters |= {f"member.{member.detector}": member.run for member in card.members}
    for stage in config.get("stages", []):
        parameters |= {f"{stage['name']}.{name}": value for name, value in stage.items() if name != "name"}
    return parameters | {f"weights.{name}": sha for name, sha in card.training.weights.items()}


def _complete(client: MlflowClient, run: str, card: Card, folder: Path, *, curves: bool) -> None:
    import pandas as pd

    if curves and (folder / "curves.csv").is_file():
        for row in pd.read_csv(folder / "curves.csv").to_dict("records"):
            _log_curves(client, run, {str(k): v for k, v in row.items() if k != "epoch"}, int(row["epoch"]))
    measured: dict[str, float | None] = {}
    for setting in card.settings():
        section = "/".join(setting)
        for name, entry in card.metrics_at(setting).items():
            low, high = entry.ci95 or (None, None)
            measured |= {f"{section}/{name}": entry.value}
            measured |= {f"{section}_interval/{name}.low": low, f"{section}_interval/{name}.high": high}
        if ceiling := card.ceilings.get(setting.placement, {}).get(setting.granularity):
            measured |= {f"{section}_ceilings/acc": ceiling.acc, f"{section}_ceilings/auc": ceiling.auc}
        if blind := card.blind.get(setting.placement, {}).get(setting.granularity):
            measured |= {f"{section}_blind/auc": blind.auc}
    _log_metrics(client, run, measured, 0)
    for placement, found in card.confusion.items():
        for granularity, confusion in found.items():
            rows = [
                {"true": label, **dict(zip(confusion.labels, row, strict=True))}
                for label, row in zip(confusion.labels, confusion.matrix, strict=True)
            ]
            client.log_table(run, pd.DataFrame(rows), f"confusion/{placement}_{granularity}.json")
    if card.perturbations is not None:
        _log_conditions(client, run, card.id, card.perturbations)
    for name in ("card.json", "scores.parquet", "curves.csv"):
        if (folder / name).is_file():
            client.log_artifact(run, str(folder / name))
    if (folder / "figures").is_dir():
        client.log_artifacts(run, str(folder / "figures"), "figures")
    client.set_terminated(run)


def _log_conditions(client: MlflowClient, run: str, name_of_run: str, found: Robustness) -> None:
    """Log each type as a curve over levels, and each condition as a child of the run with its values and strength."""
    from mlflow.entities import Param

    experiment = client.get_run(run).info.experiment_id
    for name, one in found.types.items():
        for metric, entry in found.clean.items():
            _log_metrics(client, run, {f"perturbed/{metric}/{name}": entry.value}, 0)
            _log_metrics(client, run, {f"perturbed_mean/{metric}/{name}": one.mean[metric].value}, 0)
        for level, condition in one.levels.items():
            strength = condition.strength
            measured: dict[str, float | None] = {"clips": strength.clips, "unchanged": strength.unchanged}
            measured |= strength.medians()
            for metric in found.clean:
                at_level = condition.metrics[metric]
                low, high = at_level.ci95 or (None, None)
                values = {metric: at_level.value, f"{metric}.low": low, f"{metric}.high": high}
                measured |= {**values, f"drop.{metric}": condition.drop[metric].value}
                _log_metrics(client, run, {f"perturbed/{metric}/{name}": at_level.value}, level)
            tags = {"mlflow.runName": f"{name} {level}", "mlflow.parentRunId": run, "avbench.run": name_of_run}
            child = str(client.create_run(experiment, tags=tags).info.run_id)
            about = {"perturbation": name, "level": level, "parameter": condition.parameter, "unit": one.unit}
            client.log_batch(child, params=[Param(key, str(value)) for key, value in about.items()])
            _log_metrics(client, child, measured, 0)
            client.set_terminated(child)


def _log_curves(client: MlflowClient, run: str, values: Mapping[str, float | None], epoch: int) -> None:
    _log_metrics(client, run, {f"curves/{name}": value for name, value in values.items()}, epoch)


def _log_metrics(client: MlflowClient, run: str, values: Mapping[str, float | None], step: int) -> None:
    """Log the values that there are in one write; up to its last slash a name is a section of MLflow's page."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    known = {name: float(value) for name, value in values.items() if value is not None and value == value}
    client.log_batch(run, metrics=[Metric(name, value, now, step) for name, value in known.items()])
