"""How a detector's figures fall as its test videos are perturbed: from a scores table to what the card says of it."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from avbench.metrics import definitions as built_in
from avbench.metrics.intervals import Floats, codes, count_once, interval, resampled
from avbench.metrics.measuring import measured
from avbench.metrics.pooling import pool
from avbench.records.measured import CommonVideos, Measured, PerturbedLevel, PerturbedType, Robustness, Strength
from avbench.types import Placement, Pooling

if TYPE_CHECKING:  # a condition's own module can encode sound
    from avbench.perturbations.conditions import Condition

METRICS = {"auc": built_in.auc, "acc": built_in.acc}
Key = tuple[str, int]
CLEAN: Key = ("", 0)


def robustness(
    table: pd.DataFrame,
    conditions: Sequence[Condition | None],
    *,
    placement: Placement,
    pooling: Pooling = "mean",
    seed: int = 0,
    resamples: int = 1000,
) -> Robustness:
    """Measure AUC and Acc by type and level of perturbation, their means over levels and their drops.

    All are measured on the videos that have a score under every condition, and on the same resamples of clusters, so
    that the interval of a drop is that of a paired difference. `drop` is clean minus perturbed.
    """
    rows = table[table["placement"] == placement]
    videos = {_key(condition): pool(_of(rows, _key(condition)), pooling) for condition in conditions}
    common = set.intersection(*(set(v.loc[v["score"].notna(), "id"]) for v in videos.values()))
    kept = {key: v[v["id"].isin(common)].reset_index(drop=True) for key, v in videos.items()}
    values = _Values(kept, seed, resamples)
    by_type: dict[str, list[Condition]] = {}
    for condition in conditions:
        if condition is not None:
            by_type.setdefault(condition.name, []).append(condition)
    return Robustness(
        placement=placement,
        videos=CommonVideos(len(common), int(videos[CLEAN]["id"].nunique() - len(common))),
        clean={name: values.measured(values.of(name, CLEAN)) for name in METRICS},
        types={name: _type(of_type, rows, values) for name, of_type in by_type.items()},
    )


def _type(conditions: Sequence[Condition], rows: pd.DataFrame, values: _Values) -> PerturbedType:
    """Return what becomes of the metrics under the levels of one type."""
    spec, keys = conditions[0].spec, [_key(condition) for condition in conditions]
    return PerturbedType(
        title=spec.title,
        stream=spec.stream,
        unit=spec.unit,
        source=spec.source,
        levels={
            condition.level: PerturbedLevel(
                parameter=condition.parameter,
                strength=_strength(_of(rows, key)),
                metrics={name: values.measured(values.of(name, key)) for name in METRICS},
                drop={name: values.measured(values.drop(name, [key]), share=False) for name in METRICS},
            )
            for condition, key in zip(conditions, keys, strict=True)
        },
        mean={name: values.measured(values.mean(name, keys)) for name in METRICS},
        drop={name: values.measured(values.drop(name, keys), share=False) for name in METRICS},
    )


class _Values:
    """Values of each metric under each condition, with the same draws of clusters for all of them."""

    def __init__(self, videos: dict[Key, pd.DataFrame], seed: int, resamples: int) -> None:
        self.rows = videos[CLEAN]
        self.values: dict[tuple[str, Key], tuple[float, Floats]] = {}
        cluster, self.clusters = codes(self.rows["cluster"])
        for key, table in videos.items():
            counts = count_once(table, METRICS)
            drawn = resampled(counts, METRICS, cluster, self.clusters, resamples, seed)
            for name, metric in METRICS.items():
                self.values[name, key] = float(metric.of_counts(counts[metric.counting].total())[0]), drawn[name]

    def of(self, metric: str, key: Key) -> tuple[float, Floats]:
        """Return a metric under a condition, and its draws."""
        return self.values[metric, key]

    def mean(self, metric: str, keys: Sequence[Key]) -> tuple[float, Floats]:
        """Return the mean of a metric over conditions."""
        values, draws = zip(*(self.values[metric, key] for key in keys), strict=True)
        return float(np.mean(values)), np.mean(draws, axis=0)

    def drop(self, metric: str, keys: Sequence[Key]) -> tuple[float, Floats]:
        """Return how much lower the mean over conditions is than what is measured on the videos as they are."""
        clean, mean = self.values[metric, CLEAN], self.mean(metric, keys)
        return clean[0] - mean[0], clean[1] - mean[1]

    def measured(self, value: tuple[float, Floats], *, share: bool = True) -> Measured:
        """Return a value and its draws as a card says it; `share`: it lies in [0,1], as differences do not."""
        return measured(interval(*value, len(self.rows), self.clusters, share=share), self.rows)


def _key(condition: Condition | None) -> Key:
    return CLEAN if condition is None else (condition.name, condition.level)


def _of(rows: pd.DataFrame, key: Key) -> pd.DataFrame:
    return rows[(rows["perturbation"] == key[0]) & (rows["level"] == key[1])]


def _strength(rows: pd.DataFrame) -> Strength:
    """Return medians over clips of PSNR, SNR and bitrate, and how many clips the condition left as they were."""
    scored = rows[rows["score"].notna()]
    decibels = scored[["psnr", "snr"]].to_numpy(np.float64)
    same = (decibels == inf).any(axis=1) & ~np.isfinite(decibels).any(axis=1)
    return Strength(len(scored), int(same.sum()), *(_median(scored[name]) for name in ("psnr", "snr", "kbps")))


def _median(values: pd.Series) -> float | None:
    """Return the median of the finite values, None where there is none."""
    finite = values[np.isfinite(values)]
    return round(float(finite.median()), 3) if len(finite) else None
