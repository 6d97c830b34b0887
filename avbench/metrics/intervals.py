"""How sure a number is: intervals by resampling clusters, paired comparison, and DeLong as a cross-check."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit, logit
from scipy.stats import norm, rankdata
from scipy.stats import t as student_t

from avbench.errors import UserError
from avbench.metrics.definitions import Count, Counting, Metric
from avbench.own_line import told

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
Measure = Callable[[pd.DataFrame], float]

MARGIN = 1e-4  # from 0 and from 1, at which a share counts as this far away
FEW = 10  # clusters, below which an interval is too narrow to be believed
LEVELS = 4096  # score levels kept apart while resampling; the value itself always knows every one
_ROWS_A_PLAIN_METRIC_MAY_READ = 50_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its interval; nan where undefined. `n` rows in `clusters` clusters made it.

    `skipped` of `resamples` had no value, as when a class was not drawn; when half of them have none, or there is
    one cluster alone, there is no interval.
    """

    value: float
    low: float
    high: float
    n: int
    clusters: int
    resamples: int = 0
    skipped: int = 0

    @property
    def few_clusters(self) -> bool:
        """Whether there are so few clusters that the interval is a rough guide only."""
        return self.clusters < FEW


def bootstrap(
    table: pd.DataFrame,
    metrics: Mapping[str, Measure],
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    failures: set[str] | None = None,
) -> dict[str, Interval]:
    """Measure a table of scored rows, with intervals over whole clusters drawn with replacement, see `interval`.

    All metrics see the same draws. A built-in Metric reweights its counts; any other function is given the drawn rows
    themselves (fewer times, if there are many). Memory does not grow with `resamples`. `failures` are those of plugins
    that were told of before, see `_of_drawn_rows`.
    """
    cluster, clusters = codes(table["cluster"])
    built_in = {name: metric for name, metric in metrics.items() if isinstance(metric, Metric)}
    counts = count_once(table, built_in)
    drawn = resampled(counts, built_in, cluster, clusters, resamples, seed)
    used = {counting: _used(count, cluster) for counting, count in counts.items()}
    found = {}
    for name, metric in metrics.items():
        if isinstance(metric, Metric):
            value = metric.of_counts(counts[metric.counting].total())[0]
            found[name] = interval(value, drawn[name], *used[metric.counting], confidence, share=True)
        else:
            value, values = _of_drawn_rows(table, name, metric, resamples=resamples, seed=seed, failures=failures)
            share = bool((np.isnan(values) | ((values >= 0) & (values <= 1))).all())
            found[name] = interval(value, values, len(table), clusters, confidence, share=share)
    return found


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    metrics: Mapping[str, Metric],
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Return first minus second for two pooled tables, on the videos that both scored, with paired intervals.

    Raises UserError if the tables disagree about the class of a video.
    """
    pair = _shared(first, second)
    cluster, clusters = codes(pair[0]["cluster"])
    counts = [count_once(side, metrics) for side in pair]
    drawn = [resampled(count, metrics, cluster, clusters, resamples, seed) for count in counts]
    found = {}
    for name, metric in metrics.items():
        value = [metric.of_counts(count[metric.counting].total())[0] for count in counts]
        n, used = _used(counts[0][metric.counting], cluster)
        found[name] = interval(value[0] - value[1], drawn[0][name] - drawn[1][name], n, used, confidence)
    return found


def _shared(first: pd.DataFrame, second: pd.DataFrame) -> list[pd.DataFrame]:
    sides = [table[table["score"].notna()].set_index(["placement", "id"]) for table in (first, second)]
    both = sides[0].index.intersection(sides[1].index).sort_values()
    pair = [side.loc[both].reset_index() for side in sides]
    if not np.array_equal(pair[0]["forgery"], pair[1]["forgery"]):
        raise UserError("the two score tables disagree about the class of a video; compare scores of one test list")
    return pair


def count_once(table: pd.DataFrame, metrics: Mapping[str, Metric]) -> dict[Counting, Count]:
    """Return the counts that metrics need, each made once however many metrics share it."""
    return {counting: counting(table) for counting in {metric.counting: None for metric in metrics.values()}}


def resampled(
    counts: Mapping[Counting, Count],
    metrics: Mapping[str, Metric],
    cluster: NDArray[np.int64],
    clusters: int,
    resamples: int,
    seed: int,
) -> dict[str, Floats]:
    """Return each metric's value in every resample (resamples, ...); `cluster` is the number of each row's cluster.

    The rows of ROC counts are merged into LEVELS score levels; what that changes of the value is added back.
    """
    coarse = {counting: count.coarse(LEVELS) for counting, count in counts.items()}
    sparse = {counting: _by_cluster(count, cluster, clusters) for counting, count in coarse.items()}
    values: dict[str, list[Floats]] = {name: [] for name in metrics}
    for weights in _draws(clusters, resamples, seed):
        totals = {c: (matrix @ weights).T.reshape(-1, *coarse[c].shape) for c, matrix in sparse.items()}
        for name, metric in metrics.items():
            values[name].append(metric.of_counts(totals[metric.counting]))
    found = {}
    for name, metric in metrics.items():
        found[name] = np.concatenate(values[name]) if values[name] else np.full(resamples, np.nan)
        exact, merged = counts[metric.counting], coarse[metric.counting]
        if merged is not exact:
            shift = metric.of_counts(exact.total()) - metric.of_counts(merged.total())
            found[name] = np.clip(found[name] + shift, 0, 1)
    return found


def _of_drawn_rows(
    table: pd.DataFrame, name: str, metric: Measure, *, resamples: int, seed: int, failures: set[str] | None
) -> tuple[float, Floats]:
    """Return a plain function's value of the rows and of every resample; nan and none where it raises.

    What it raises is added to `failures`, and told where it is not among them yet.
    """
    cluster, clusters = codes(table["cluster"])
    order = np.argsort(cluster, kind="stable")
    size = np.bincount(cluster, minlength=clusters)
    affordable = min(resamples, max(100, _ROWS_A_PLAIN_METRIC_MAY_READ // max(len(table), 1)))
    values: list[float] = []
    try:
        value = float(metric(table))
        for weights in _draws(clusters, affordable if clusters > 1 else 0, seed):
            for drawn in weights.T.astype(np.int64):
                rows = np.repeat(order, np.repeat(drawn, size))
                values.append(float(metric(table.iloc[rows].reset_index(drop=True))))
    except (Exception, SystemExit) as error:  # of a plugin: it costs nobody else's metric
        failure = told(error, f"metric {name}", metric)
        if failures is None or failure not in failures:
            log.warning("%s; it is left out", failure)
        if failures is not None:
            failures.add(failure)
        return np.nan, np.array([], np.float64)
    return value, np.array(values, np.float64)


def interval(
    value: float, drawn: Floats, n: int, clusters: int, confidence: float = 0.95, *, share: bool = False
) -> Interval:
    """Return a value with the percentile interval of what was drawn of it, widened for few clusters.

    The percentiles are expanded (T. Hesterberg, "What teachers should know about the bootstrap", The American
    Statistician 2015, section 3.3): with 10 clusters they are those of 98.3 %, with 40 of 95.9 %.

    Of a `share`, which lies in [0,1], the percentiles are taken of logits that are centred at the value's. Near 1,
    plain percentiles cover too little; and drawing a person twice pairs their real with their own fakes twice as
    often, which shifts a resampled AUC. Neither end is farther from the value than the farthest resample is from their
    mean, which binds where most resamples of few clusters are 1.
    """
    defined = drawn[~np.isnan(drawn)]
    skipped = len(drawn) - len(defined)
    low = high = np.nan
    if clusters > 1 and len(defined) > skipped and not np.isnan(value):
        tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
        quantiles = norm.cdf(np.sqrt(clusters / (clusters - 1)) * student_t.ppf(tails, clusters - 1))
        if share and 0 < value < 1:
            logits = _logit(defined)
            low, high = expit(np.quantile(logits - logits.mean() + _logit(np.array([value])), quantiles))
            moved = defined - (defined.mean() - value)
            low, high = max(low, min(moved.min(), value)), min(high, max(moved.max(), value))
        else:
            low, high = np.quantile(defined, quantiles)
    return Interval(float(value), float(low), float(high), n, clusters, len(drawn), skipped)


def _logit(share: Floats) -> Floats:
    return np.asarray(logit(np.clip(share, MARGIN, 1 - MARGIN)), np.float64)


def codes(cluster: pd.Series) -> tuple[NDArray[np.int64], int]:
    """Return the number of each row's cluster, and how many there are."""
    numbers, names = pd.factorize(cluster, sort=True)
    return numbers.astype(np.int64), len(names)


def _used(count: Count, cluster: NDArray[np.int64]) -> tuple[int, int]:
    """Return how many rows, and clusters of them, a count is made of."""
    used = np.zeros(len(cluster), np.bool_)
    used[count.row] = True
    return int(used.sum()), len(np.unique(cluster[used]))


def _by_cluster(count: Count, cluster: NDArray[np.int64], clusters: int) -> csr_matrix:
    """Return the cells of each cluster, a sparse (cells, clusters)."""
    where = (count.cell, cluster[count.row])
    return csr_matrix((count.value, where), shape=(int(np.prod(count.shape)), clusters))


def _draws(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each cluster is drawn (clusters, some resamples), whatever the chunks are cut to."""
    random = np.random.default_rng(seed)
    chunk = int(np.clip(2**22 // max(clusters, 1), 1, 64))
    for start in range(0, resamples if clusters else 0, chunk):
        some = range(min(chunk, resamples - start))
        draws = [np.bincount(random.integers(0, clusters, clusters), minlength=clusters) for _ in some]
        yield np.ascontiguousarray(np.stack(draws, axis=1), np.float64)


def delong(table: pd.DataFrame, *, confidence: float = 0.95) -> Interval:
    """Return the AUC of P(fake) with DeLong's interval (DeLong 1988; midranks as Sun and Xu 2014), clusters ignored.

    A cross-check of the bootstrap on unclustered data, not what is reported.
    """
    fake = table["forgery"].to_numpy() > 0
    score = table["score"].to_numpy(np.float64)
    positive, negative = score[fake], score[~fake]
    m, n = len(positive), len(negative)
    if m < 2 or n < 2:
        return Interval(np.nan, np.nan, np.nan, m + n, m + n)
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:m] - rankdata(positive)) / n
    below = 1 - (ranks[m:] - rankdata(negative)) / m
    value = float(above.mean())
    reach = norm.ppf((1 + confidence) / 2) * np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
    return Interval(value, max(0.0, float(value - reach)), min(1.0, float(value + reach)), m + n, m + n)
