"""How well one number tells two classes apart: an AUC with an interval over clusters."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avbench.auditing.verdicts import Area
from avbench.metrics import definitions as metrics
from avbench.metrics.intervals import FEW, bootstrap

RESAMPLES = 1000
FOLDS = 5
_MOST_CATEGORIES = 24


def area(
    values: pd.Series, positive: pd.Series, cluster: pd.Series, *, resamples: int = RESAMPLES, seed: int = 0
) -> Area:
    """Return the AUC of `values` for telling `positive` rows (bool) from the others; rows without a value are left out.

    Texts are categories, the rare ones together: each is scored by its share of positives among other clusters, so that
    many names do not tell by chance; such a score cannot be wrong for a reason, and below .5 it tells nothing.
    """
    known = values.notna()
    values, positive, cluster = values[known], positive[known].astype(bool), cluster[known]
    named = not _numeric(values)
    score = _shares(values, positive, cluster, seed) if named else values.to_numpy(np.float64)
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
    measured = Area(found.value, interval, found.n, fewest, fewest < FEW)
    return measured.one_sided() if named else measured


def _numeric(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values) or values.map(lambda v: isinstance(v, int | float)).all())


def _shares(values: pd.Series, positive: pd.Series, cluster: pd.Series, seed: int) -> NDArray[np.float64]:
    """Return for each row how much commoner positives are in its category than on the whole, in other folds' clusters.

    A category that the other folds lack scores 0; nan where there are too few clusters for folds.
    """
    every = values.astype(str)
    common = set(every.value_counts().index[:_MOST_CATEGORIES])
    names = every.where(every.isin(common), "others").to_numpy()
    found, score = positive.to_numpy(), np.full(len(names), np.nan)
    for train, test in grouped_folds(found, cluster.to_numpy(), seed):
        share = pd.Series(found[train]).groupby(names[train]).mean() - found[train].mean()
        score[test] = pd.Series(names[test]).map(share).fillna(0.0)
    return np.asarray(score.round(9), np.float64)


def grouped_folds(
    positive: NDArray[np.bool_], cluster: NDArray[np.object_], seed: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield rows to train on and rows to test, no cluster in both; nothing where a class has a single cluster."""
    from sklearn.model_selection import StratifiedGroupKFold

    groups = min(len(set(cluster[positive])), len(set(cluster[~positive])))
    if groups < 2:
        return
    folds = StratifiedGroupKFold(min(FOLDS, groups), shuffle=True, random_state=seed)
    for train, test in folds.split(np.zeros(len(positive)), positive, cluster):
        if 0 < positive[train].sum() < len(train):
            yield train, test
