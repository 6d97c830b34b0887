"""How good an epoch is on validation data, and the threshold fixed there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avbench.types import Task

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Quality:
    """AUC (macro one-vs-rest for four classes; nan where undefined) and mean negative log-likelihood."""

    auc: float
    nll: float

    def better_than(self, other: Quality) -> bool:
        """Compare by AUC, then by likelihood; likelihood alone where an AUC is undefined."""
        if math.isnan(self.auc) or math.isnan(other.auc) or self.auc == other.auc:
            return self.nll < other.nll
        return self.auc > other.auc


def quality(truth: NDArray[np.int64], score: Floats, classes: Floats, task: Task) -> tuple[Quality, float]:
    """Measure validation clips: truth (N,), P(fake) (N,), class probabilities (N,4); also the best threshold.

    The threshold has the highest balanced accuracy of "fake if score > threshold", the middle one of equals.
    """
    from sklearn.metrics import roc_auc_score

    if len(truth) == 0:
        return Quality(math.nan, math.inf), 0.5
    fake = truth > 0
    if task == "four_class":
        likelihood = classes[np.arange(len(truth)), truth]
        present = [k for k in range(4) if 0 < (truth == k).sum() < len(truth)]
        aucs = [roc_auc_score(truth == k, classes[:, k]) for k in present]
    else:
        likelihood = np.where(fake, score, 1 - score)
        aucs = [roc_auc_score(fake, score)] if 0 < fake.sum() < len(fake) else []
    nll = float(-np.log(np.clip(likelihood, 1e-7, 1)).mean())
    return Quality(float(np.mean(aucs)) if aucs else math.nan, nll), _threshold(fake, score)


def _threshold(fake: NDArray[np.bool_], score: Floats) -> float:
    if not 0 < fake.sum() < len(fake):
        return 0.5
    values = np.unique(score)
    middles = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [1.0]])
    hit = np.searchsorted(np.sort(score[fake]), middles, side="right")
    correct = np.searchsorted(np.sort(score[~fake]), middles, side="right")
    balanced = (1 - hit / fake.sum() + correct / (~fake).sum()) / 2
    best = np.flatnonzero(balanced >= balanced.max() - 1e-12)
    return float(middles[best[len(best) // 2]])
