"""From a scores table to what a card says of it: metrics with intervals, confusion matrices, counts, ceilings.

Of a detector of one stream it also says what a perfect one would reach, and whether it tells apart what it cannot see.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pandas as pd

from avbench.errors import UserError
from avbench.metrics import definitions as built_in
from avbench.metrics.intervals import FEW, Interval, Measure, bootstrap
from avbench.metrics.pooling import pool
from avbench.records.caveats import Caveat, above_ceiling, tells_unseen
from avbench.records.measured import Blind, Ceiling, ClipCounts, Confusion, Counts, Measured, Measurements
from avbench.references import load_object
from avbench.types import Forgery, MetricSpec, Placement, Pooling, Stream, Task

T = TypeVar("T")
log = logging.getLogger(__name__)
LABELS: Mapping[Task, tuple[str, ...]] = {"binary": ("real", "fake"), "four_class": tuple(f.name for f in Forgery)}
# The fakes whose stream of that name is real: to a detector of this stream they are like RARV.
UNSEEN: Mapping[Stream, Forgery] = {"video": Forgery.FARV, "audio": Forgery.RAFV}
FROZEN = 0.2  # share of a clip's pictures that are not of their own time, from which on it is counted
SILENT = -66.0  # dB of full scale (an amplitude of 5e-4) up to which a clip's sound is counted as silent
CANCELLED = -30.0  # dB of mono sound over its loudest channel up to which it is counted as silent
NOT_FEW = 0.01  # share of clips from which on the frozen, or the silent, are a caveat
BLIND = 0.6  # an AUC above it, with the whole interval above one half, is no accident


def measure(
    table: pd.DataFrame,
    task: Task,
    metrics: Mapping[str, MetricSpec],
    *,
    pooling: Pooling = "mean",
    placements: Sequence[Placement] = (),
    threshold: float | None = None,
    seed: int = 0,
    requires: Collection[Stream] = ("video", "audio"),
    resamples: int = 1000,
) -> Measurements:
    """Measure a scores table: metrics, confusion, counts, ceilings, blind, and the caveats that they give.

    The first two go by placement and granularity: "video", one pooled score each, and "clip", each clip by its own
    label, where that says something else. `placements` (default: all in the table) starts with the headline, which is
    what `counts` counts. `threshold` was fixed on validation data. `requires` of one stream alone adds the ceiling of
    a perfect detector of that stream, and the AUC on the fakes that it cannot see (`blind`; .5 is to be expected).
    Raises UserError for four classes without their probabilities.
    """
    chosen = _load(metrics, task)
    shown = list(placements) or [p for p in ("oracle", "sliding") if (table["placement"] == p).any()] or ["oracle"]
    stream = next(iter(requires)) if len(requires) == 1 else None
    clips = {placement: table[table["placement"] == placement] for placement in shown}
    videos = {placement: pool(rows, pooling) for placement, rows in clips.items()}
    parts: dict[str, dict[str, _Part]] = {}
    failures: set[str] = set()
    for placement in shown:
        of_placement = parts.setdefault(placement, {})
        for granularity, rows in _granularities(clips[placement], videos[placement], threshold).items():
            _require_probabilities(rows, task)
            intervals = bootstrap(rows, chosen, resamples=resamples, seed=seed, failures=failures)
            found = {name: measured(i, rows) for name, i in intervals.items() if i.n or rows.empty}
            of_placement[granularity] = _part(rows, task, found, stream)
    every = [part for of_placement in parts.values() for part in of_placement.values()]
    return Measurements(
        metrics={p: {g: part.metrics for g, part in found.items()} for p, found in parts.items()},
        confusion={p: {g: part.confusion for g, part in found.items()} for p, found in parts.items()},
        counts=_counts(videos[shown[0]], clips),
        ceilings=_there({p: {g: part.ceiling for g, part in found.items()} for p, found in parts.items()}),
        blind=_there({p: {g: part.blind for g, part in found.items()} for p, found in parts.items()}),
        caveats=tuple(dict.fromkeys((*(caveat for part in every for caveat in part.caveats), *_empty(clips)))),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What is measured in one placement at one granularity."""

    metrics: Mapping[str, Measured]
    confusion: Confusion
    ceiling: Ceiling | None = None
    blind: Blind | None = None
    caveats: list[str] = field(default_factory=list)


def _part(rows: pd.DataFrame, task: Task, found: Mapping[str, Measured], stream: Stream | None) -> _Part:
    """Return the part of scored rows whose metrics are `found`; `stream` is the only one a detector is given."""
    few: list[str] = [Caveat.FEW_CLUSTERS] if rows["cluster"].nunique() < FEW else []
    confusion = _confusion(rows, task)
    if stream is None:
        return _Part(found, confusion, caveats=few)
    ceiling, blind = _ceiling(rows, stream), _blind(found, stream)
    return _Part(found, confusion, ceiling, blind, [*_passes(found, ceiling), *_sees_unseen(blind), *few])


def _there(by_placement: Mapping[str, Mapping[str, T | None]]) -> dict[str, dict[str, T]]:
    """Return what there is, without placements that have nothing."""
    there = {p: {g: one for g, one in found.items() if one is not None} for p, found in by_placement.items()}
    return {placement: found for placement, found in there.items() if found}


def _load(metrics: Mapping[str, MetricSpec], task: Task) -> dict[str, Measure]:
    """Import the task's metrics; one that cannot be imported must not cost the others."""
    loaded: dict[str, Measure] = {}
    for name, spec in metrics.items():
        if task in spec.tasks:
            try:
                loaded[name] = load_object(spec.compute, f"metric {name}")
            except UserError as error:
                log.warning("%s; it is left out", error)
    return loaded


def _granularities(clips: pd.DataFrame, videos: pd.DataFrame, threshold: float | None) -> dict[str, pd.DataFrame]:
    """Return the scored rows of each granularity that is worth a table."""
    granularities = {"video": videos}
    if (videos["clips"] > 1).any() or (clips["forgery"] != clips["clip_forgery"]).any():
        granularities["clip"] = clips.assign(forgery=clips["clip_forgery"])
    else:
        granularities["video"] = videos.drop(columns=["score_max", "score_top3"])  # of one clip, they are the score
    scored = {name: rows[rows["score"].notna()].reset_index(drop=True) for name, rows in granularities.items()}
    for rows in scored.values():
        rows.attrs = {} if threshold is None else {"threshold": float(threshold)}
    return scored


def _require_probabilities(rows: pd.DataFrame, task: Task) -> None:
    if len(rows) and (task == "four_class") != built_in.is_four_class(rows):
        held = "only P(fake)" if task == "four_class" else "four class probabilities"
        raise UserError(f"these scores hold {held}, which is not what the task {task} is; choose the other --task")


def measured(interval: Interval, rows: pd.DataFrame) -> Measured:
    """Return what a card says of a measured value; `rows` tell which classes there are."""
    note = ""
    if math.isnan(interval.value):
        missing = [f.name for f in Forgery if not (rows["forgery"] == f).any()]
        note = f"undefined: no {', '.join(missing)} in the test set" if missing else "undefined"
    return Measured(
        value=_number(interval.value),
        ci95=None if math.isnan(interval.low) else (interval.low, interval.high),
        n=interval.n,
        clusters=interval.clusters,
        few_clusters=interval.few_clusters,
        resamples=interval.resamples,
        skipped=interval.skipped,
        note=note,
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _confusion(rows: pd.DataFrame, task: Task) -> Confusion:
    labels = LABELS[task]
    matrix = built_in.decisions(rows).total()[0] if len(rows) else np.zeros((len(labels), len(labels)))
    return Confusion(labels, tuple(tuple(row) for row in matrix.astype(int).tolist()))


def _counts(videos: pd.DataFrame, clips: Mapping[Placement, pd.DataFrame]) -> Counts:
    """Count videos: scored or not, why not, and of which class; and the clips of each placement."""
    unscored = videos[videos["score"].isna()]
    return Counts(
        scored=len(videos) - len(unscored),
        unscored=len(unscored),
        reasons={str(reason): int(n) for reason, n in unscored["reason"].value_counts().sort_index().items()},
        by_class={f.name: int((videos["forgery"] == f).sum()) for f in Forgery},
        unscored_by_class={f.name: int((unscored["forgery"] == f).sum()) for f in Forgery},
        clips={placement: _clip_counts(rows) for placement, rows in clips.items()},
    )


def _clip_counts(rows: pd.DataFrame) -> ClipCounts:
    scored = rows[rows["score"].notna()]
    return ClipCounts(
        scored=len(scored),
        unscored=len(rows) - len(scored),
        frozen=int((scored["frozen"] >= FROZEN).sum()) if "frozen" in scored else 0,
        silent=int(((scored["level_db"] <= SILENT) | (scored["mix_db"] <= CANCELLED)).sum())
        if "mix_db" in scored
        else 0,
    )


def _empty(clips: Mapping[Placement, pd.DataFrame]) -> list[str]:
    """Return the caveats of clips in which something came back that is not what was filmed or can be heard."""
    counts = [_clip_counts(rows) for rows in clips.values()]
    found = {
        Caveat.FROZEN_CLIPS: any(c.frozen > NOT_FEW * c.scored for c in counts),
        Caveat.SILENT_CLIPS: any(c.silent > NOT_FEW * c.scored for c in counts),
    }
    return [caveat for caveat, holds in found.items() if holds]


def _ceiling(rows: pd.DataFrame, stream: Stream) -> Ceiling:
    """Return what a perfect detector of one stream would reach, judged like any other: fake if either is fake."""
    seen = rows["forgery"].to_numpy() & (1 if stream == "video" else 2)
    perfect = rows[["forgery"]].assign(score=(seen > 0).astype(float))
    return Ceiling(stream, _number(built_in.acc(perfect)), _number(built_in.auc(perfect)))


def _passes(found: Mapping[str, Measured], ceiling: Ceiling) -> list[str]:
    """Return the caveat of an AUC that one stream cannot honestly give: something else gives the forgery away."""
    interval = found["auc"].ci95 if "auc" in found else None
    passes = interval is not None and ceiling.auc is not None and interval[0] > ceiling.auc
    return [above_ceiling(ceiling.stream)] if passes else []


def _blind(found: Mapping[str, Measured], stream: Stream) -> Blind:
    """Return how well RARV is told from fakes whose forged stream this detector never gets: .5 is to be expected."""
    unseen = UNSEEN[stream]
    auc = found.get(f"auc_{unseen.name.lower()}", Measured(n=0))
    return Blind(stream, unseen.name, auc.value, auc.ci95, auc.n)


def _sees_unseen(blind: Blind) -> list[str]:
    """Return the caveat of a detector that tells what its stream does not show: files give their class away."""
    if blind.auc is None or blind.ci95 is None or blind.auc <= BLIND or blind.ci95[0] <= 0.5:
        return []
    return [tells_unseen(blind.stream, UNSEEN[blind.stream])]
