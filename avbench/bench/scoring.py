"""What gives a run its scores, behind one interface: here one detector, trained or with given weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from lightning_fabric import Fabric

from avbench.bench.card import with_training
from avbench.bench.possible import require_possible
from avbench.bench.resolving import GIVEN, ResolvedRun, resolve
from avbench.bench.spec import Computing, RunSpec
from avbench.data.file_times import FileTimes
from avbench.data.inputs import by_id, by_path
from avbench.data.lengths import notes_on, probe_files, seconds_by_id
from avbench.data.lists import Lists, Say
from avbench.data.loading import Loading
from avbench.data.placement import MOST_CLIPS, oracle, sliding, too_long
from avbench.data.requests import ClipRequest, under
from avbench.detector import Detector
from avbench.engine import checkpoint
from avbench.engine.building import build
from avbench.engine.evaluation import evaluate
from avbench.engine.numerics import Look
from avbench.engine.parts import Cause
from avbench.engine.training import fit
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.plugins.registry import Plugins
from avbench.progress import Progress
from avbench.records.card import Card
from avbench.records.caveats import random_start
from avbench.records.run import Run
from avbench.records.training import WEIGHTS, FinishedTraining
from avbench.types import PASSING, MediaError, MediaInfo, Reason

# So many conditions of one clip may take what a clip may.
CONDITIONS_A_TIME_LIMIT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A run under way: its card as it began, its folder, the device, and whom to tell of it.

    `run` computes a further run in the same way, `epoch_ended` tells observers of (epoch, values), `look` returns the
    environment that it is computed in. `elsewhere` are folders with parts of scores of earlier such runs, `again` the
    reasons why a clip that has no score is tried again.
    """

    card: Card
    folder: Path
    fabric: Fabric
    run: Callable[[RunSpec], Run]
    epoch_ended: Callable[[int, dict[str, float]], None]
    look: Look
    progress: Progress
    say: Say
    elsewhere: tuple[Path, ...] = ()
    again: Collection[Reason] = PASSING


class Scorer(Protocol):
    """What gives a run its scores.

    Made from (spec, plugins, computing) before any data are read, it raises UserError for what can never be computed;
    `computing` is how it will be.
    """

    computing: Computing

    def resolve(self, lists: Lists) -> ResolvedRun:
        """Return what the run comes to with its data."""

    def score(self, resolved: ResolvedRun, work: Work) -> tuple[Card, pd.DataFrame]:
        """Return the card with what the scores came from, and the scores table of the test list."""


class DetectorScorer:
    """Trains a detector unless that was done or weights are given, and shows it the test list."""

    def __init__(self, spec: RunSpec, plugins: Plugins, computing: Computing) -> None:
        require_possible(spec, plugins, computing)
        self.spec, self.plugins, self.computing = spec, plugins, computing

    def resolve(self, lists: Lists) -> ResolvedRun:
        """Return what the run comes to with its data."""
        return resolve(self.spec, self.plugins, lists, self.computing.results_folder)

    def score(self, resolved: ResolvedRun, work: Work) -> tuple[Card, pd.DataFrame]:
        """Train, and score every clip of the test list under every condition."""
        card, loading = work.card, replace(self.computing.loading, decoder=self.spec.decoder)
        record: FinishedTraining | None = None
        if resolved.plan is not None:
            record = fit(
                resolved.plan,
                work.fabric,
                loading,
                progress=work.progress,
                on_epoch=work.epoch_ended,
                look=work.look,
            )
            if record.reused:
                work.say(f"training {resolved.plan.id} is finished already and is used again")
            card = with_training(card, record.as_dict())
        detector, about, weights = _trained(resolved, record)
        if resolved.plan is None:
            told = {"trained_on": about.get("trained_on", "unknown"), "checkpoint": str(self.spec.checkpoint)}
            card = with_training(card, told)
            if parts := about.get("random_start"):  # the weights say so of their own training
                caveat = random_start([str(part) for part in parts])
                card = replace(card, variant=(*card.variant, caveat), caveats=(*card.caveats, caveat))
        started = time.monotonic()
        work.fabric.to_device(detector)
        clips, notes, files = _clips(resolved, loading, work.progress)
        for note in notes:
            work.say(note)
        card = replace(card, data=replace(card.data, notes=(*card.data.notes, *notes)))
        requests = under(clips, resolved.conditions, resolved.lists.split.test)
        longer = max(1.0, len(resolved.conditions) / CONDITIONS_A_TIME_LIMIT)
        loading = replace(loading, file_seconds=longer * loading.file_seconds)
        samples, inputs = resolved.lists.split.test, resolved.lists.inputs["test"]
        cause = Cause(
            made_by=resolved.made_by(weights),
            videos={**by_path(samples, inputs), **by_id(samples, inputs)},
            elsewhere=work.elsewhere,
            again=work.again,
        )
        table = evaluate(
            detector,
            requests,
            work.folder,
            work.fabric,
            loading,
            cause=cause,
            files=FileTimes.after_probing(loading.file_seconds, files),
            progress=work.progress,
        )
        seconds = time.monotonic() - started
        speed = {"train": card.training.clips_per_second, "evaluate": round(len(table) / max(seconds, 1e-9), 2)}
        spent = {**card.seconds, "train": card.training.seconds, "evaluate": round(seconds, 2)}
        return replace(card, seconds=spent, clips_per_second=speed), table


def _trained(resolved: ResolvedRun, record: FinishedTraining | None) -> tuple[Detector, dict[str, Any], str]:
    """Return the detector with the weights to judge, the note they carry, and the sha256 of their file.

    Raises UserError for a file that is not the one that the training left or that was given.
    """
    detector = build(resolved.detector, resolved.config, resolved.spec.seed)
    for stage in resolved.config.stages:
        detector.begin_stage(stage)
    path = resolved.plan.folder / WEIGHTS if resolved.plan is not None else resolved.spec.checkpoint
    assert path is not None
    if record is not None:
        record.require_unchanged(path)
        if path.name not in record.files:  # every training of this version notes it
            raise UserError(f"{path}: its training's record says no sha256 of it; train again with --fresh-training")
    found = sha256(path)
    if found != resolved.made_of.get(GIVEN, found):
        raise UserError(f"--checkpoint {path} changed while this run began; repeat the command")
    return detector, checkpoint.load_weights(detector, path), found


def _clips(
    resolved: ResolvedRun, loading: Loading, progress: Progress
) -> tuple[list[ClipRequest], list[str], dict[Path, MediaInfo | MediaError]]:
    """Return every clip of the test list, for each placement, what the card says of the files, and what they hold."""
    samples, clip, seed = resolved.lists.split.test, resolved.config.clip, resolved.spec.seed
    files = probe_files(
        (sample.path for sample in samples),
        workers=max(1, loading.workers),
        time_limit=loading.time_limit,
        memory=loading.file_memory,
        progress=progress,
    )
    durations, notes = seconds_by_id(samples, files), list(notes_on(samples, files))
    requests: list[ClipRequest] = []
    for placement in resolved.placements:
        if placement == "oracle":
            requests += oracle(samples, clip, seed)
        else:
            requests += sliding(samples, clip, durations, seed)
            if cut := too_long(samples, clip, durations):
                told = f"swept up to clip {MOST_CLIPS:,} alone: {', '.join(cut[:3])}"
                notes.append(f"{len(cut)} of {len(samples)} test videos: {told}")
    return requests, notes, files
