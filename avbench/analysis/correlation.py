"""Temporal correlation intensity of action units, real against fake (FauForensics, Figure 1(b); arXiv 2505.08294).

Letters: T frames, N units, B clips. The paper draws the intensity and gives no formula; here it is Pearson's
correlation, over the units, of two frames of one clip, averaged over all pairs of frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avbench.types import Forgery

Floats = NDArray[np.float64]
RESAMPLES = 2000


def correlations(units_TN: NDArray[Any]) -> Floats:
    """Return Pearson's r over the units of every pair of frames, (T,T) in [-1, 1].

    1: both frames show the same pattern of units, whatever its strength. nan where a frame has an unknown unit or
    shows all units alike. Raises ValueError for fewer than two units.
    """
    if units_TN.ndim != 2 or units_TN.shape[1] < 2:
        raise ValueError(f"{units_TN.shape} action units; a pattern takes (T,N) with two or more")
    centred = np.asarray(units_TN, np.float64)
    centred = centred - centred.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(length > 1e-9, length, np.nan)
    found: Floats = np.clip(unit @ unit.T, -1, 1)
    return found


def by_lag(units_TN: NDArray[Any]) -> Floats:
    """Return the mean correlation of frames 1 to T-1 apart, (T-1,); nan where no pair is known."""
    matrix = correlations(units_TN)
    return np.array([_mean(np.diagonal(matrix, lag)) for lag in range(1, len(matrix))])


def intensity(units_TN: NDArray[Any]) -> float:
    """Return the mean correlation over all pairs of different frames; nan where no pair is known.

    It does not know the order of frames: what flickers and what drifts lower it alike, `by_lag` tells them apart.
    """
    matrix = correlations(units_TN)
    return _mean(matrix[np.triu_indices(len(matrix), 1)])


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def table_of(
    ids: Sequence[str], clusters: Sequence[str], forgery: NDArray[np.int64], series: Sequence[NDArray[Any]]
) -> pd.DataFrame:
    """Return a row a clip: id, cluster, class, intensity, and lag_1 to lag_T-1."""
    lags = [by_lag(units) for units in series]
    longest = max(map(len, lags), default=0)
    rows = []
    for name, cluster, label, units, lag in zip(ids, clusters, forgery, series, lags, strict=True):
        row: dict[str, Any] = {"id": name, "cluster": cluster, "class": Forgery(int(label)).name}
        row["intensity"] = intensity(units)
        rows.append(row | {f"lag_{k + 1}": lag[k] if k < len(lag) else np.nan for k in range(longest)})
    return pd.DataFrame(rows)


@dataclass(frozen=True, slots=True)
class Mean:
    """Means (...) of a group of clips with the 2.5 and 97.5 % quantiles over resampled clusters."""

    value: Floats
    low: Floats
    high: Floats
    drawn: Floats


def cluster_mean(
    values: NDArray[Any], clusters: Sequence[str], *, everyone: Sequence[str] | None = None, seed: int = 0
) -> Mean:
    """Return the mean over clips of values (B,) or (B,K), with a 95 % interval that resamples clusters.

    `everyone` are the clusters that are drawn from (default: those of these clips): give it for two groups that share
    people, and the draws are the same people in both. nan values are left out.
    """
    names = sorted(set(clusters if everyone is None else everyone))
    place = {name: row for row, name in enumerate(names)}
    table = np.asarray(values, np.float64).reshape(len(values), -1)
    known = ~np.isnan(table)
    total, count = np.zeros((2, len(names), table.shape[1]))
    rows = [place[name] for name in clusters]
    np.add.at(total, rows, np.where(known, table, 0))
    np.add.at(count, rows, known.astype(np.float64))
    times = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    with np.errstate(invalid="ignore"):
        value = total.sum(axis=0) / count.sum(axis=0)
        drawn = (times @ total) / (times @ count)
    shape = np.shape(values)[1:]
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    return Mean(value.reshape(shape), low.reshape(shape), high.reshape(shape), drawn.reshape(-1, *shape))


def difference(real: Mean, fake: Mean) -> tuple[float, float, float]:
    """Return real minus fake of two means of scalars drawn over the same clusters, with its 95 % interval."""
    low, high = np.nanquantile(real.drawn - fake.drawn, [0.025, 0.975])
    return float(real.value - fake.value), float(low), float(high)
