"""What a metric promises, checked on made-up tables: a pure function of the rows, a number or nan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd

from avbench.bench.contract.results import Result, judged
from avbench.metrics.pooling import pool
from avbench.records.scores import PROBABILITIES, coerce
from avbench.references import load_object
from avbench.types import TASKS, Forgery, MetricSpec, Task

Compute = Callable[[pd.DataFrame], float]
THRESHOLD = 0.4  # as if it were fixed on validation data
TOLERANCE = 1e-9


def check_metric(spec: MetricSpec) -> Iterator[Result]:
    """Check a metric in each task it declares."""
    loaded: list[Compute] = []
    yield judged("is a function of a table", lambda: _load(spec, loaded))
    yield Result("does a task", bool(spec.tasks) and set(spec.tasks) <= set(TASKS), f"{' and '.join(spec.tasks)}")
    for compute in loaded:
        for task in spec.tasks:
            for promise, complain in _PROMISES.items():
                yield judged(f"{task}: {promise}", partial(complain, compute, task))
            yield judged(f"{task}: better scores are not worse", partial(_wrong_way, compute, task, spec))


def table_of(task: Task, *, skill: float = 0.5, seed: int = 0, pooled: bool = True) -> pd.DataFrame:
    """Return the rows of 48 videos by 12 people, two clips each, as a metric is given them.

    Scores of `skill` 1 are perfect, of -1 wrong. `pooled` gives one row a video, else one a clip.
    """
    random = np.random.default_rng(seed)
    video = np.repeat(np.arange(48), 2)
    forgery = video % 4
    fake = forgery > 0
    noise = random.uniform(0.01, 0.99, len(video))
    score = (1 - abs(skill)) * noise + abs(skill) * np.where(fake == (skill > 0), 0.99, 0.01)
    rows = pd.DataFrame(
        {
            "id": [f"person{v // 4:02d}/{Forgery(v % 4).name}.mp4" for v in video],
            "identity": [f"person{v // 4:02d}" for v in video],
            "method": np.where(fake, "made up", ""),
            "forgery": forgery,
            "placement": "sliding",
            "start": np.tile([0.0, 1.0], 48),
            "end": np.tile([1.0, 2.0], 48),
            "score": score,
        }
    )
    if task == "four_class":
        called = (forgery + np.where(skill > 0, 0, 1 + np.arange(len(video)) // 8 % 3)) % 4
        odds = np.exp(2 * (1 - abs(skill)) * random.standard_normal((len(video), 4)))
        odds[np.arange(len(video)), called] *= np.exp(6 * abs(skill))
        rows[list(PROBABILITIES)] = odds / odds.sum(axis=1, keepdims=True)
        rows["score"] = 1 - rows[PROBABILITIES[0]]
    rows["p_video"] = rows["p_audio"] = rows["score"]
    table = pool(coerce(rows)) if pooled else coerce(rows)
    table.attrs = {"threshold": THRESHOLD}
    return table


def _load(spec: MetricSpec, loaded: list[Compute]) -> str:
    compute = load_object(spec.compute, f"metric {spec.name}")
    if not callable(compute):
        return f"{spec.compute} is {type(compute).__name__}, not a function"
    loaded.append(compute)
    return ""


def _undefined(compute: Compute, task: Task) -> str:
    value = float(compute(table_of(task)))
    return "" if math.isfinite(value) else f"{value} where every class is there"


def _fails(compute: Compute, task: Task) -> str:
    """Leave out one class, all but one, every row, and what clips have not; the answer is a number or nan."""
    whole = table_of(task)
    parts = {f"without {f.name}": whole[whole["forgery"] != f] for f in Forgery}
    parts |= {f"of {f.name} alone": whole[whole["forgery"] == f] for f in Forgery}
    parts |= {"without a row": whole.iloc[:0], "of one row": whole.iloc[:1], "of clips": table_of(task, pooled=False)}
    for name, part in parts.items():
        try:
            value = float(compute(part.reset_index(drop=True)))
        except Exception as error:
            return f"a table {name}: {type(error).__name__}: {error}"
        if math.isinf(value):
            return f"a table {name}: {value}; give nan where it is undefined"
    return ""


def _impure(compute: Compute, task: Task) -> str:
    table = table_of(task)
    kept = table.copy(deep=True)
    first, second = float(compute(table)), float(compute(table))
    if not table.equals(kept) or list(table.columns) != list(kept.columns) or table.attrs != kept.attrs:
        return "it changes the table that it is given; work on a copy"
    return "" if _same(first, second) else f"{first}, then {second} of the same table"


def _ordered(compute: Compute, task: Task) -> str:
    table = table_of(task)
    other = table.sample(frac=1, random_state=1).reset_index(drop=True)
    first, second = float(compute(table)), float(compute(other))
    return "" if _same(first, second) else f"{first}, but {second} with the rows in another order"


def _only_once(compute: Compute, task: Task) -> str:
    """Draw videos with replacement, as intervals do."""
    drawn = table_of(task).sample(frac=1, replace=True, random_state=2).reset_index(drop=True)
    value = float(compute(drawn))
    return "" if not math.isinf(value) else f"{value} where a video is drawn twice, as for the interval"


def _wrong_way(compute: Compute, task: Task, spec: MetricSpec) -> str:
    best, worst = (float(compute(table_of(task, skill=skill))) for skill in (1.0, -1.0))
    wrong = best < worst - TOLERANCE if spec.higher_is_better else best > worst + TOLERANCE
    return (
        f"{best:g} of perfect scores, {worst:g} of wrong ones, but higher_is_better={spec.higher_is_better}"
        if wrong
        else ""
    )


def _same(first: float, second: float) -> bool:
    return abs(first - second) <= TOLERANCE or (math.isnan(first) and math.isnan(second))


_PROMISES: dict[str, Callable[[Compute, Task], str]] = {
    "is defined where every class is there": _undefined,
    "gives a number or nan whatever is missing": _fails,
    "is a pure function": _impure,
    "does not depend on the order of rows": _ordered,
    "takes videos that are drawn twice": _only_once,
}
