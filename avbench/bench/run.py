"""One cell of the benchmark: find or make the training, evaluate it, measure, write the card, tell observers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from avbench.bench import ensemble
from avbench.bench.card import begin
from avbench.bench.cell import Cell, Resolved, lists_of, resolve
from avbench.data.lists import Say
from avbench.data.placement import oracle, sliding
from avbench.data.requests import ClipRequest, under
from avbench.detector import Detector
from avbench.engine import checkpoint
from avbench.engine.devices import describe, make_fabric
from avbench.engine.effects import require_effects
from avbench.engine.evaluation import evaluate
from avbench.engine.plan import build
from avbench.engine.ranks import leads
from avbench.engine.training import fit
from avbench.media import reading as media
from avbench.metrics.measuring import measure
from avbench.metrics.robustness import robustness
from avbench.perturb.conditions import Condition, choose
from avbench.plugins.registry import Plugins
from avbench.progress import Progress, made_with, silent
from avbench.records import card as cards
from avbench.records import scores
from avbench.records.training import CURVES, WEIGHTS
from avbench.types import DetectorSpec, MediaError, Sample

# So many conditions of one clip may take one time limit of a batch.
CONDITIONS_A_TIME_LIMIT = 8


def run_cell(
    cell: Cell, plugins: Plugins, *, progress: Progress = silent, say: Say = lambda line: None
) -> tuple[dict[str, Any], Path]:
    """Run one cell, or return the card of one that is finished; return the card and the run's folder.

    A repeated call continues an interrupted one: training from its last state, evaluation from its last part.
    """
    spec = plugins.detector(cell.detector)  # a typo is told before the data are read, a missing encoder too
    if spec.members:
        ensemble.require_members(spec, plugins.detectors(), cell)
        cell = replace(cell, group=cell.group or f"{cell.detector}-{cell.protocol.name}")
    asked = choose(cell.protocol.perturbations, cell.protocol.levels, plugins.perturbations())
    started = time.monotonic()
    lists = lists_of(cell, plugins, say=say, made=made_with(progress, "make demo data"), progress=progress)
    resolved = (ensemble.resolve if spec.members else resolve)(cell, plugins, lists)
    if unfelt := dict.fromkeys(c.name for c in asked if c is not None and c not in resolved.conditions):
        say(f"left out, {spec.name} is not fed what they change: {', '.join(unfelt)}")
    folder = cell.results_folder / "runs" / resolved.id
    if cell.fresh and leads():
        _forget(folder, resolved)
    if not cell.fresh and (folder / "card.json").is_file() and (card := cards.read(folder))["status"] == "finished":
        say(f"finished before: {folder} (--fresh starts anew)")
        return card, folder

    fabric = make_fabric(cell.device, resolved.config.stages[0].precision if resolved.config.stages else "32-true")
    fabric.barrier()  # nobody goes on before the leader has forgotten
    leader = fabric.global_rank == 0
    source = plugins.source_of("avbench_detectors", DetectorSpec, cell.detector)
    card = begin(cell, resolved, str(source), describe(fabric))
    card["seconds"]["prepare"] = round(time.monotonic() - started, 2)
    folder.mkdir(parents=True, exist_ok=True)
    if leader:
        cards.write(card, folder)
        plugins.notify("avbench_run_started", card=card, folder=folder)
    try:
        if resolved.members:
            again = partial(run_cell, plugins=plugins, progress=progress, say=say)
            table = ensemble.score(resolved, card, again, say)
        else:
            table = _scores(cell, resolved, card, folder, fabric, plugins, progress, say)
    except BaseException as error:
        if leader:
            card["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            card["error"] = f"{type(error).__name__}: {error}"
            cards.write(card, folder)
        raise
    if leader:
        curves = resolved.plan.folder / CURVES if resolved.plan else None
        finish(card, table, folder, plugins, curves=curves, conditions=resolved.conditions)
    fabric.barrier()  # the others have read the parts; they wait for the measured card
    if leader:
        shutil.rmtree(folder / "parts", ignore_errors=True)
    return card if leader else cards.read(folder), folder


def _scores(
    cell: Cell,
    resolved: Resolved,
    card: dict[str, Any],
    folder: Path,
    fabric: Any,
    plugins: Plugins,
    progress: Progress,
    say: Say,
) -> pd.DataFrame:
    """Train unless that was done, and score the test list; note in the card what came of it."""
    if resolved.plan is not None:
        record = fit(
            resolved.plan,
            fabric,
            cell.loading,
            progress=progress,
            on_epoch=lambda epoch, values: plugins.notify("avbench_epoch_ended", card=card, epoch=epoch, values=values),
        )
        if record.reused:
            say(f"training {resolved.plan.id} is finished already and is used again")
        card["training"] |= record.as_dict()
    detector, about = _trained(cell, resolved)
    if resolved.plan is None:
        card["training"] |= {"trained_on": about.get("trained_on", "unknown"), "checkpoint": str(cell.checkpoint)}
    started = time.monotonic()
    fabric.to_device(detector)
    requests = under(_clips(resolved, cell.seed), resolved.conditions, resolved.lists.split.test)
    time_limit = cell.loading.time_limit * max(1, len(resolved.conditions) / CONDITIONS_A_TIME_LIMIT)
    loading = replace(cell.loading, time_limit=time_limit)
    table = evaluate(detector, requests, folder, fabric, loading, progress=progress)
    seconds = time.monotonic() - started
    card["seconds"] |= {"train": card["training"].get("seconds"), "evaluate": round(seconds, 2)}
    card["clips_per_second"] = {
        "train": card["training"].get("clips_per_second"),
        "evaluate": round(len(table) / max(seconds, 1e-9), 2),
    }
    return table


def finish(
    card: dict[str, Any],
    table: pd.DataFrame,
    folder: Path,
    plugins: Plugins,
    *,
    curves: Path | None = None,
    conditions: Sequence[Condition | None] = (None,),
) -> None:
    """Measure a scores table, write scores.parquet, figures and the finished card, tell observers.

    What every card holds is measured on the videos as they are; `conditions` add what becomes of it.
    """
    started = time.monotonic()
    threshold = card["training"].get("threshold")
    scores.write(table, folder / "scores.parquet", {"run": card["id"], "task": card["task"], "threshold": threshold})
    clean = table[table["level"] == 0] if "level" in table else table
    card |= measure(
        clean,
        card["task"],
        plugins.metrics(),
        pooling=card["detector"]["pooling"],
        threshold=threshold,
        placements=card["protocol"]["placements"],
        requires=card["detector"]["requires"],
        seed=card["seed"],
    )
    card["marks"] = sorted({*card["marks"], *card.pop("measured_marks")})
    if curves is not None and curves.is_file():
        shutil.copyfile(curves, folder / CURVES)
    if any(conditions):
        require_effects(table)
        card["perturbations"] = robustness(
            table,
            conditions,
            placement=card["protocol"]["placements"][0],
            pooling=card["detector"]["pooling"],
            seed=card["seed"],
        )
    card["status"] = "finished"
    card["seconds"]["measure"] = round(time.monotonic() - started, 2)
    cards.write(card, folder)
    plugins.notify("avbench_run_finished", card=card, folder=folder)


def _trained(cell: Cell, resolved: Resolved) -> tuple[Detector, dict[str, Any]]:
    """Return the detector with the weights to judge, and the note they carry."""
    detector = build(resolved.spec, resolved.config, cell.seed)
    for stage in resolved.config.stages:
        detector.begin_stage(stage)
    path = resolved.plan.folder / WEIGHTS if resolved.plan is not None else cell.checkpoint
    assert path is not None
    return detector, checkpoint.load_weights(detector, path)


def _clips(resolved: Resolved, seed: int) -> list[ClipRequest]:
    """Return every clip of the test list, for each placement."""
    samples, clip = resolved.lists.split.test, resolved.config.clip
    requests: list[ClipRequest] = []
    for placement in resolved.placements:
        if placement == "oracle":
            requests += oracle(samples, clip, seed)
        else:
            requests += sliding(samples, clip, _durations(samples), seed)
    return requests


def _durations(samples: Sequence[Sample]) -> dict[str, float]:
    """Return seconds by id where the metadata do not tell; an unreadable file counts as one clip, and fails there."""
    found: dict[str, float] = {}
    for sample in samples:
        if sample.duration is None:
            try:
                found[sample.id] = media.probe(sample.path).duration - sample.skip
            except MediaError:
                found[sample.id] = 0.0
    return found


def _forget(folder: Path, resolved: Resolved) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if resolved.plan is not None:
        shutil.rmtree(resolved.plan.folder, ignore_errors=True)
