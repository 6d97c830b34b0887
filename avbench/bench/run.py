"""One run of the benchmark: find or make the training, score, measure, write the card, tell observers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from avbench.bench.card import begin, with_measurements
from avbench.bench.changes import changed_since
from avbench.bench.ensemble import EnsembleScorer
from avbench.bench.resolving import lists_of, words_of
from avbench.bench.scoring import DetectorScorer, Scorer, Work
from avbench.bench.spec import Computing, RunSpec
from avbench.bench.standing import forget, standing
from avbench.data.lists import Say
from avbench.engine.devices import describe, make_fabric
from avbench.engine.effects import require_effects
from avbench.engine.failures import FAULTS
from avbench.engine.numerics import computing_as
from avbench.engine.parts import PARTS, left
from avbench.engine.ranks import leads
from avbench.hashing import sha256
from avbench.metrics.measuring import measure
from avbench.metrics.robustness import robustness
from avbench.perturbations.conditions import Condition, choose
from avbench.plugins.registry import Plugins
from avbench.progress import Progress, made_with, silent
from avbench.records import scores
from avbench.records.card import Card, Status
from avbench.records.card_file import NAME
from avbench.records.run import SCORES, Run
from avbench.records.training import CURVES
from avbench.types import PASSING, DetectorSpec, Reason


def scorer_of(spec: RunSpec, plugins: Plugins, computing: Computing) -> Scorer:
    """Return what gives a run its scores; UserError for an unknown detector and what an ensemble cannot do."""
    kind = EnsembleScorer if plugins.detector(spec.detector).members else DetectorScorer
    return kind(spec, plugins, computing)


def run(
    spec: RunSpec,
    plugins: Plugins,
    *,
    computing: Computing | None = None,
    progress: Progress = silent,
    say: Say = lambda line: None,
    failed: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Compute one run, or return the one that is finished.

    A repeated call continues an interrupted one: training from its last state, evaluation from its last part. Clips
    that failed for a passing reason are tried again. Where data, code or weights are not what they were, it is another
    run, which says what changed. Raises UserError for whatever its caller can mend; whatever ends it is noted in the
    card.
    """
    scorer = scorer_of(spec, plugins, computing or Computing())  # a typo is told before the data are read
    computing = scorer.computing
    asked = choose(spec.protocol.perturbations, spec.protocol.levels, plugins.perturbations())
    started = time.monotonic()
    lists = lists_of(spec, plugins, say=say, made=made_with(progress, "make demo data"), progress=progress)
    resolved = scorer.resolve(lists)
    if unfelt := dict.fromkeys(c.name for c in asked if c is not None and c not in resolved.conditions):
        say(f"left out, {spec.detector} is not fed what they change: {', '.join(unfelt)}")
    folder = computing.results_folder / "runs" / resolved.id
    if leads():
        forget(folder, resolved, computing, say)
    found = standing(folder, resolved, computing)
    if found is not None and found.holds:
        say(f"finished before: {folder} (--fresh starts anew){found.remark}")
        return found.run
    if found is not None:
        say(f"{resolved.id}: {found.remark}")

    fabric = make_fabric(computing.device, resolved.config.stages[0].precision if resolved.config.stages else "32-true")
    fabric.barrier()  # nobody goes on before the leader has forgotten
    leader = fabric.global_rank == 0
    source = plugins.source_of("avbench_detectors", DetectorSpec, spec.detector)
    folder.mkdir(parents=True, exist_ok=True)
    notify = partial(plugins.notify, leaving_out=computing.silenced, folder=folder)

    def tell(ended: Card) -> None:
        notify("avbench_run_failed", card=ended)
        failed(Run(ended, folder))

    with (
        _end_noted(folder, None if found is None else found.run, tell if leader else None),
        computing_as(resolved.config, fabric.device) as look,
    ):
        card = begin(resolved, str(source), describe(fabric), computing.group, look())
        card = replace(card, seconds={"prepare": round(time.monotonic() - started, 2)})
        if leader:
            if found is None and (changes := changed_since(card, lists.inputs, computing.results_folder)):
                say(changes)
            card = replace(card, changes=changes if found is None else found.run.card.changes)
            for one in lists.inputs.values():
                one.save(computing.results_folder)
            card.save(folder)
        work = Work(
            card=card,
            folder=folder,
            fabric=fabric,
            run=partial(run, plugins=plugins, computing=computing, progress=progress, say=say),
            epoch_ended=lambda epoch, values: plugins.notify(
                "avbench_epoch_ended", leaving_out=computing.silenced, card=card, epoch=epoch, values=values
            ),
            look=look,
            progress=progress,
            say=say,
            elsewhere=() if computing.anew else tuple(left(folder.parent, words_of(spec), resolved.id)),
            again=tuple(Reason) if computing.retry else PASSING,
        )
        if leader:
            notify("avbench_run_started", card=card)
        card, table = scorer.score(resolved, work)
        if leader:
            curves = resolved.plan.folder / CURVES if resolved.plan else None
            ended = replace(card, environment=look())
            card = finish(ended, table, folder, plugins, curves=curves, conditions=resolved.conditions)
        if leader:
            notify("avbench_run_finished", card=card)
    fabric.barrier()  # the others have read the parts; they wait for the measured card
    if leader and not table["reason"].isin([str(reason) for reason in FAULTS]).any():  # else some may be made again
        shutil.rmtree(folder / PARTS, ignore_errors=True)
    return Run(card, folder) if leader else Run.read(folder)


@contextmanager
def _end_noted(folder: Path, before: Run | None, tell: Callable[[Card], None] | None) -> Iterator[None]:
    """Note in the card what ends a run before it is finished, and tell it; None: another process does.

    A card that was there `before` stays with its scores.
    """
    try:
        yield
    except BaseException as error:
        if tell is not None and (folder / NAME).is_file() and not (card := Card.load(folder)).is_finished:
            status: Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            ended = replace(card, status=status, error=f"{type(error).__name__}: {error}")
            kept = before is not None and sha256(folder / SCORES) == before.card.scores_sha256
            try:
                (before.card if before is not None and kept else ended).save(folder)
            finally:
                tell(ended)
        raise


def found_before(spec: RunSpec, plugins: Plugins, *, computing: Computing, say: Say = lambda line: None) -> Run | None:
    """Return the run if an earlier call finished it, else None; nothing is computed.

    Raises UserError for what `run` would refuse before it computes anything.
    """
    resolved = scorer_of(spec, plugins, computing).resolve(lists_of(spec, plugins, say=say))
    found = standing(computing.results_folder / "runs" / resolved.id, resolved, computing)
    return found.run if found is not None and found.holds else None


def finish(
    card: Card,
    table: pd.DataFrame,
    folder: Path,
    plugins: Plugins,
    *,
    curves: Path | None = None,
    conditions: Sequence[Condition | None] = (None,),
) -> Card:
    """Measure a scores table, write scores.parquet and the finished card; return the card.

    What every card holds is measured on the videos as they are; `conditions` add what becomes of it.
    """
    started = time.monotonic()
    path, about = folder / SCORES, {"run": card.id, "task": card.task, "threshold": card.training.threshold}
    card = measured(card, table, plugins, conditions)
    scores.write(table, path, about)  # once it is known that they can be measured: an earlier card is of earlier ones
    card = replace(card, scores_sha256=sha256(path))
    if curves is not None and curves.is_file():
        shutil.copyfile(curves, folder / CURVES)
    spent = {**card.seconds, "measure": round(time.monotonic() - started, 2)}
    card = replace(card, status="finished", seconds=spent)
    card.save(folder)
    return card


def measured(
    card: Card, table: pd.DataFrame, plugins: Plugins, conditions: Sequence[Condition | None] = (None,)
) -> Card:
    """Return the card with all that its scores table comes to: a pure function of the table and the card's settings."""
    threshold, pooling, placements = card.training.threshold, card.detector.pooling, card.protocol.placements
    clean = table[table["level"] == 0] if "level" in table else table
    found = measure(
        clean,
        card.benchmark_task(),
        plugins.metrics(),
        pooling=pooling,
        threshold=threshold,
        placements=placements,
        requires=card.detector.requires,
        seed=card.seed,
    )
    card = with_measurements(card, found)
    if any(conditions):
        require_effects(table)
        swept = robustness(table, conditions, placement=placements[0], pooling=pooling, seed=card.seed)
        card = replace(card, perturbations=swept)
    return card
