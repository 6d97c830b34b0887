"""Metrics: equal to scikit-learn's where it has them, exact with ties, undefined instead of wrong."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn import metrics as reference

from avbench.detector import log_odds, probabilities
from avbench.metrics import definitions as metrics
from avbench.metrics.definitions import Metric, pool
from avbench.plugins.builtin import avbench_metrics
from avbench.records import scores
from avbench.references import load_object
from avbench.types import Forgery, Output

Table = pd.DataFrame
BUILT_IN = {spec.name: spec for spec in avbench_metrics()}


def binary(seed: int, n: int = 300, decimals: int = 9) -> Table:
    """Random scores that know something of the class; few decimals make ties."""
    random = np.random.default_rng(seed)
    forgery = random.integers(0, 4, n)
    score = np.clip(random.normal(0.35 + 0.2 * (forgery > 0), 0.25), 0, 1).round(decimals)
    return pd.DataFrame({"forgery": forgery, "score": score, "cluster": "c", "p_rarv": np.nan})


def four_class(seed: int, n: int = 300, decimals: int = 9) -> Table:
    """Random probabilities of four classes that know something of the class."""
    random = np.random.default_rng(seed)
    forgery = random.integers(0, 4, n)
    p = random.dirichlet([1, 1, 1, 1], n)
    p[np.arange(n), forgery] += 0.3
    p = (p / p.sum(axis=1, keepdims=True)).round(decimals)
    classes = dict(zip(scores.PROBABILITIES, p.T, strict=True))
    return pd.DataFrame({"forgery": forgery, "score": 1 - p[:, 0], "cluster": "c", **classes})


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [9, 2, 1])
def test_binary_metrics_equal_scikit_learn(seed: int, decimals: int) -> None:
    table = binary(seed, decimals=decimals)
    fake, score = table["forgery"] > 0, table["score"]
    called = score > 0.5
    false, true, _ = reference.roc_curve(fake, score)
    expected = {
        "acc": reference.accuracy_score(fake, called),
        "balanced_acc": reference.balanced_accuracy_score(fake, called),
        "majority": max(fake.mean(), 1 - fake.mean()),
        "auc": reference.roc_auc_score(fake, score),
        "ap": reference.average_precision_score(fake, score),
        "ap_real": reference.average_precision_score(~fake, -score),
        "brier": reference.brier_score_loss(fake, score),
        "eer": brentq(lambda x: 1 - x - interp1d(false, true)(x), 0, 1),
    }
    for forged in list(Forgery)[1:]:
        two = table[table["forgery"].isin((0, forged))]
        expected[f"auc_{forged.name.lower()}"] = reference.roc_auc_score(two["forgery"] > 0, two["score"])
    measured = {name: getattr(metrics, name)(table) for name in expected}
    assert measured == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [9, 1])
def test_four_class_metrics_equal_scikit_learn(seed: int, decimals: int) -> None:
    table = four_class(seed, decimals=decimals)
    truth, p = table["forgery"], table[list(scores.PROBABILITIES)].to_numpy()
    called, fake, score = p.argmax(axis=1), truth > 0, table["score"]
    expected = {
        "acc": reference.accuracy_score(truth, called),
        "balanced_acc": reference.balanced_accuracy_score(truth, called),
        "majority": truth.value_counts(normalize=True).max(),
        "auc": np.mean([reference.roc_auc_score(truth == k, p[:, k]) for k in range(4)]),
        "collapsed_acc": reference.accuracy_score(fake, score > 0.5),
        "collapsed_auc": reference.roc_auc_score(fake, score),
        "collapsed_ap": reference.average_precision_score(fake, score),
    }
    if decimals == 9:  # it insists on sums of one
        summing = p / p.sum(axis=1, keepdims=True)
        expected["auc"] = reference.roc_auc_score(truth, summing, multi_class="ovr", average="macro")
    precision, recall, f1, _ = reference.precision_recall_fscore_support(truth, called, zero_division=np.nan)
    for k, name in enumerate(f.name.lower() for f in Forgery):
        expected |= {f"precision_{name}": precision[k], f"recall_{name}": recall[k], f"f1_{name}": f1[k]}
        expected[f"rest_auc_{name}"] = reference.roc_auc_score(truth == k, p[:, k])
    measured = {name: getattr(metrics, name)(table) for name in expected}
    assert measured == pytest.approx(expected, abs=1e-9)
    assert (metrics.decisions(table).total()[0] == reference.confusion_matrix(truth, called)).all()


def test_golden_values_of_a_table_done_by_hand() -> None:
    table = pd.DataFrame({"forgery": [0, 0, 1, 2, 3], "score": [0.1, 0.5, 0.5, 0.6, 1.0]})
    table.attrs["threshold"] = 0.4
    assert metrics.auc(table) == pytest.approx(5.5 / 6)  # one tie of six pairs
    assert metrics.acc(table) == pytest.approx(4 / 5)  # 0.5 itself is called real
    assert metrics.acc_at_threshold(table) == pytest.approx(4 / 5)
    assert metrics.balanced_acc_at_threshold(table) == pytest.approx(3 / 4)
    assert metrics.auc_rafv(table) == pytest.approx(0.75)
    # bins of 1/15: 0.1 | 0.5 0.5 | 0.6 | 1.0 -> gaps 0.1, |0.5 + 0.5 - 1|, 0.4, 0
    assert metrics.ece(table) == pytest.approx((0.1 + 0.0 + 0.4 + 0.0) / 5)


def test_the_validation_threshold_is_needed_for_the_metrics_that_use_it() -> None:
    assert math.isnan(metrics.acc_at_threshold(binary(0)))


@pytest.mark.parametrize("make", [binary, four_class])
@pytest.mark.parametrize("kept", [[], [0], [3], [1, 2]])
def test_missing_classes_give_nan_never_an_exception_or_a_warning(make: object, kept: list[int]) -> None:
    table = make(0)  # type: ignore[operator]
    table = table[table["forgery"].isin(kept)].reset_index(drop=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = {name: getattr(metrics, name)(table) for name in BUILT_IN}
    undefined = ["auc", "balanced_acc", "eer", "ap", "ap_real", "collapsed_auc", "auc_fafv"]
    assert all(math.isnan(values[name]) for name in undefined)
    assert math.isnan(values["acc"]) == (not kept)
    assert all(math.isnan(value) for value in values.values()) or kept
    if make is binary:  # and four-class metrics know nothing of a detector of two classes
        of_classes = [name for name in BUILT_IN if name.startswith(("rest_", "recall_", "precision_", "f1_"))]
        assert all(math.isnan(values[name]) for name in of_classes)


def test_every_built_in_metric_can_be_loaded_and_says_whether_up_is_good() -> None:
    assert len(BUILT_IN) == len(list(avbench_metrics()))
    perfect = binary(0).assign(score=lambda t: (t["forgery"] > 0).astype(float))
    perfect = perfect.assign(score_max=perfect["score"], score_top3=perfect["score"])
    perfect.attrs["threshold"] = 0.5
    for name, spec in BUILT_IN.items():
        assert isinstance(load_object(spec.compute, name), Metric)
        if spec.tasks == ("binary",):
            assert load_object(spec.compute, name)(perfect) == (1.0 if spec.higher_is_better else 0.0), name


def test_listing_the_metrics_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'sklearn', 'pandas', 'scipy', 'matplotlib', 'numpy'} & set(sys.modules)"
    code = f"import sys; from avbench.plugins.builtin import avbench_metrics; list(avbench_metrics()); print({heavy})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def clips(rows: list[dict[str, object]]) -> Table:
    """Sweep clips of one table, one second each."""
    common = {"forgery": 1, "placement": "sliding", "reason": ""}
    return scores.coerce(pd.DataFrame([common | {"start": i, "end": i + 1} | row for i, row in enumerate(rows)]))


def test_pooling_by_hand() -> None:
    table = clips(
        [{"id": "a", "score": s} for s in (0.9, 0.1, 0.2, 0.4)]
        + [
            {"id": "b", "score": 0.3},
            {"id": "b", "score": None, "reason": "no_face"},
            {"id": "c", "score": None, "reason": "no_audio"},
        ]
    )
    pooled = pool(table)
    assert pooled["score"].tolist()[:2] == pytest.approx([0.4, 0.3])
    assert pooled["score_max"].tolist()[:2] == [0.9, 0.3]
    assert pooled["score_top3"].tolist()[:2] == pytest.approx([0.5, 0.3])
    assert pooled["clips"].tolist() == [4, 1, 0]
    assert pooled["reason"].tolist() == ["", "", "no_audio"] and math.isnan(pooled["score"][2])
    assert pool(table, "max")["score"].tolist()[:2] == [0.9, 0.3]
    assert pool(table, "top_k")["score"].tolist()[:2] == pytest.approx([0.5, 0.3])
    odds = [math.log(p / (1 - p)) for p in (0.9, 0.1, 0.2, 0.4)]
    assert pool(table, "mean_logit")["score"][0] == pytest.approx(1 / (1 + math.exp(-sum(odds) / 4)))


def test_pooling_four_classes_keeps_probabilities_consistent() -> None:
    p = np.random.default_rng(0).dirichlet([1, 1, 1, 1], 6)
    table = clips(
        [
            {"id": f"v{i // 3}", "score": 1 - row[0], **dict(zip(scores.PROBABILITIES, row, strict=True))}
            for i, row in enumerate(p)
        ]
    )
    mean = pool(table)[list(scores.PROBABILITIES)].to_numpy()
    assert np.allclose(mean, p.reshape(2, 3, 4).mean(axis=1))
    logits = pool(table, "mean_logit")
    geometric = np.exp(np.log(p).reshape(2, 3, 4).mean(axis=1))
    assert np.allclose(logits[list(scores.PROBABILITIES)], geometric / geometric.sum(axis=1, keepdims=True))
    assert np.allclose(logits["score"], 1 - logits["p_rarv"])
    odds = pool(table, "mean_odds")
    against = (p[:, 1:] / p[:, :1]).reshape(2, 3, 3).mean(axis=1)
    classes = odds[list(scores.PROBABILITIES)].to_numpy()
    assert np.allclose(classes[:, 1:] / classes[:, :1], against) and np.allclose(classes.sum(axis=1), 1)
    assert np.allclose(odds["score"], 1 - odds["p_rarv"])


def test_logits_are_averaged_and_ranked_as_they_are() -> None:
    """Two videos of one clip each beyond what a float32 probability tells apart, and one whose clips disagree."""
    of_clip = {"a": [40.0], "b": [60.0], "c": [64.0, -20.0, -20.0], "d": [-60.0]}
    rows = [(name, z) for name, logits in of_clip.items() for z in logits]
    logit = np.array([z for _, z in rows])
    score = np.exp(-np.logaddexp(0, -logit))
    table = clips([{"id": name, "score": score[i], "logit": z} for i, (name, z) in enumerate(rows)])
    scores.validate(table)
    pooled = pool(table, "mean_logit").set_index("id")
    assert pooled["logit"].tolist() == pytest.approx([40, 60, 8, -60])
    assert pooled["score"].tolist() == pytest.approx(1 / (1 + np.exp(-np.array([40.0, 60, 8, -60]))), rel=1e-12)
    assert pooled["score"]["a"] == pooled["score"]["b"] == 1, "which the scores no longer tell apart"
    judged = pooled.assign(forgery=[0, 3, 0, 0]).reset_index()
    assert metrics.auc(judged) == 1.0 and metrics.auc(judged.assign(logit=np.nan)) == pytest.approx(1 - 0.5 / 3)
    clamped = pool(table.assign(logit=np.nan), "mean_logit").set_index("id")["score"]
    assert clamped["c"] < 0.5 < pooled["score"]["c"], "as files of earlier versions are read"
    mean = pool(table).set_index("id")
    assert mean["score"]["c"] == pytest.approx(1 / 3) and mean["logit"]["c"] == pytest.approx(np.log(0.5))
    assert mean["logit"][["a", "b", "d"]].tolist() == pytest.approx([40, 60, -60])


def test_logits_of_four_classes_are_averaged_as_they_are() -> None:
    z = torch.tensor([[50.0, -30, 0, 10], [-70.0, 20, 5, 60], [0.0, 90, -3, 1]], dtype=torch.float64)
    p, p_classes = probabilities(Output(logits=z))
    odds = log_odds(Output(logits=z))
    assert p_classes is not None and odds is not None
    classes = [dict(zip(scores.PROBABILITIES, row, strict=True)) for row in p_classes.tolist()]
    table = clips([{"id": "a", "score": float(p[i]), "logit": float(odds[i]), **classes[i]} for i in range(3)])
    scores.validate(table)
    pooled = pool(table, "mean_logit")
    assert np.allclose(pooled[list(scores.PROBABILITIES)], z.mean(dim=0).softmax(dim=0), rtol=1e-12)
    assert pooled["logit"][0] == pytest.approx(float(z.mean(dim=0)[1:].logsumexp(dim=0) - z.mean(dim=0)[0]))


def test_the_softmax_of_a_sum_is_as_published_for_fgmdf() -> None:
    p = np.random.default_rng(0).dirichlet([1, 1, 1, 1], 6)
    rows = [
        {"id": f"v{i // 3}", "score": 1 - row[0], **dict(zip(scores.PROBABILITIES, row, strict=True))}
        for i, row in enumerate(p)
    ]
    total = np.exp(p.reshape(2, 3, 4).sum(axis=1))
    pooled = pool(clips(rows), "softmax_of_sum")
    assert np.allclose(pooled[list(scores.PROBABILITIES)], total / total.sum(axis=1, keepdims=True))
    assert np.allclose(pooled["score"], 1 - pooled["p_rarv"])
    binary = pool(clips([{"id": "a", "score": s} for s in (0.9, 0.8, 0.3)]), "softmax_of_sum")
    sums = np.exp([0.9 + 0.8 + 0.3, 0.1 + 0.2 + 0.7])
    assert binary["score"][0] == pytest.approx(sums[0] / sums.sum())


def test_mean_of_odds_is_the_mean_of_distances() -> None:
    distances, threshold = np.array([0.1, 0.5, 2.4]), 0.6
    table = clips([{"id": "a", "score": d / (d + threshold)} for d in distances])
    assert pool(table, "mean_odds")["score"][0] == pytest.approx(1 / (1 + threshold / distances.mean()))


def test_pooling_survives_saturated_scores_and_an_empty_table() -> None:
    table = clips([{"id": "a", "score": s} for s in (1.0, 1.0, 0.0)])
    assert 0.5 < pool(table, "mean_logit")["score"][0] < 1
    assert 0.5 < pool(table, "mean_odds")["score"][0] < 1
    assert len(pool(scores.empty())) == 0
