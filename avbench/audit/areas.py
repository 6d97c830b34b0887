"""How well one number tells two classes apart: an AUC with an interval over clusters."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avbench import metrics
from avbench.audit.verdicts import Area
from avbench.stats import FEW, bootstrap

RESAMPLES = 1000
_MOST_CATEGORIES = 24


def area(
    values: pd.Series, positive: pd.Series, cluster: pd.Series, *, resamples: int = RESAMPLES, seed: int = 0
) -> Area:
    """Return the AUC of `values` for telling `positive` rows (bool) from the others; rows without a value are left out.

    Texts are categories: they are ordered by their share of positives, the rare ones together.
    """
    known = values.notna()
    positive, cluster = positive[known].astype(bool), cluster[known]
    score = _numbers(values[known], positive)
    kept = np.isfinite(score)
    table = pd.DataFrame(
        {"score": score[kept], "forgery": positive.to_numpy()[kept].astype(int), "cluster": cluster.to_numpy()[kept]}
    )
    clusters = table.groupby("forgery")["cluster"].nunique()
    fewest = int(min(clusters.get(0, 0), clusters.get(1, 0)))
    if not fewest:
        return Area(None, None, len(table), 0, True)
    found = bootstrap(table, {"auc": metrics.auc}, resamples=resamples, seed=seed)["auc"]
    interval = None if math.isnan(found.low) else (found.low, found.high)
    return Area(found.value, interval, found.n, fewest, fewest < FEW)


def _numbers(values: pd.Series, positive: pd.Series) -> NDArray[np.float64]:
    if pd.api.types.is_numeric_dtype(values) or values.map(lambda v: isinstance(v, int | float)).all():
        return values.to_numpy(np.float64)
    names = values.astype(str)
    common = set(names.value_counts().index[:_MOST_CATEGORIES])
    names = names.where(names.isin(common), "others")
    share = positive.groupby(names).mean()
    return names.map(share).to_numpy(np.float64)
