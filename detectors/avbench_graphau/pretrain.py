"""A pre-training from the request to the card: data, plan, both stages, F1 on people never seen, the encoder's file."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import save_file

from avbench.bench.card import environment
from avbench.config import Config, resolve
from avbench.data import databases, splits
from avbench.data.annotations import read as read_series
from avbench.data.databases import Database
from avbench.data.loading import Loading
from avbench.detector import Detector
from avbench.engine import checkpoint
from avbench.engine.devices import describe, make_fabric
from avbench.engine.failures import FailureBudget
from avbench.engine.plan import TrainingPlan, build
from avbench.engine.ranks import leads
from avbench.engine.training import fit
from avbench.errors import UserError
from avbench.hashing import digest_of, sha256
from avbench.media import reading as media
from avbench.paths import atomic_write, results_folder
from avbench.plugins import weights
from avbench.plugins.registry import Plugins
from avbench.progress import Progress, made_with, silent
from avbench.records import card as cards
from avbench.records.training import CURVES, WEIGHTS
from avbench.references import load_object
from avbench.types import AnnotationSpec, Forgery, MediaError, Sample
from avbench_graphau import measure
from avbench_graphau.figure import draw
from avbench_graphau.loss import weights_of_rates
from avbench_graphau.recipe import SPEC, TARGET

FOLDER, ENCODER, SCORES = "pretrainings", "encoder.safetensors", "f1.csv"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be pre-trained on which data, and how; `stage` is "anfl", "mefl" or "both"."""

    dataset: str
    fold: int = 1
    stage: str = "both"
    seed: int = 0
    roots: Mapping[str, Path] = field(default_factory=dict)
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    limit: int | None = None
    device: str = "auto"
    results: Path | None = None
    fresh: bool = False
    loading: Loading = Loading()


def pretrain(
    request: Request, plugins: Plugins, *, progress: Progress = silent, say: Say = lambda line: None
) -> tuple[dict[str, Any], Path]:
    """Pre-train, or return the card of what is finished; an interrupted one goes on. Return the card and its folder.

    The folder holds encoder.safetensors under the published names, f1.csv, curves.csv, figures and card.json.
    """
    base, target = locate(request, plugins, progress)
    parts = split(base, request)
    for name in splits.PARTS:
        say(f"{base.title}: {len(getattr(parts, name)):,} {name} videos at {base.root}")
    rates = rates_of(parts.train, target, _positive_from(request, base))
    plan = plan_of(request, base, target, parts, rates)
    if request.fresh and leads():
        shutil.rmtree(plan.folder, ignore_errors=True)
    if (plan.folder / "card.json").is_file() and (card := cards.read(plan.folder))["status"] == "finished":
        say(f"finished before: {plan.folder} (--fresh starts anew)")
        return card, plan.folder
    fabric = make_fabric(request.device, plan.config.stages[0].precision)
    fabric.barrier()  # nobody goes on before the leader has forgotten
    card = begin(request, base, parts, plan, plugins, describe(fabric))
    leader = fabric.global_rank == 0
    if leader:
        plan.folder.mkdir(parents=True, exist_ok=True)
        cards.write(card, plan.folder)
        plugins.notify("avbench_run_started", card=card, folder=plan.folder)
    record = fit(
        plan,
        fabric,
        request.loading,
        progress=progress,
        on_epoch=lambda epoch, values: plugins.notify("avbench_epoch_ended", card=card, epoch=epoch, values=values),
    )
    card["training"] |= record.as_dict()
    network = chosen(plan, request.seed)
    fabric.to_device(network)
    started = time.monotonic()
    counts, loss = measure.count(
        network, parts.test, fabric, request.loading, FailureBudget(len(parts.test), request.loading)
    )
    card["seconds"] = {"train": record.seconds, "evaluate": round(time.monotonic() - started, 2)}
    if leader:
        scores = measure.table(counts, target.columns, rates, request.seed)
        finish(card, scores, counts.sum(axis=0), loss, network, plan.folder)
        plugins.notify("avbench_run_finished", card=card, folder=plan.folder)
    fabric.barrier()
    return card if leader else cards.read(plan.folder), plan.folder


def locate(request: Request, plugins: Plugins, progress: Progress = silent) -> tuple[Database, AnnotationSpec]:
    """Return the database and its action units; UserError for one that has none."""
    spec = plugins.dataset(request.dataset)
    found = [target for target in spec.annotations if target.name == TARGET]
    if not found:
        able = [name for name, other in plugins.datasets().items() if any(t.name == TARGET for t in other.annotations)]
        raise UserError(f"--dataset {request.dataset}: it has no action units; choose {', '.join(sorted(able))}")
    made = made_with(progress, "make demo data")
    return databases.locate(spec, request.roots, plugins.datasets(), made), found[0]


def split(base: Database, request: Request) -> splits.Split:
    """Return training, validation and test videos of different people, forged ones left out."""
    samples = base.samples()
    official = None
    if base.spec.train_identities:
        official = load_object(base.spec.train_identities, f"dataset {base.spec.name}")(base.root, request.fold)
    parts = splits.split(samples, fold=request.fold, train_identities=official)
    if parts.fold is None and request.fold != 1:
        raise UserError(f"--fold {request.fold}: {base.title} has its own split and no folds; leave --fold out")
    train, validation, test = (_usable(base, name, getattr(parts, name), request) for name in splits.PARTS)
    return replace(parts, train=train, validation=validation, test=test)


def _usable(base: Database, part: str, samples: Sequence[Sample], request: Request) -> tuple[Sample, ...]:
    """Return the real videos that have action units, each with its length."""
    real = [s for s in samples if s.forgery is Forgery.RARV and any(name == TARGET for name, _ in s.annotations)]
    if not real:
        raise UserError(f"{base.title}: no {part} video with action units at {base.root}")
    return tuple(map(_measured, splits.limit(real, request.limit, request.seed) if request.limit else real))


def _measured(sample: Sample) -> Sample:
    if sample.duration is not None:
        return sample
    try:
        info = media.probe(sample.path)
    except MediaError as error:
        raise UserError(f"{error}; mend the file or leave it out of the database") from error
    return replace(sample, fps=info.fps, frames=info.frames)


def rates_of(samples: Sequence[Sample], target: AnnotationSpec, positive_from: float) -> list[float]:
    """Return how often each unit is active in the known frames of these videos."""
    active, known = np.zeros(len(target.columns)), np.zeros(len(target.columns))
    for sample in samples:
        values = read_series(target.read, dict(sample.annotations)[TARGET]).values
        active += (values >= positive_from).sum(axis=0)
        known += np.isfinite(values).sum(axis=0)
    return [float(rate) for rate in active / np.maximum(known, 1)]


def plan_of(
    request: Request, base: Database, target: AnnotationSpec, parts: splits.Split, rates: Sequence[float]
) -> TrainingPlan:
    """Return the plan of the training; its id is a hash of configuration, lists, fold and seed."""
    config = _config(request, base)
    settings = dict(config.settings)
    settings |= {"units": len(target.columns), "unit_names": " ".join(target.columns)}
    if settings["unit_weights"] == "auto":
        settings["unit_weights"] = ",".join(f"{weight:.6f}" for weight in weights_of_rates(rates))
    stages = tuple(s for s in config.stages if request.stage in ("both", s.name))
    config = replace(config, settings=settings, stages=stages, weights=weights.choose(SPEC, settings))
    about = {
        "network": SPEC.name,
        "version": SPEC.version,
        "preset": config.preset,
        "config": config.as_dict(),
        "seed": request.seed,
        "trained_on": {
            "dataset": base.spec.name,
            "demo": base.demo,
            "fold": parts.fold,
            "n": len(parts.train),
            "digest": splits.list_digest(parts.train),
            "validation_digest": splits.list_digest(parts.validation),
        },
    }
    fold = f"-f{parts.fold}" if parts.fold is not None else ""
    key = f"{SPEC.name}-{base.spec.name}{fold}-s{request.seed}-{digest_of(about)[:8]}"
    folder = (request.results or results_folder()) / FOLDER / key
    return TrainingPlan(
        id=key,
        folder=folder,
        spec=SPEC,
        config=config,
        seed=request.seed,
        train=parts.train,
        validation=parts.validation,
        about=about,
        place=measure.place,
        selection=measure.BY_F1,
    )


def chosen(plan: TrainingPlan, seed: int) -> Detector:
    """Return the network with the weights of the chosen epoch."""
    network = build(plan.spec, plan.config, seed)
    for stage in plan.config.stages:
        network.begin_stage(stage)
    checkpoint.load_weights(network, plan.folder / WEIGHTS)
    return network


def begin(
    request: Request, base: Database, parts: splits.Split, plan: TrainingPlan, plugins: Plugins, device: str
) -> dict[str, Any]:
    """Return the card of a pre-training that starts, in the shape that observers of runs know."""
    described = {
        name: {
            "dataset": base.spec.name,
            "title": base.title,
            "n": len(getattr(parts, name)),
            "digest": splits.list_digest(getattr(parts, name)),
            "identities": len({splits.identity_of(s) for s in getattr(parts, name)}),
            "identity_is": base.spec.identity_is,
        }
        for name in splits.PARTS
    }
    config = plan.config
    return {
        "format": cards.FORMAT,
        "id": plan.id,
        "status": "running",
        "task": "action units",
        "seed": request.seed,
        "detector": {"name": SPEC.name, "title": SPEC.title, "version": SPEC.version, "preset": config.preset},
        "protocol": {"name": f"pretrain_{base.spec.name}", "version": 1},
        "data": {**described, "fold": parts.fold, "notes": list(parts.notes)},
        "training": {
            "config": config.as_dict(),
            "weights": {name: chosen.sha256 for name, chosen in config.weights.items()},
        },
        "marks": ["demo data"] * base.demo + [f"limited to {request.limit}"] * (request.limit is not None),
        "device": device,
        "environment": environment(),
    }


def finish(
    card: dict[str, Any], scores: pd.DataFrame, counts: measure.Counts, loss: float, network: Detector, folder: Path
) -> None:
    """Write the encoder, the table of F1, figures and the finished card."""
    metrics: dict[str, Any] = {"loss": {"value": loss}}
    for row in scores.to_dict("records"):
        name = "f1" if row["unit"] == "mean" else f"f1_{row['unit']}"
        metrics[name] = {"value": row["f1"], "ci95": [row["low"], row["high"]], "n": row["frames"]}
        for other in ("majority", "all positive"):
            metrics[f"{other.replace(' ', '_')}_{name}"] = {"value": row[other], "n": row["frames"]}
    card["metrics"] = {"every_frame": {"frame": metrics}}
    card["confusion"] = {
        str(name): {"frame": {"labels": ["absent", "shown"], "matrix": [[int(tn), int(fp)], [int(fn), int(tp)]]}}
        for name, (tp, fp, fn, tn) in zip(scores["unit"], counts, strict=False)
    }
    with atomic_write(folder / SCORES) as temporary:
        scores.to_csv(temporary, index=False)
    card["encoder"] = {"file": ENCODER, "sha256": export(network, folder / ENCODER, card)}
    draw(card, scores, pd.read_csv(folder / CURVES), folder / "figures")
    card["status"] = "finished"
    cards.write(card, folder)


def export(network: Detector, path: Path, card: Mapping[str, Any]) -> str:
    """Write the weights under the published names (backbone, global_linear, head); return the file's sha256."""
    state = {
        name.removeprefix("network."): value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    about = {"id": card["id"], "f1": card["metrics"]["every_frame"]["frame"]["f1"], "data": card["data"]["train"]}
    with atomic_write(path) as temporary:
        save_file(state, temporary, metadata={"avbench": json.dumps(about, sort_keys=True, default=str)})
    return sha256(path)


def _config(request: Request, base: Database) -> Config:
    fed = ("units=", "unit_names=")
    if own := [text for text in request.overrides if text.startswith(fed)]:
        raise UserError(f"--set {own[0]}: this is what the database has, it cannot be set")
    config = resolve(
        SPEC, "binary", preset=request.preset, overrides=request.overrides, dataset=base.spec.name, demo=base.demo
    )
    if request.stage not in ("both", *(stage.name for stage in config.stages)):
        raise UserError(f"--stage {request.stage}: use {', '.join(s.name for s in config.stages)} or both")
    return config


def _positive_from(request: Request, base: Database) -> float:
    return float(_config(request, base).settings["positive_from"] or 0)
