"""Metrics: pure functions of a scores table, never of a model.

A built-in metric is a count and a formula. The count sorts rows into cells (a confusion matrix; real and fake at each
score level); the formula turns cells into a number. Resampling only reweights the cells, so intervals stay cheap.
A fake is called where P(fake) > 0.5, the argmax of a softmax; of four classes the most probable one is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avbench.metrics.pooling import has_logits
from avbench.metrics.pooling import pool as pool
from avbench.records.scores import PROBABILITIES
from avbench.types import Forgery

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Count:
    """What a table holds of each cell: `value` of row `row` belongs to flat cell `cell` of an array of `shape`."""

    row: Integers
    cell: Integers
    value: Floats
    shape: tuple[int, ...]

    def total(self) -> Floats:
        """Return the sum of each cell, an array of (1, *shape)."""
        flat = np.bincount(self.cell, weights=self.value, minlength=int(np.prod(self.shape)))
        return flat.astype(np.float64).reshape(1, *self.shape)

    def coarse(self, most: int) -> Count:
        """Merge neighbouring score levels into at most `most` of equal mass; counts without levels stay."""
        if len(self.shape) != 3 or self.shape[1] <= most:
            return self
        k, level, hit = np.unravel_index(self.cell, self.shape)
        size = self.total()[0].sum(-1)
        merged = (np.cumsum(size, 1) - size) * most // size.sum(1, keepdims=True)
        shape = (self.shape[0], most, 2)
        cell = np.ravel_multi_index((k, merged.astype(np.int64)[k, level], hit), shape)
        return Count(self.row, cell, self.value, shape)


Counting = Callable[[pd.DataFrame], Count]
Formula = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Metric:
    """A count and a formula: `counting` (table) -> Count; `formula` (N,*shape) -> (N,)."""

    counting: Counting
    formula: Formula

    def __call__(self, table: pd.DataFrame) -> float:
        """Return the value for a table of scored rows; nan where it is undefined."""
        return float(self.of_counts(self.counting(table).total())[0])

    def of_counts(self, counts: Floats) -> Floats:
        """Apply the formula to counts (N,*shape); undefined ones become nan without a warning."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.formula(counts)


def is_four_class(table: pd.DataFrame) -> bool:
    """Tell whether the table holds the probabilities of four classes."""
    return PROBABILITIES[0] in table and bool(table[PROBABILITIES[0]].notna().any())


# ---- counts ------------------------------------------------------------------------------------------------------


def decisions(table: pd.DataFrame) -> Count:
    """Count (truth, called) at the detector's own decision: 2 x 2 or 4 x 4."""
    return class_decisions(table) if is_four_class(table) else fake_decisions(table)


def class_decisions(table: pd.DataFrame) -> Count:
    """Count (class, called class) of four; nothing where there are no probabilities of four."""
    truth, p = _classes(table)
    return _confusion(truth, p.argmax(axis=1), 4)


def fake_decisions(table: pd.DataFrame) -> Count:
    """Count (fake, called fake) where a fake is called above 0.5."""
    return _confusion(_truth(table) > 0, _score(table) > 0.5, 2)


def threshold_decisions(table: pd.DataFrame) -> Count:
    """Count (fake, called fake) above the threshold fixed on validation data, `table.attrs["threshold"]`."""
    threshold = table.attrs.get("threshold")
    if threshold is None:
        return _confusion(np.zeros(0), np.zeros(0), 2)
    return _confusion(_truth(table) > 0, _score(table) > threshold, 2)


def score_levels(table: pd.DataFrame) -> Count:
    """Count (1, score level, fake), levels rising; log-odds, where all are known, tell scores near 1 apart."""
    return _levels([_rank(table)], (_truth(table) > 0)[None])


def levels(table: pd.DataFrame) -> Count:
    """Count (class, level of its probability, is that class) for four classes, as `score_levels` for two."""
    if not is_four_class(table):
        return score_levels(table)
    truth, p = _classes(table)
    return _levels(list((_class_odds(p) if has_logits(table) else p).T), truth == np.arange(4)[:, None])


def _levels_of(column: str) -> Counting:
    def counting(table: pd.DataFrame) -> Count:
        rows = table if column in table else table.iloc[:0].assign(**{column: 0.0})
        return _levels([_score(rows, column)], (_truth(rows) > 0)[None])

    return counting


def _against_real(forgery: Forgery) -> Counting:
    def counting(table: pd.DataFrame) -> Count:
        truth = _truth(table)
        rows = np.flatnonzero((truth == Forgery.RARV) | (truth == forgery))
        found = _levels([_rank(table)[rows]], (truth[rows] == forgery)[None])
        return Count(rows[found.row], found.cell, found.value, found.shape)

    return counting


def squared_errors(table: pd.DataFrame) -> Count:
    """Count (sum of squared errors of P(fake), rows)."""
    error = (_score(table) - (_truth(table) > 0)) ** 2
    return _sums(np.zeros(len(error), np.int64), error, 1)


def calibration_bins(table: pd.DataFrame) -> Count:
    """Count (sum of P(fake) - fake in each of 15 equal bins of P(fake), rows)."""
    score = _score(table)
    return _sums(np.minimum((score * 15).astype(np.int64), 14), score - (_truth(table) > 0), 15)


def _truth(table: pd.DataFrame) -> Integers:
    return table["forgery"].to_numpy(np.int64)


def _classes(table: pd.DataFrame) -> tuple[Integers, Floats]:
    rows = table if is_four_class(table) else table.iloc[:0]
    return _truth(rows), rows.reindex(columns=list(PROBABILITIES)).to_numpy(np.float64)


def _score(table: pd.DataFrame, column: str = "score") -> Floats:
    return table[column].to_numpy(np.float64)


def _rank(table: pd.DataFrame) -> Floats:
    """Return what orders clips or videos: log-odds where all are known, else the score."""
    return _score(table, "logit") if has_logits(table) else _score(table)


def _class_odds(p: Floats) -> Floats:
    """Return the log-odds of each class, from the other ones' probabilities, which keep digits where it rounds to 1."""
    others = np.stack([np.delete(p, k, axis=1).sum(axis=1) for k in range(p.shape[1])], axis=1)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(p) - np.log(others))


def _confusion(truth: NDArray[np.generic], called: NDArray[np.generic], classes: int) -> Count:
    cell = truth.astype(np.int64) * classes + called.astype(np.int64)
    return Count(np.arange(len(cell)), cell, np.ones(len(cell)), (classes, classes))


def _sums(bins: Integers, values: Floats, count: int) -> Count:
    """Sum values by bin, and the rows in one more cell."""
    row = np.arange(len(bins))
    cell = np.concatenate([bins, np.full(len(bins), count)])
    return Count(np.concatenate([row, row]), cell, np.concatenate([values, np.ones(len(bins))]), (count + 1,))


def _levels(scores: list[Floats], positive: NDArray[np.bool_]) -> Count:
    """Count positives and negatives at each distinct value of each score."""
    ranks = [np.unique(score, return_inverse=True)[1] for score in scores]
    levels = max((int(rank.max()) + 1 for rank in ranks if len(rank)), default=1)
    cells = [(k * levels + rank) * 2 + hit for k, (rank, hit) in enumerate(zip(ranks, positive, strict=True))]
    row = np.tile(np.arange(len(scores[0])), len(scores))
    return Count(row, np.concatenate(cells).astype(np.int64), np.ones(len(row)), (len(scores), levels, 2))


# ---- formulas ----------------------------------------------------------------------------------------------------


def _accuracy(c: Floats) -> Floats:
    return np.asarray(np.trace(c, axis1=1, axis2=2) / c.sum((1, 2)))


def _balanced_accuracy(c: Floats) -> Floats:
    return np.asarray((np.diagonal(c, axis1=1, axis2=2) / c.sum(2)).mean(1))  # nan if a class is missing


def _majority(c: Floats) -> Floats:
    return np.asarray(c.sum(2).max(1) / c.sum((1, 2)))


def _recall(k: int) -> Formula:
    return lambda c: np.asarray(c[:, k, k] / c[:, k].sum(1))


def _precision(k: int) -> Formula:
    return lambda c: np.asarray(c[:, k, k] / c[:, :, k].sum(1))


def _f1(k: int) -> Formula:
    return lambda c: np.asarray(2 * c[:, k, k] / (c[:, k].sum(1) + c[:, :, k].sum(1)))


def _areas(c: Floats) -> Floats:
    """Return the area under each ROC curve (N,K) of (N,K,level,2); a tie counts one half (midranks)."""
    negative, positive = c[..., 0], c[..., 1]
    below = np.cumsum(negative, axis=-1) - negative / 2
    return np.asarray((positive * below).sum(-1) / (positive.sum(-1) * negative.sum(-1)))


def _mean_area(c: Floats) -> Floats:
    return np.asarray(_areas(c).mean(1))


def _area(k: int) -> Formula:
    return lambda c: np.asarray(_areas(c[:, k : k + 1])[:, 0])


def _rest_area(k: int) -> Formula:
    return lambda c: _area(k)(c) if c.shape[1] == 4 else np.full(len(c), np.nan)


def roc_points(c: Floats) -> tuple[Floats, Floats]:
    """Return false and true positive rates (N,level+1) of counts (N,1,level,2), from (0,0) to (1,1)."""
    falling = np.cumsum(c[:, 0, ::-1], axis=1)
    rates = np.concatenate([np.zeros_like(falling[:, :1]), falling / falling[:, -1:]], axis=1)
    return rates[..., 0], rates[..., 1]


def _equal_error_rate(c: Floats) -> Floats:
    """Return where misses equal false alarms, on straight lines between the points of the ROC curve."""
    false_alarm, hit = roc_points(c)
    gap = 1 - hit - false_alarm  # falls from 1 to -1
    after = np.maximum((gap <= 0).argmax(1), 1)[:, None]
    g0, g1 = np.take_along_axis(gap, after - 1, 1), np.take_along_axis(gap, after, 1)
    f0, f1 = np.take_along_axis(false_alarm, after - 1, 1), np.take_along_axis(false_alarm, after, 1)
    return np.asarray((f0 + (f1 - f0) * g0 / (g0 - g1))[:, 0])


def _average_precision(c: Floats) -> Floats:
    """Return the sum of precision times gained recall over falling levels, fakes being positive."""
    negative, positive = c[:, 0, ::-1, 0], c[:, 0, ::-1, 1]
    hits, alarms = np.cumsum(positive, 1), np.cumsum(negative, 1)
    precision = hits / np.maximum(hits + alarms, 1e-300)
    return np.asarray((positive * precision).sum(1) / np.where(alarms[:, -1] > 0, hits[:, -1], np.nan))


def _average_precision_of_real(c: Floats) -> Floats:
    return _average_precision(c[:, :, ::-1, ::-1])


def _mean(c: Floats) -> Floats:
    return np.asarray(np.abs(c[:, :-1]).sum(1) / c[:, -1])


# ---- the metrics -------------------------------------------------------------------------------------------------

acc = Metric(decisions, _accuracy)
balanced_acc = Metric(decisions, _balanced_accuracy)
majority = Metric(decisions, _majority)
auc = Metric(levels, _mean_area)
eer = collapsed_eer = Metric(score_levels, _equal_error_rate)
ap = collapsed_ap = Metric(score_levels, _average_precision)
ap_real = Metric(score_levels, _average_precision_of_real)
acc_at_threshold = Metric(threshold_decisions, _accuracy)
balanced_acc_at_threshold = Metric(threshold_decisions, _balanced_accuracy)
brier = Metric(squared_errors, _mean)
ece = Metric(calibration_bins, _mean)
auc_max = Metric(_levels_of("score_max"), _area(0))
auc_top3 = Metric(_levels_of("score_top3"), _area(0))
auc_rafv, auc_farv, auc_fafv = (Metric(_against_real(f), _area(0)) for f in list(Forgery)[1:])

collapsed_acc = Metric(fake_decisions, _accuracy)
collapsed_balanced_acc = Metric(fake_decisions, _balanced_accuracy)
collapsed_majority = Metric(fake_decisions, _majority)
collapsed_auc = Metric(score_levels, _area(0))
rest_auc_rarv, rest_auc_rafv, rest_auc_farv, rest_auc_fafv = (Metric(levels, _rest_area(k)) for k in Forgery)
recall_rarv, recall_rafv, recall_farv, recall_fafv = (Metric(class_decisions, _recall(k)) for k in Forgery)
precision_rarv, precision_rafv, precision_farv, precision_fafv = (
    Metric(class_decisions, _precision(k)) for k in Forgery
)
f1_rarv, f1_rafv, f1_farv, f1_fafv = (Metric(class_decisions, _f1(k)) for k in Forgery)
