"""F1 of labels that frames have, such as action units: from counts by person, with intervals over people.

Letters: P people (clusters), N labels; counts are true and false positives, false and true negatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Counts = NDArray[np.float64]
KINDS = ("true_positive", "false_positive", "false_negative", "true_negative")
RESAMPLES = 1000


def f1(counts: Counts) -> NDArray[np.float64]:
    """Return F1 (...,N) from counts (...,N,4); 0 for a label that is neither shown nor found."""
    hit, false, missed = counts[..., 0], counts[..., 1], counts[..., 2]
    return np.asarray(2 * hit / np.maximum(2 * hit + false + missed, 1.0))


def baselines(counts: Counts, trained_rates: Sequence[float]) -> dict[str, NDArray[np.float64]]:
    """Return F1 (N,) of two answers that look at nothing, from counts (N,4).

    "majority" says what holds of most training frames; "all positive" says that every label holds.
    """
    shown, absent = counts[:, 0] + counts[:, 2], counts[:, 1] + counts[:, 3]
    everything = f1(np.stack([shown, absent, 0 * shown, 0 * shown], axis=1))
    return {"majority": np.where(np.asarray(trained_rates) > 0.5, everything, 0.0), "all positive": everything}


def intervals(counts: Counts, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """Return 95 % intervals (N,2) of F1 a label and (2,) of their mean, over people drawn with replacement."""
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=RESAMPLES)
    resampled = f1(np.einsum("rp,pnk->rnk", drawn.astype(np.float64), counts))
    low_high = [0.025, 0.975]
    return {"units": np.quantile(resampled, low_high, axis=0).T, "mean": np.quantile(resampled.mean(1), low_high)}


def table(counts: Counts, names: Sequence[str], trained_rates: Sequence[float], seed: int = 0) -> pd.DataFrame:
    """Return one row a unit, and one of their mean: frames, rate, F1 with its interval, baselines."""
    summed = counts.sum(axis=0)
    values, spread, blind = f1(summed), intervals(counts, seed), baselines(summed, trained_rates)
    rows = pd.DataFrame(
        {
            "unit": names,
            "frames": summed.sum(axis=1).astype(int),
            "rate": (summed[:, 0] + summed[:, 2]) / np.maximum(summed.sum(axis=1), 1.0),
            "f1": values,
            "low": spread["units"][:, 0],
            "high": spread["units"][:, 1],
            **{name: value for name, value in blind.items()},
        }
    )
    mean: dict[str, Any] = {"unit": "mean", "frames": int(rows["frames"].max()), "rate": rows["rate"].mean()}
    mean |= {"f1": values.mean(), "low": spread["mean"][0], "high": spread["mean"][1]}
    mean |= {name: value.mean() for name, value in blind.items()}
    return pd.concat([rows, pd.DataFrame([mean])], ignore_index=True)
