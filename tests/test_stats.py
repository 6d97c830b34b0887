"""Intervals: equal to resampling by hand, wide enough, honest about clusters."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from avbench.errors import UserError
from avbench.metrics import definitions as metrics
from avbench.metrics import intervals as stats
from avbench.metrics.definitions import Metric
from avbench.metrics.intervals import bootstrap, compare, delong
from avbench.records.scores import PROBABILITIES


def binary(seed: int = 0, n: int = 300, people: int | None = 25, decimals: int = 9) -> pd.DataFrame:
    """Random scores that know something of the class, by a number of people (None: each by another)."""
    random = np.random.default_rng(seed)
    forgery = random.integers(0, 4, n)
    score = np.clip(random.normal(0.35 + 0.2 * (forgery > 0), 0.25), 0, 1).round(decimals)
    cluster = [f"p{i % (people or n):04d}" for i in range(n)]
    return pd.DataFrame({"forgery": forgery, "score": score, "cluster": cluster})


def four_class() -> pd.DataFrame:
    """The same with four probabilities."""
    table, random = binary(), np.random.default_rng(1)
    p = random.dirichlet([1, 1, 1, 1], len(table))
    p[np.arange(len(table)), table["forgery"]] += 0.3
    p /= p.sum(axis=1, keepdims=True)
    return table.assign(score=1 - p[:, 0], **dict(zip(PROBABILITIES, p.T, strict=True)))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (binary, ["acc", "balanced_acc", "majority", "auc", "eer", "ap", "ap_real", "brier", "ece", "auc_farv"]),
        (four_class, ["acc", "auc", "rest_auc_fafv", "recall_rafv", "precision_farv", "f1_fafv", "collapsed_auc"]),
    ],
)
def test_reweighted_counts_equal_resampled_rows(make: Callable[[], pd.DataFrame], names: list[str]) -> None:
    """A Metric and the same function given the drawn rows see the same draws, so they agree to the last digit."""
    table = make()
    built_in = {name: getattr(metrics, name) for name in names}
    plain = {name: metric.__call__ for name, metric in built_in.items()}
    assert not any(isinstance(metric, Metric) for metric in plain.values())
    fast, slow = (bootstrap(table, chosen, resamples=60, seed=3) for chosen in (built_in, plain))
    for name in names:
        by_counts, by_rows = ((i.value, i.low, i.high) for i in (fast[name], slow[name]))
        assert by_counts == pytest.approx(by_rows)
        assert by_counts[1] < by_counts[2]


def test_merged_score_levels_hardly_move_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    table = binary(n=6000, people=200)
    names = {name: getattr(metrics, name) for name in ("auc", "eer", "ap", "ap_real")}
    exact = bootstrap(table, names, resamples=200)
    monkeypatch.setattr(stats, "LEVELS", 500)
    merged = bootstrap(table, names, resamples=200)
    for name, interval in exact.items():
        assert merged[name].value == interval.value
        assert [merged[name].low, merged[name].high] == pytest.approx([interval.low, interval.high], abs=5e-4)


def test_the_seed_alone_decides() -> None:
    table, names = binary(), {"auc": metrics.auc}
    assert bootstrap(table, names, seed=1) == bootstrap(table, names, seed=1)
    assert bootstrap(table, names, seed=1) != bootstrap(table, names, seed=2)
    shuffled = table.sample(frac=1, random_state=0)
    assert bootstrap(shuffled, names, seed=1) == bootstrap(table, names, seed=1)


def test_copies_of_a_row_in_its_cluster_add_no_certainty() -> None:
    table = binary(people=None)
    copied = pd.concat([table] * 10, ignore_index=True)
    once, tenfold = (bootstrap(t, {"auc": metrics.auc})["auc"] for t in (table, copied))
    assert [tenfold.low, tenfold.high] == pytest.approx([once.low, once.high])
    naive = bootstrap(copied.assign(cluster=lambda t: t.index.astype(str)), {"auc": metrics.auc})["auc"]
    assert naive.high - naive.low < 0.4 * (once.high - once.low)


def test_few_clusters_are_flagged_and_one_gives_no_interval() -> None:
    for people, few in ((9, True), (10, False)):
        interval = bootstrap(binary(people=people), {"auc": metrics.auc})["auc"]
        assert interval.few_clusters is few and interval.clusters == people and interval.n == 300
    alone = bootstrap(binary(people=1), {"auc": metrics.auc, "plain": lambda t: 0.5})
    assert all(math.isnan(i.low) and math.isnan(i.high) and i.few_clusters for i in alone.values())
    assert alone["auc"].value == metrics.auc(binary())


def test_a_metric_of_two_classes_counts_their_rows_and_clusters_only() -> None:
    table = binary()
    table.loc[table["forgery"].isin((0, 1)), "cluster"] = "one"
    interval = bootstrap(table, {"auc_rafv": metrics.auc_rafv})["auc_rafv"]
    assert interval.n == table["forgery"].isin((0, 1)).sum() and interval.clusters == 1


def test_resamples_without_a_class_are_skipped_and_counted() -> None:
    rows = {"forgery": [0] + [3] * 19, "score": np.linspace(0, 1, 20), "cluster": list(map(str, range(20)))}
    table = pd.DataFrame(rows)
    interval = bootstrap(table, {"auc": metrics.auc}, resamples=2000)["auc"]
    assert interval.skipped / 2000 == pytest.approx((1 - 1 / 20) ** 20, abs=0.03)
    assert interval.low == interval.high == 1.0
    rarer = pd.concat([table, table[1:].assign(cluster="d"), table[1:].assign(cluster="e")])
    assert bootstrap(rarer.iloc[1:], {"auc": metrics.auc})["auc"].skipped == 1000  # the class is not there at all
    assert math.isnan(bootstrap(rarer.iloc[1:], {"auc": metrics.auc})["auc"].value)


def test_a_failing_metric_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(table: pd.DataFrame) -> float:
        raise ZeroDivisionError

    found = bootstrap(binary(), {"broken": broken, "auc": metrics.auc})
    assert math.isnan(found["broken"].value) and found["auc"].low > 0
    assert "metric broken raised ZeroDivisionError" in caplog.text


def test_empty_tables_have_no_value() -> None:
    empty = binary().iloc[:0]
    found = bootstrap(empty, {"auc": metrics.auc, "plain": lambda t: float("nan")})
    assert all(math.isnan(i.value) and i.n == 0 and i.clusters == 0 for i in found.values())


def videos(seed: int, better: float = 0.0) -> pd.DataFrame:
    """A pooled table of two hundred videos whose noise is shared by all seeds."""
    table = binary().assign(placement="oracle", id=lambda t: [f"{i:03d}" for i in t.index])
    noise = np.random.default_rng(seed).normal(0, 0.02, len(table))
    return table.assign(score=np.clip(table["score"] + noise + better * (table["forgery"] > 0), 0, 1))


def test_a_paired_comparison_sees_what_two_intervals_hide() -> None:
    weak, strong = videos(1), videos(2, better=0.06)
    apart = [bootstrap(table, {"auc": metrics.auc})["auc"] for table in (weak, strong)]
    assert apart[0].high > apart[1].low  # they overlap
    difference = compare(strong, weak, {"auc": metrics.auc})["auc"]
    assert difference.value == pytest.approx(metrics.auc(strong) - metrics.auc(weak))
    assert 0 < difference.low < difference.value < difference.high
    reverse = compare(weak, strong, {"auc": metrics.auc})["auc"]
    assert [reverse.low, reverse.high] == pytest.approx([-difference.high, -difference.low])


def test_a_comparison_uses_shared_videos_and_refuses_other_labels() -> None:
    first, second = videos(1), videos(2)
    first.loc[:9, "score"] = np.nan
    same = compare(first, first, {"auc": metrics.auc, "acc": metrics.acc})
    assert all((i.value, i.low, i.high) == (0, 0, 0) for i in same.values())
    found = compare(first, second.iloc[:250].sample(frac=1, random_state=0), {"acc": metrics.acc})["acc"]
    assert found.n == 240
    assert found.value == pytest.approx(metrics.acc(first.iloc[10:250]) - metrics.acc(second.iloc[10:250]))
    with pytest.raises(UserError, match="disagree about the class"):
        compare(first, second.assign(forgery=1), {"acc": metrics.acc})


def test_delong_equals_its_definition_and_agrees_with_the_bootstrap() -> None:
    table = binary(n=400, people=None, decimals=2)
    fake = table["forgery"] > 0
    x, y = table["score"][fake].to_numpy()[:, None], table["score"][~fake].to_numpy()[None]
    wins = (x > y) + 0.5 * (x == y)
    variance = wins.mean(axis=1).var(ddof=1) / len(x) + wins.mean(axis=0).var(ddof=1) / y.size
    interval = delong(table)
    assert interval.value == pytest.approx(metrics.auc(table)) == pytest.approx(wins.mean())
    assert interval.high - interval.low == pytest.approx(2 * 1.959964 * math.sqrt(variance), rel=1e-6)
    drawn = bootstrap(table, {"auc": metrics.auc}, resamples=2000)["auc"]
    assert [drawn.low, drawn.high] == pytest.approx([interval.low, interval.high], abs=0.01)
    assert math.isnan(delong(table[fake]).value)


def test_a_value_lies_in_its_interval_where_fakes_are_twins_of_their_real_video() -> None:
    """Each fake scores a little above its own real video: resampled people meet themselves too often."""
    random = np.random.default_rng(0)
    shift = np.repeat(random.normal(0, 2, 20), 2)
    score = 1 / (1 + np.exp(-shift - np.tile([0.0, 0.1], 20)))
    rows = {"forgery": [0, 3] * 20, "score": score, "cluster": np.repeat(np.arange(20), 2).astype(str)}
    found = bootstrap(pd.DataFrame(rows), {"auc": metrics.auc})["auc"]
    assert 0.5 < found.value < 0.6 and found.low < found.value < found.high


def test_an_interval_reaches_no_farther_than_the_resamples() -> None:
    """One mistake in fifty videos of ten people: most resamples are perfect, and none is worse than four mistakes."""
    drawn = np.array([1.0] * 60 + [0.98] * 25 + [0.94] * 14 + [0.92])
    found = stats.interval(0.98, drawn, 50, 10, share=True)
    assert found.low == pytest.approx(0.92 - (drawn.mean() - 0.98)) and 0.98 <= found.high <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "people", "apart"), [("auc", 40, 1.5), ("auc", 100, 1.5), ("acc", 60, 1.5), ("auc", 40, 3.5)]
)
def test_intervals_cover_the_truth_as_often_as_they_say(name: str, people: int, apart: float) -> None:
    """Clips of one person share a shift of their scores, as faces and voices do; 3.5 apart is an AUC of 98 %."""

    def draw(random: np.random.Generator, people: int) -> pd.DataFrame:
        person = np.repeat(np.arange(people), 8)
        fake = random.random(len(person)) < 0.5
        logit = apart * (fake - 0.5) + 0.7 * random.normal(size=people)[person] + random.normal(size=len(person))
        return pd.DataFrame({"forgery": fake * 3, "score": 1 / (1 + np.exp(-logit)), "cluster": person.astype(str)})

    random = np.random.default_rng(7)
    metric = {name: getattr(metrics, name)}
    truth = metric[name](draw(random, 100_000))
    intervals = [bootstrap(draw(random, people), metric, resamples=400, seed=i)[name] for i in range(1000)]
    assert 0.92 <= np.mean([i.low <= truth <= i.high for i in intervals]) <= 0.97
