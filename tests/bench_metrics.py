"""How long metrics and intervals of a million scores take: pytest tests/bench_metrics.py."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import pandas as pd
import pytest

from avbench.metrics import definitions as metrics
from avbench.metrics.intervals import bootstrap
from avbench.metrics.measuring import measure
from avbench.plugins.builtin import avbench_metrics
from avbench.records import scores

METRICS = {spec.name: spec for spec in avbench_metrics()}
ROWS, CLUSTERS = 1_000_000, 10_000


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """A million four-class videos by ten thousand people."""
    random = np.random.default_rng(0)
    forgery = random.integers(0, 4, ROWS)
    p = random.dirichlet([1, 1, 1, 1], ROWS)
    p[np.arange(ROWS), forgery] += 0.3
    p /= p.sum(axis=1, keepdims=True)
    rows = {"id": [f"{i:07d}.mp4" for i in range(ROWS)], "identity": [f"p{i % CLUSTERS:05d}" for i in range(ROWS)]}
    classes = dict(zip(scores.PROBABILITIES, p.T, strict=True))
    rows |= {"forgery": forgery, "placement": "oracle", "start": 0.0, "end": 1.0, "score": 1 - p[:, 0], **classes}
    return scores.coerce(pd.DataFrame(rows))


def once(benchmark: Any, work: Any, *args: Any, **options: Any) -> None:
    """Time one call and note the highest memory of the process so far, in GB."""
    benchmark.pedantic(work, args, options, rounds=1, iterations=1)
    benchmark.extra_info["gigabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def test_binary_auc(benchmark: Any, table: pd.DataFrame) -> None:
    benchmark(metrics.auc, table.drop(columns=list(scores.PROBABILITIES)))


def test_binary_auc_interval(benchmark: Any, table: pd.DataFrame) -> None:
    once(benchmark, bootstrap, table.drop(columns=list(scores.PROBABILITIES)), {"auc": metrics.auc})


def test_four_class_auc_interval(benchmark: Any, table: pd.DataFrame) -> None:
    once(benchmark, bootstrap, table, {"auc": metrics.auc})


@pytest.mark.parametrize("task", ["binary", "four_class"])
def test_every_metric_of_a_card(benchmark: Any, table: pd.DataFrame, task: str) -> None:
    binary = table.assign(**dict.fromkeys(scores.PROBABILITIES, np.nan))
    once(benchmark, measure, binary if task == "binary" else table, task, METRICS)


def test_write_and_read(benchmark: Any, table: pd.DataFrame, tmp_path: Any) -> None:
    def both() -> None:
        scores.write(table, tmp_path / "scores.parquet", {})
        scores.read(tmp_path / "scores.parquet")

    once(benchmark, both)
