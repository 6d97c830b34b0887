"""How many videos of each class there are, what calling the commonest class reaches, and whether labels are whole."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from avbench.auditing.verdicts import Level, Verdict, in_part
from avbench.metrics.intervals import FEW
from avbench.records.table import percent
from avbench.types import Forgery

LOPSIDED = 2 / 3  # of one of two classes: Acc says little
HOPELESS = 0.9  # Acc says nothing
FEW_VIDEOS = 100  # of the rarer class: intervals are wide


def balance(table: pd.DataFrame) -> dict[str, Any]:
    """Return videos and clusters of each class, the majority baseline of two and of four classes."""
    counts = Counter(table["forgery"])
    by_class = {f.name: counts[int(f)] for f in Forgery}
    fake = (table["forgery"] > 0).sum()
    total = max(len(table), 1)
    clusters = {
        name: int(table.loc[rows, "cluster"].nunique())
        for name, rows in (("real", table["forgery"] == 0), ("fake", table["forgery"] > 0))
    }
    return {
        "by_class": by_class,
        "real": int(len(table) - fake),
        "fake": int(fake),
        "clusters": clusters,
        "majority": float(max(fake, len(table) - fake) / total),
        "majority_four": max(by_class.values(), default=0) / total,
        "methods": {str(k): int(v) for k, v in table["method"].value_counts().sort_index().items() if k},
    }


def verdict(found: dict[str, Any], part: str) -> Verdict:
    """Return whether accuracy means anything on such counts."""
    name, numbers = "class balance", (5,)
    if not found["real"] or not found["fake"]:
        counts = f"{found['real']} real and {found['fake']} fake in {part}"
        return Verdict(name, numbers, "fail", counts, "use a part with both")
    rare = min(found["real"], found["fake"])
    clusters = min(found["clusters"].values())
    common = "fake" if found["fake"] > found["real"] else "real"
    counts = f"{found['real']} real, {found['fake']} fake"
    evidence = f"{counts}: calling all {common} reaches Acc {percent(found['majority'])}"
    if rare < FEW_VIDEOS:
        evidence += f"; {rare} of the rarer class{f' in {clusters} clusters (few)' if clusters < FEW else ''}"
    majority = found["majority"]
    level: Level = "fail" if majority > HOPELESS else "warning" if majority > LOPSIDED else "ok"
    advice = "" if level == "ok" else "read balanced Acc, AUC and AP of both classes; Acc beside its baseline alone"
    return Verdict(name, numbers, level, in_part(evidence, part), advice, majority)


def label_verdict(found: dict[str, Any]) -> Verdict:
    """Return whether the labels of both streams look whole; official loaders are known to lose `both_modified`."""
    name, numbers = "labels of both streams", (14,)
    by_class = found["by_class"]
    shown = ", ".join(f"{name} {n}" for name, n in by_class.items())
    if by_class["RAFV"] and by_class["FARV"] and not by_class["FAFV"]:
        advice = "check that 'both-modified' and 'both_modified' are read alike: such fakes otherwise count as real"
        return Verdict(name, numbers, "warning", f"{shown}: no video with both streams forged", advice)
    if not found["fake"]:
        return Verdict(name, numbers, "not applicable", f"{shown}: no fakes")
    return Verdict(name, numbers, "ok", shown)
