"""The plugin of what avbench brings along itself: its metrics."""

from __future__ import annotations

from collections.abc import Iterable

from avbench.hookspecs import hookimpl
from avbench.types import MetricSpec, Task

_BOTH: tuple[Task, ...] = ("binary", "four_class")
_BINARY: tuple[Task, ...] = ("binary",)
_FOUR: tuple[Task, ...] = ("four_class",)
_CLASSES = ("RARV", "RAFV", "FARV", "FAFV")


@hookimpl
def avbench_metrics() -> Iterable[MetricSpec]:
    """Yield the built-in metrics in the order in which tables show them; avbench.metrics computes them."""
    yield _metric("acc", "Acc", _BOTH)
    yield _metric("auc", "AUC", _BOTH)
    yield _metric("balanced_acc", "Balanced Acc", _BOTH)
    yield _metric("majority", "Majority baseline", _BOTH)
    yield _metric("eer", "EER", _BINARY, higher_is_better=False)
    yield _metric("ap", "AP (fake)", _BINARY)
    yield _metric("ap_real", "AP (real)", _BINARY)
    yield _metric("acc_at_threshold", "Acc at validation threshold", _BINARY)
    yield _metric("balanced_acc_at_threshold", "Balanced Acc at validation threshold", _BINARY)
    yield _metric("brier", "Brier score", _BINARY, higher_is_better=False)
    yield _metric("ece", "Calibration error", _BINARY, higher_is_better=False)
    yield _metric("auc_max", "AUC, clips pooled by max", _BINARY)
    yield _metric("auc_top3", "AUC, clips pooled by top 3", _BINARY)
    for name in _CLASSES[1:]:
        yield _metric(f"auc_{name.lower()}", f"AUC {name} against RARV", _BINARY)
    for name in _CLASSES:
        yield _metric(f"rest_auc_{name.lower()}", f"AUC {name} against the rest", _FOUR)
        yield _metric(f"recall_{name.lower()}", f"Recall {name}", _FOUR)
        yield _metric(f"precision_{name.lower()}", f"Precision {name}", _FOUR)
        yield _metric(f"f1_{name.lower()}", f"F1 {name}", _FOUR)
    yield _metric("collapsed_acc", "Acc, collapsed to two classes", _FOUR)
    yield _metric("collapsed_auc", "AUC, collapsed", _FOUR)
    yield _metric("collapsed_balanced_acc", "Balanced Acc, collapsed", _FOUR)
    yield _metric("collapsed_majority", "Majority baseline, collapsed", _FOUR)
    yield _metric("collapsed_eer", "EER, collapsed", _FOUR, higher_is_better=False)
    yield _metric("collapsed_ap", "AP (fake), collapsed", _FOUR)


def _metric(name: str, title: str, tasks: tuple[Task, ...], *, higher_is_better: bool = True) -> MetricSpec:
    return MetricSpec(name, title, f"avbench.metrics.definitions:{name}", tasks, higher_is_better)
