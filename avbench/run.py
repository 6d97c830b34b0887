"""One cell of the benchmark: find or make the training, evaluate it, measure, write the card, tell observers."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from avbench import card as cards
from avbench import checkpoint, config, figures, media, scores, weights
from avbench.config import Config
from avbench.data import ClipRequest
from avbench.detector import Detector
from avbench.devices import describe, make_fabric
from avbench.evaluate import Loading, evaluate
from avbench.measure import measure
from avbench.placement import labelled, sweep
from avbench.places import results_folder
from avbench.plugins import Plugins
from avbench.prepare import Lists, Say, prepare
from avbench.progress import Progress, silent
from avbench.protocol import Protocol, digest_of
from avbench.splits import list_digest
from avbench.train import CURVES, WEIGHTS, Plan, build, fit
from avbench.types import DetectorSpec, Placement, Sample, Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cell:
    """One detector under one protocol in one task with one seed, and how to compute it."""

    detector: str
    protocol: Protocol
    task: Task
    seed: int = 0
    roots: Mapping[str, Path] = field(default_factory=dict)
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    limit: int | None = None
    device: str = "auto"
    results: Path | None = None
    fresh: bool = False
    checkpoint: Path | None = None
    loading: Loading = Loading()
    group: str = ""


def run_cell(
    cell: Cell, plugins: Plugins, *, progress: Progress = silent, say: Say = lambda line: None,
) -> tuple[dict[str, Any], Path]:
    """Run one cell, or return the card of one that is finished; return the card and the run's folder.

    A repeated call continues an interrupted one: training from its last state, evaluation from its last part.
    """
    spec = plugins.detector(cell.detector)
    started = time.monotonic()
    lists = prepare(cell.protocol, plugins, cell.roots, limit=cell.limit, seed=cell.seed,
                    train=cell.checkpoint is None, say=say, made=making(progress))
    settings = _configured(cell, spec, lists)
    results = cell.results or results_folder()
    plan = _plan(cell, plugins, spec, settings, lists, results)
    placements = cell.protocol.placements or (("labelled", "sweep") if lists.judged.spec.locally_forged else ("labelled",))
    folder = results / "runs" / _run_id(cell, plan, settings, lists, placements)
    if cell.fresh:
        shutil.rmtree(folder, ignore_errors=True)
        if plan is not None:
            shutil.rmtree(plan.folder, ignore_errors=True)
    if (folder / "card.json").is_file() and (card := cards.read(folder))["status"] == "finished":
        say(f"finished before: {folder} (--fresh starts anew)")
        return card, folder
    folder.mkdir(parents=True, exist_ok=True)

    fabric = make_fabric(cell.device, settings.stages[0].precision)
    card = _card(cell, plugins, spec, settings, lists, folder.name, describe(fabric), placements)
    card["seconds"]["prepare"] = round(time.monotonic() - started, 2)
    observed = fabric.global_rank == 0
    if observed:
        cards.write(card, folder)
        plugins.notify("avbench_run_started", card=card, folder=folder)
    try:
        if plan is not None:
            record = fit(plan, fabric, cell.loading, progress=progress, on_epoch=lambda epoch, values: plugins.notify(
                "avbench_epoch_ended", card=card, epoch=epoch, values=values))
            if record["reused"]:
                say(f"training {plan.id} is finished already and is used again")
            card["training"] |= record
        detector, about = _trained(cell, plan, spec, settings)
        if plan is None:
            card["training"] |= {"trained_on": about.get("trained_on", "unknown"), "threshold": about.get("threshold")}
        started = time.monotonic()
        requests = clips_to_judge(lists.split.test, settings, placements, cell.seed)
        fabric.to_device(detector)
        table = evaluate(detector, requests, folder, fabric, cell.loading, progress=progress)
        seconds = time.monotonic() - started
    except BaseException as error:
        if observed:
            card["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            card["error"] = f"{type(error).__name__}: {error}"
            cards.write(card, folder)
        raise
    card["seconds"] |= {"train": card["training"].get("seconds"), "evaluate": round(seconds, 2)}
    card["clips_per_second"] = {"train": card["training"].get("clips_per_second"),
                                "evaluate": round(len(table) / max(seconds, 1e-9), 2)}
    if observed:
        finish(card, table, folder, plugins, curves=plan.folder / CURVES if plan is not None else None)
        shutil.rmtree(folder / "parts", ignore_errors=True)
    return card, folder


def finish(card: dict[str, Any], table: pd.DataFrame, folder: Path, plugins: Plugins, *, curves: Path | None = None) -> None:
    """Measure a scores table, write scores.parquet, figures and the finished card, tell observers."""
    started = time.monotonic()
    threshold = card["training"].get("threshold")
    scores.write(table, folder / "scores.parquet", {"run": card["id"], "task": card["task"], "threshold": threshold})
    card |= measure(
        table, card["task"], plugins.metrics(), pooling=card["detector"]["pooling"], threshold=threshold,
        placements=card["protocol"]["placements"], requires=card["detector"]["requires"], seed=card["seed"],
    )
    card["marks"] = sorted({*card["marks"], *card.pop("measured_marks", [])})
    if curves is not None and curves.is_file():
        shutil.copyfile(curves, folder / CURVES)
    figures.draw_run(card, table, folder / "figures", curves=folder / CURVES)
    card["status"] = "finished"
    card["seconds"]["measure"] = round(time.monotonic() - started, 2)
    cards.write(card, folder)
    plugins.notify("avbench_run_finished", card=card, folder=folder)


def clips_to_judge(samples: Sequence[Sample], settings: Config, placements: Sequence[Placement], seed: int) -> list[ClipRequest]:
    """Return every clip of the test list, for each placement; unknown lengths are read from the files' headers."""
    requests: list[ClipRequest] = []
    for placement in placements:
        if placement == "labelled":
            requests += labelled(samples, settings.clip, seed)
        else:
            requests += sweep(samples, settings.clip, _durations(samples), seed)
    return requests


def _durations(samples: Sequence[Sample]) -> dict[str, float]:
    """Return seconds by id where the metadata do not tell; an unreadable file counts as one clip, and fails there."""
    found: dict[str, float] = {}
    for sample in samples:
        if sample.duration is None:
            try:
                found[sample.id] = media.probe(sample.path).duration
            except media.MediaError:
                found[sample.id] = 0.0
    return found


def _configured(cell: Cell, spec: DetectorSpec, lists: Lists) -> Config:
    settings = config.resolve(
        spec, cell.task, preset=cell.preset, overrides=cell.overrides,
        dataset=lists.learnt.spec.name if lists.learnt else "", demo=lists.demo,
    )
    return replace(settings, weights=weights.choose(spec, settings.settings))


def _plan(cell: Cell, plugins: Plugins, spec: DetectorSpec, settings: Config, lists: Lists, results: Path) -> Plan | None:
    """Return the training this cell needs; its id is a hash of everything that shapes it."""
    if lists.learnt is None:
        return None
    split = lists.split
    about = {
        "detector": spec.name, "detector_version": spec.version, "task": cell.task, "preset": settings.preset,
        "config": settings.as_dict(), "seed": cell.seed, "selection": cell.protocol.select_on,
        "trained_on": {"dataset": lists.learnt.spec.name, "demo": lists.learnt.demo, "n": len(split.train),
                       "digest": list_digest(split.train), "validation_digest": list_digest(split.validation)},
    }
    key = f"{spec.name}-{lists.learnt.spec.name}-{cell.task}-s{cell.seed}-{digest_of(about)[:8]}"
    return Plan(key, results / "trainings" / key, spec, settings, cell.seed, split.train, split.validation, about)


def _run_id(cell: Cell, plan: Plan | None, settings: Config, lists: Lists, placements: Sequence[Placement]) -> str:
    shaping = {
        "training": plan.id if plan is not None else weights.sha256(cell.checkpoint) if cell.checkpoint else "",
        "config": settings.as_dict(), "protocol": cell.protocol.digest(), "test": list_digest(lists.split.test),
        "placements": list(placements), "demo": lists.demo,
    }
    return f"{cell.detector}-{cell.protocol.name}-{cell.task}-s{cell.seed}-{digest_of(shaping)[:8]}"


def _trained(cell: Cell, plan: Plan | None, spec: DetectorSpec, settings: Config) -> tuple[Detector, dict[str, Any]]:
    detector = build(spec, settings, cell.seed)
    for stage in settings.stages:
        detector.begin_stage(stage)
    path = plan.folder / WEIGHTS if plan is not None else cell.checkpoint
    assert path is not None
    return detector, checkpoint.load_weights(detector, path)


def _card(cell: Cell, plugins: Plugins, spec: DetectorSpec, settings: Config, lists: Lists, name: str, device: str,
          placements: Sequence[Placement]) -> dict[str, Any]:
    source = plugins.source_of("avbench_detectors", DetectorSpec, spec.name)
    reported = {} if lists.demo else cell.protocol.reported.get(spec.name, {}).get(cell.task, {})
    marks = ["demo data"] if lists.demo else []
    marks += ["selected on test"] if cell.protocol.select_on == "test" else []
    marks += ["every sample of the test database"] if cell.protocol.test_on == "all" else []
    marks += ["balanced test list"] if cell.protocol.test_distribution == "balanced" else []
    marks += [f"limited to {cell.limit}"] if cell.limit is not None else []
    marks += ["published bugs reproduced"] if settings.settings.get("reproduce_bugs") else []
    return {
        "format": cards.FORMAT, "id": name, "status": "running", "group": cell.group, "task": cell.task, "seed": cell.seed,
        "detector": {"name": spec.name, "title": spec.title or spec.name, "version": spec.version,
                     "source": str(source), "preset": settings.preset, "pooling": spec.pooling,
                     "requires": sorted(spec.requires)},
        "protocol": {**cell.protocol.as_dict(), "placements": list(placements), "digest": cell.protocol.digest()},
        "data": lists.describe(),
        "training": {"config": settings.as_dict(), "weights": {k: asdict(w)["sha256"] for k, w in settings.weights.items()}},
        "reported": dict(reported), "marks": marks, "seconds": {}, "device": device,
        "environment": cards.environment(),
    }


def making(progress: Progress) -> Any:
    """Return a (done, total) callback that shows a bar while demo data are made."""
    state: dict[str, Any] = {}

    def report(done: int, total: int) -> None:
        if not state:
            state["context"] = progress("make demo data", total, 0)
            state["bar"], state["done"] = state["context"].__enter__(), 0
        state["bar"].advance(done - state["done"])
        state["done"] = done
        if done >= total:
            state["context"].__exit__(None, None, None)
            state.clear()

    return report
