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

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "avbench"
_running: dict[str, tuple[MlflowClient, str]] = {}
_given_up: set[str] = set()


def switched_on() -> bool:
    """Whether runs are logged: unless the environment says AVBENCH_MLFLOW=off."""
    return os.environ.get("AVBENCH_MLFLOW", "on") != "off"


@hookimpl(trylast=True)
def avbench_run_started(card: dict[str, Any], folder: Path) -> None:
    """Open an MLflow run and log the parameters."""
    _given_up.discard(card["id"])
    if switched_on():
        with _given_up_at_once(card):
            _running[card["id"]] = _open(card, folder)


@hookimpl(trylast=True)
def avbench_epoch_ended(card: dict[str, Any], epoch: int, values: dict[str, float]) -> None:
    """Log the values of an epoch."""
    if card["id"] in _running:
        client, run = _running[card["id"]]
        with _given_up_at_once(card):
            _log_curves(client, run, values, epoch)


@hookimpl(trylast=True)  # when all is in the folder
def avbench_run_finished(card: dict[str, Any], folder: Path) -> None:
    """Log metrics, tables, figures and files, and close the run; log all of one that another process computed."""
    if card["id"] in _running:
        client, run = _running[card["id"]]
        with _given_up_at_once(card):
            _complete(client, run, card, folder, curves=bool(card["training"].get("reused")))
        del _running[card["id"]]
    elif switched_on() and card["id"] not in _given_up:
        with _given_up_at_once(card):
            log_run(card, folder)


@contextmanager
def _given_up_at_once(card: dict[str, Any]) -> Iterator[None]:
    """Try a server that is gone once, not in every epoch; say how to log the run later."""
    try:
        yield
    except Exception as error:
        _running.pop(card["id"], None)
        _given_up.add(card["id"])
        later = f"avbench report {card['id']} --to-mlflow"
        raise RuntimeError(f"this run is not logged, {later} does it later ({str(error).splitlines()[0]})") from error


def log_run(card: dict[str, Any], folder: Path) -> str:
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


def _open(card: dict[str, Any], folder: Path) -> tuple[MlflowClient, str]:
    results = folder.parents[1]
    client = _client(results)
    experiment = _experiment(client, results)
    _close_interrupted(client, experiment, card["id"])
    tags = {"mlflow.runName": card["id"], "avbench.run": card["id"], "avbench.marks": ", ".join(card["marks"])}
    if card.get("group"):
        tags["mlflow.parentRunId"] = _parent(client, experiment, card["group"])
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


def _parameters(card: dict[str, Any]) -> dict[str, Any]:
    config = card["training"].get("config", {})
    parameters = {
        "detector": card["detector"]["name"],
        "detector_version": card["detector"]["version"],
        "preset": card["detector"]["preset"],
        "protocol": card["protocol"]["name"],
        "protocol_version": card["protocol"]["version"],
        "fold": card["data"]["fold"],
        "task": card["task"],
        "seed": card["seed"],
        "device": card["device"],
        "test_digest": card["data"]["test"]["digest"],
    }
    parameters |= {f"data.{part}": card["data"][part]["title"] for part in ("train", "test") if part in card["data"]}
    parameters |= {
        f"n.{part}": card["data"][part]["n"] for part in ("train", "validation", "test") if part in card["data"]
    }
    parameters |= {f"set.{name}": value for name, value in config.get("settings", {}).items()}
    parameters |= {f"member.{member['detector']}": member["run"] for member in card.get("members", [])}
    for stage in config.get("stages", []):
        parameters |= {f"{stage['name']}.{name}": value for name, value in stage.items() if name != "name"}
    return parameters | {f"weights.{name}": sha for name, sha in card["training"].get("weights", {}).items()}


def _complete(client: MlflowClient, run: str, card: dict[str, Any], folder: Path, *, curves: bool) -> None:
    import pandas as pd

    if curves and (folder / "curves.csv").is_file():
        for row in pd.read_csv(folder / "curves.csv").to_dict("records"):
            _log_curves(client, run, {str(k): v for k, v in row.items() if k != "epoch"}, int(row["epoch"]))
    measured: dict[str, float | None] = {}
    for placement, levels in card["metrics"].items():
        for level, metrics in levels.items():
            for name, entry in metrics.items():
                low, high = entry.get("ci95") or (None, None)
                section, bounds = f"{placement}/{level}", f"{placement}/{level}_interval"
                measured |= {f"{section}/{name}": entry["value"]}
                measured |= {f"{bounds}/{name}.low": low, f"{bounds}/{name}.high": high}
        for name in ("ceilings", "blind"):
            for level, one in card.get(name, {}).get(placement, {}).items():
                measured |= {f"{placement}/{level}_{name}/{key}": one[key] for key in ("acc", "auc") if key in one}
    _log_metrics(client, run, measured, 0)
    for placement, levels in card["confusion"].items():
        for level, confusion in levels.items():
            rows = [
                {"true": label, **dict(zip(confusion["labels"], row, strict=True))}
                for label, row in zip(confusion["labels"], confusion["matrix"], strict=True)
            ]
            client.log_table(run, pd.DataFrame(rows), f"confusion/{placement}_{level}.json")
    if card.get("perturbations"):
        _log_conditions(client, run, card)
    for name in ("card.json", "scores.parquet", "curves.csv"):
        if (folder / name).is_file():
            client.log_artifact(run, str(folder / name))
    if (folder / "figures").is_dir():
        client.log_artifacts(run, str(folder / "figures"), "figures")
    client.set_terminated(run)


def _log_conditions(client: MlflowClient, run: str, card: dict[str, Any]) -> None:
    """Log each type as a curve over levels, and each condition as a child of the run with its values and strength."""
    from mlflow.entities import Param

    found = card["perturbations"]
    experiment = client.get_run(run).info.experiment_id
    for name, one in found["types"].items():
        for metric, entry in found["clean"].items():
            _log_metrics(client, run, {f"perturbed/{metric}/{name}": entry["value"]}, 0)
            _log_metrics(client, run, {f"perturbed_mean/{metric}/{name}": one["mean"][metric]["value"]}, 0)
        for level, condition in one["levels"].items():
            measured: dict[str, float | None] = dict(condition["strength"])
            for metric in found["clean"]:
                low, high = condition[metric]["ci95"] or (None, None)
                values = {metric: condition[metric]["value"], f"{metric}.low": low, f"{metric}.high": high}
                measured |= {**values, f"drop.{metric}": condition["drop"][metric]["value"]}
                _log_metrics(client, run, {f"perturbed/{metric}/{name}": condition[metric]["value"]}, int(level))
            tags = {"mlflow.runName": f"{name} {level}", "mlflow.parentRunId": run, "avbench.run": card["id"]}
            child = str(client.create_run(experiment, tags=tags).info.run_id)
            about = {"perturbation": name, "level": level, "parameter": condition["parameter"], "unit": one["unit"]}
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
