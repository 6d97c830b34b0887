"""The scores of several detectors of the same videos become those of one: the rules of ensembles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avbench.metrics.pooling import logits_of, pool
from avbench.records import scores
from avbench.types import Pooling, Stream

Floats = NDArray[np.float64]
_KEY = ["placement", "id"]
_STRENGTHS = ["psnr", "snr", "kbps"]


LOGIT_MEAN = "logit_mean"
# P(fake) of members (N,M), and its log-odds (N,M) -> P(fake) (N,).
RULES: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "mean": lambda p, logit: np.asarray(p.mean(axis=1)),
    "max": lambda p, logit: np.asarray(p.max(axis=1)),
    "noisy_or": lambda p, logit: np.asarray(1 - (1 - p).prod(axis=1)),
    LOGIT_MEAN: lambda p, logit: scores.sigmoid(logit.mean(axis=1)),
}


def by_rule(rule: str, tables: Sequence[pd.DataFrame]) -> Floats:
    """Return P(fake) (N,) by the rule, from members' tables of the same N rows; nan where one has no score."""
    p_NM = np.stack([table["score"].to_numpy(np.float64) for table in tables], axis=1)
    logit_NM = np.stack([logits_of(table) for table in tables], axis=1)
    return np.where(np.isnan(p_NM).any(axis=1), np.nan, RULES[rule](p_NM, logit_NM))


@dataclass(frozen=True, slots=True)
class Scored:
    """What a member says: its scores table, the streams it requires, how its clips are pooled."""

    table: pd.DataFrame
    requires: frozenset[Stream]
    pooling: Pooling


def combined(members: Sequence[Scored], rule: str) -> pd.DataFrame:
    """Return the scores table of an ensemble: one row for each placement, video and condition.

    Members may cut their clips differently, so each one's clips are pooled first. p_video and p_audio are the means of
    the members that require this stream alone. A video that a member gives no score has none, for that member's
    reason. Under a condition that leaves a member's stream alone, its table may hold the clean scores only.
    """
    videos = [_by_condition(member) for member in members]
    conditions = dict.fromkeys(condition for found in videos for condition in found)
    parts = []
    for name, level in conditions:
        tables = [found.get((name, level), found[("", 0)]) for found in videos]
        parts.append(_joined(tables, members, rule).assign(perturbation=name, level=level))
    return scores.coerce(pd.concat(parts, ignore_index=True)) if parts else scores.empty()


def _by_condition(member: Scored) -> dict[tuple[str, int], pd.DataFrame]:
    """Return one row a video by (perturbation, level), the clean ones first."""
    found = {}
    for (name, level), rows in member.table.groupby(["perturbation", "level"], sort=True):
        by_video = rows[rows["score"].notna()].groupby(_KEY)
        worst = by_video.agg(frozen=("frozen", "max"), level_db=("level_db", "min"), mix_db=("mix_db", "min"))
        pooled = pool(rows, member.pooling).set_index(_KEY).join(by_video[_STRENGTHS].mean()).join(worst)
        found[str(name), int(str(level))] = pooled
    return found


def _joined(tables: Sequence[pd.DataFrame], members: Sequence[Scored], rule: str) -> pd.DataFrame:
    first = tables[0]
    aligned = [table.reindex(first.index) for table in tables]
    p_NM = np.stack([table["score"].to_numpy(np.float64) for table in aligned], axis=1)
    found = first[["identity", "cluster", "method", "forgery"]].assign(
        score=by_rule(rule, aligned),
        logit=np.stack([logits_of(table) for table in aligned], axis=1).mean(axis=1) if rule == LOGIT_MEAN else np.nan,
        reason=_first([table["reason"].where(table["reason"] != "") for table in aligned]).fillna(""),
        start=np.nan,
        end=np.nan,
    )
    for stream in ("video", "audio"):
        of_stream = [k for k, member in enumerate(members) if member.requires == {stream}]
        found[f"p_{stream}"] = p_NM[:, of_stream].mean(axis=1) if of_stream else np.nan
    for name in _STRENGTHS:
        found[name] = _first([table[name] for table in aligned])
    found["frozen"] = np.fmax.reduce([table["frozen"].to_numpy(np.float64) for table in aligned])
    for name in ("level_db", "mix_db"):
        found[name] = np.fmin.reduce([table[name].to_numpy(np.float64) for table in aligned])
    return found.reset_index()


def _first(columns: Sequence[pd.Series]) -> pd.Series:
    """Return, row by row, the first value that there is."""
    found = columns[0]
    for column in columns[1:]:
        found = found.where(found.notna(), column)
    return found
