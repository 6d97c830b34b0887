"""What MLflow is told of a card: parameters, curves, metrics, confusion matrices, conditions and files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avbench.records.measured import Robustness
from avbench.report.tracking_client import Client

if TYPE_CHECKING:
    from avbench.records.card import Card


def parameters(card: Card) -> dict[str, Any]:
    """Return what shaped a run, by the names that MLflow shows."""
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


def log_parameters(client: Client, run: str, values: Mapping[str, Any]) -> None:
    """Log parameters, as many in one write as MLflow takes."""
    from mlflow.entities import Param

    for some in _parts([Param(name, str(value)[:500]) for name, value in values.items()], 100):
        client.log_batch(run, params=some)


def log_measured(client: Client, run: str, card: Card, folder: Path, *, curves: bool) -> None:
    """Log all that a finished run came to; with `curves` those of its training, which were not logged as it went."""
    import pandas as pd

    if curves and (folder / "curves.csv").is_file():
        for row in pd.read_csv(folder / "curves.csv").to_dict("records"):
            log_curves(client, run, {str(k): v for k, v in row.items() if k != "epoch"}, int(row["epoch"]))
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


def _log_conditions(client: Client, run: str, name_of_run: str, found: Robustness) -> None:
    """Log each type as a curve over levels, and each condition as a child of the run with its values and strength."""
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
            log_parameters(client, child, about)
            _log_metrics(client, child, measured, 0)
            client.set_terminated(child)


def log_curves(client: Client, run: str, values: Mapping[str, float | None], epoch: int) -> None:
    """Log the values of an epoch."""
    _log_metrics(client, run, {f"curves/{name}": value for name, value in values.items()}, epoch)


def _log_metrics(client: Client, run: str, values: Mapping[str, float | None], step: int) -> None:
    """Log the values that there are; up to its last slash a name is a section of MLflow's page."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    known = {name: float(value) for name, value in values.items() if value is not None and value == value}
    for some in _parts([Metric(name, value, now, step) for name, value in known.items()], 1000):
        client.log_batch(run, metrics=some)


def _parts(values: list[Any], most: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), most):
        yield values[start : start + most]
