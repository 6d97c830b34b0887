"""From a scores table to what a card says of it: metrics with intervals, confusion matrices, counts, ceilings.

Of a detector of one stream it also says what a perfect one would reach, and whether it tells apart what it cannot see.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from avbench.errors import UserError
from avbench.metrics import definitions as built_in
from avbench.metrics.intervals import FEW, Interval, Measure, bootstrap
from avbench.metrics.pooling import pool
from avbench.references import load_object
from avbench.types import Forgery, MetricSpec, Placement, Pooling, Stream, Task

log = logging.getLogger(__name__)
LABELS: Mapping[Task, tuple[str, ...]] = {"binary": ("real", "fake"), "four_class": tuple(f.name for f in Forgery)}
Part = dict[str, Any]
# The fakes whose stream of that name is real: to a detector of this stream they are like RARV.
UNSEEN: Mapping[Stream, Forgery] = {"video": Forgery.FARV, "audio": Forgery.RAFV}
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
) -> Part:
    """Return the measured parts of a card: metrics, confusion, counts, ceilings, blind, and `measured_marks`.

    The first two go by placement and granularity: "video", one pooled score each, and "clip", each clip by its own
    label, where that says something else. `placements` (default: all in the table) starts with the headline, which is
    what `counts` counts. `threshold` was fixed on validation data. `requires` of one stream alone adds the ceiling of
    a perfect detector of that stream, and the AUC on the fakes that it cannot see (`blind`; .5 is to be expected).
    Raises UserError for four classes without their probabilities.
    """
    chosen = _load(metrics, task)
    shown = list(placements) or [p for p in ("oracle", "sliding") if (table["placement"] == p).any()] or ["oracle"]
    card: Part = {"metrics": {}, "confusion": {}, "counts": {}, "ceilings": {}, "blind": {}, "measured_marks": []}
    for placement in shown:
        clips = table[table["placement"] == placement]
        videos = pool(clips, pooling)
        card["counts"] = card["counts"] or _counts(videos)
        card["counts"].setdefault("clips", {})[placement] = {
            "scored": int(clips["score"].notna().sum()),
            "unscored": int(clips["score"].isna().sum()),
        }
        for granularity, rows in _granularities(clips, videos, threshold).items():
            _require_probabilities(rows, task)
            intervals = bootstrap(rows, chosen, resamples=resamples, seed=seed)
            found = {name: entry(interval, rows) for name, interval in intervals.items() if interval.n or rows.empty}
            card["metrics"].setdefault(placement, {})[granularity] = found
            card["confusion"].setdefault(placement, {})[granularity] = _confusion(rows, task)
            if len(requires) == 1:
                stream = next(iter(requires))
                ceiling, blind = _ceiling(rows, stream), _blind(found, stream)
                card["ceilings"].setdefault(placement, {})[granularity] = ceiling
                card["blind"].setdefault(placement, {})[granularity] = blind
                _mark_above_ceiling(card, found, ceiling)
                _mark_blind(card, blind)
            if rows["cluster"].nunique() < FEW and "few clusters" not in card["measured_marks"]:
                card["measured_marks"].append("few clusters")
    return card


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


def entry(interval: Interval, rows: pd.DataFrame) -> Part:
    """Return what a card says of a measured value; `rows` tell which classes there are."""
    entry: Part = {
        "value": _number(interval.value),
        "ci95": None if math.isnan(interval.low) else [interval.low, interval.high],
        "n": interval.n,
        "clusters": interval.clusters,
        "few_clusters": interval.few_clusters,
        "resamples": interval.resamples,
        "skipped": interval.skipped,
    }
    missing = [f.name for f in Forgery if not (rows["forgery"] == f).any()]
    if entry["value"] is None:
        entry["note"] = f"undefined: no {', '.join(missing)} in the test set" if missing else "undefined"
    return entry


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _confusion(rows: pd.DataFrame, task: Task) -> Part:
    """Return counts, true class by row and called class by column."""
    labels = LABELS[task]
    matrix = built_in.decisions(rows).total()[0] if len(rows) else np.zeros((len(labels), len(labels)))
    return {"labels": list(labels), "matrix": matrix.astype(int).tolist()}


def _counts(videos: pd.DataFrame) -> Part:
    """Count videos: scored or not, why not, and of which class."""
    unscored = videos[videos["score"].isna()]
    return {
        "scored": len(videos) - len(unscored),
        "unscored": len(unscored),
        "reasons": {str(reason): int(n) for reason, n in unscored["reason"].value_counts().sort_index().items()},
        "by_class": {f.name: int((videos["forgery"] == f).sum()) for f in Forgery},
        "unscored_by_class": {f.name: int((unscored["forgery"] == f).sum()) for f in Forgery},
    }


def _ceiling(rows: pd.DataFrame, stream: Stream) -> Part:
    """Return what a perfect detector of one stream would reach, judged like any other: fake if either is fake."""
    seen = rows["forgery"].to_numpy() & (1 if stream == "video" else 2)
    perfect = rows[["forgery"]].assign(score=(seen > 0).astype(float))
    return {"stream": stream, "acc": _number(built_in.acc(perfect)), "auc": _number(built_in.auc(perfect))}


def _mark_above_ceiling(card: Part, found: Mapping[str, Part], ceiling: Part) -> None:
    """Mark an AUC that one stream cannot honestly give: something else than the forgery gives it away."""
    interval = found.get("auc", {}).get("ci95")
    mark = f"AUC above the ceiling of {ceiling['stream']} alone"
    if interval and ceiling["auc"] is not None and interval[0] > ceiling["auc"] and mark not in card["measured_marks"]:
        card["measured_marks"].append(mark)


def _blind(found: Mapping[str, Part], stream: Stream) -> Part:
    """Return how well RARV is told from fakes whose forged stream this detector never gets: .5 is to be expected."""
    unseen = UNSEEN[stream]
    value = found.get(f"auc_{unseen.name.lower()}", {"value": None, "ci95": None, "n": 0})
    return {"stream": stream, "against": unseen.name, "auc": value["value"], "ci95": value["ci95"], "n": value["n"]}


def _mark_blind(card: Part, blind: Part) -> None:
    """Mark a detector that tells apart what its stream does not show: files give their class away by other means."""
    mark = f"{blind['stream']} alone tells {blind['against']} from RARV"
    if blind["auc"] is None or blind["ci95"] is None or mark in card["measured_marks"]:
        return
    if blind["auc"] > BLIND and blind["ci95"][0] > 0.5:
        card["measured_marks"].append(mark)
