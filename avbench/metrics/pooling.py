"""From the scores of a video's clips to one score per video."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avbench.records.scores import PROBABILITIES, sigmoid
from avbench.types import Pooling

TOP = 3
# A score file of an earlier version holds float32 probabilities, which reach 0 and 1, and no log-odds.
_SATURATED = 1e-7
_SMALLEST = float(np.finfo(np.float64).tiny)
_OF_VIDEO = ["id", "identity", "cluster", "method", "forgery", "placement"]


def pool(table: pd.DataFrame, how: Pooling | Literal["max", "top_k"] = "mean") -> pd.DataFrame:
    """Return one row per placement and video of a scores table, sorted, with `clips` scored, score_max and score_top3.

    mean: probabilities are averaged. mean_logit: their logits are. mean_odds: their odds are. softmax_of_sum: they are
    summed, and the sums go through a softmax, so that more clips make surer. max and top_k: the highest and the mean of
    the three highest P(fake); the four classes are averaged then. `logit` keeps the log-odds of the score where they
    are known. Clips without a score are left out; a video none of whose clips has one keeps a null score and its first
    reason.
    """
    table = table.reset_index(drop=True)
    group = table.groupby(["placement", "id"], sort=True).ngroup().to_numpy()
    videos = int(group.max()) + 1 if len(group) else 0
    first = np.unique(group, return_index=True)[1]
    pooled = table.loc[first, _OF_VIDEO].reset_index(drop=True)
    score = table["score"].to_numpy(np.float64)
    scored = ~np.isnan(score)
    highest = _highest(score[scored], group[scored], videos)
    pooled["score_max"], pooled["score_top3"] = highest[:, 0], _mean_of_rows(highest)
    for name in (*PROBABILITIES, "p_video", "p_audio"):
        pooled[name] = _mean_of_groups(table[name].to_numpy(np.float64)[scored], group[scored], videos)
    pooled["logit"] = np.nan
    if how in _RULES:
        _RULES[how](pooled, table[scored], group[scored])
    else:
        pooled["score"] = pooled["score_max" if how == "max" else "score_top3"]
    pooled["clips"] = np.bincount(group[scored], minlength=videos)
    pooled["reason"] = table.loc[first, "reason"].to_numpy() if videos else ""
    pooled.loc[pooled["clips"] > 0, "reason"] = ""
    pooled.attrs = dict(table.attrs)
    return pooled


def has_logits(table: pd.DataFrame) -> bool:
    """Tell whether every scored row has its log-odds; a bounded score and files of earlier versions have none."""
    scored = table["score"].notna()
    return bool(scored.any()) and "logit" in table and bool(table.loc[scored, "logit"].notna().all())


def logits_of(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the log-odds of each score, from the score itself where there are none, to 16 either way."""
    p = np.clip(table["score"].to_numpy(np.float64), _SATURATED, 1 - _SATURATED)
    from_score = np.log(p / (1 - p))
    if "logit" not in table:
        return np.asarray(from_score)
    kept = table["logit"].to_numpy(np.float64)
    return np.where(np.isnan(kept), from_score, kept)


def _is_four_class(table: pd.DataFrame) -> bool:
    return bool(table[PROBABILITIES[0]].notna().any())


def _pool_mean(pooled: pd.DataFrame, table: pd.DataFrame, group: NDArray[np.intp]) -> None:
    """Average probabilities; their log-odds are those of the mean fake against the mean real one."""
    videos = len(pooled)
    pooled["score"] = _mean_of_groups(table["score"].to_numpy(np.float64), group, videos)
    if has_logits(table):
        logit = table["logit"].to_numpy(np.float64)
        fake, real = (_mean_of_groups(sigmoid(sign * logit), group, videos) for sign in (1, -1))
        with np.errstate(divide="ignore"):
            pooled["logit"] = np.log(fake) - np.log(real)


def _pool_logits(pooled: pd.DataFrame, table: pd.DataFrame, group: NDArray[np.intp]) -> None:
    """Average log-odds of two classes, or log-probabilities of four (normalised again)."""
    videos = len(pooled)
    if _is_four_class(table):
        least = _SMALLEST if has_logits(table) else _SATURATED
        logs = np.log(np.clip(table[list(PROBABILITIES)].to_numpy(np.float64), least, 1))
        _set_classes(pooled, np.stack([_mean_of_groups(logs[:, k], group, videos) for k in range(4)], axis=1))
        return
    pooled["logit"] = _mean_of_groups(logits_of(table), group, videos)
    pooled["score"] = sigmoid(pooled["logit"].to_numpy(np.float64))


def _pool_odds(pooled: pd.DataFrame, table: pd.DataFrame, group: NDArray[np.intp]) -> None:
    """Average the odds of a forgery, or those of each forged class against RARV."""
    videos = len(pooled)
    p = np.clip(table["score"].to_numpy(np.float64), 0, 1 - _SATURATED)
    odds = _mean_of_groups(p / (1 - p), group, videos)
    pooled["score"] = odds / (1 + odds)
    if _is_four_class(table):
        classes = table[list(PROBABILITIES)].to_numpy(np.float64)
        against = classes / np.clip(classes[:, :1], _SATURATED, 1)
        mean = np.stack([_mean_of_groups(against[:, k], group, videos) for k in range(1, 4)], axis=1)
        real = 1 / (1 + mean.sum(axis=1))
        pooled[list(PROBABILITIES)] = np.column_stack([real, mean * real[:, None]])
        pooled["score"] = 1 - real


def _pool_sums(pooled: pd.DataFrame, table: pd.DataFrame, group: NDArray[np.intp]) -> None:
    """Sum the probabilities of each class over clips and turn the sums into probabilities by a softmax."""
    clips = np.bincount(group, minlength=len(pooled))
    if _is_four_class(table):
        _set_classes(pooled, pooled[list(PROBABILITIES)].to_numpy(np.float64) * clips[:, None])
        return
    fake = _mean_of_groups(table["score"].to_numpy(np.float64), group, len(pooled)) * clips
    pooled["logit"] = fake - (clips - fake)
    pooled["score"] = sigmoid(pooled["logit"].to_numpy(np.float64))


def _set_classes(pooled: pd.DataFrame, logits: NDArray[np.float64]) -> None:
    """Set the four probabilities, score and log-odds of videos whose logits (videos,4) are given."""
    with np.errstate(invalid="ignore"):
        classes = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    total = classes.sum(axis=1)
    forged = classes[:, 1:].sum(axis=1)
    pooled[list(PROBABILITIES)] = classes / total[:, None]
    pooled["score"] = forged / total
    pooled["logit"] = np.logaddexp.reduce(logits[:, 1:], axis=1) - logits[:, 0]


_RULES: Mapping[str, Callable[[pd.DataFrame, pd.DataFrame, NDArray[np.intp]], None]] = {
    "mean": _pool_mean,
    "mean_logit": _pool_logits,
    "mean_odds": _pool_odds,
    "softmax_of_sum": _pool_sums,
}


def _mean_of_groups(values: NDArray[np.float64], group: NDArray[np.intp], groups: int) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        total = np.bincount(group, weights=values, minlength=groups)
        return np.asarray(total / np.bincount(group, minlength=groups))


def _highest(score: NDArray[np.float64], group: NDArray[np.intp], groups: int) -> NDArray[np.float64]:
    """Return the highest scores of each group (groups, TOP), nan where it has fewer."""
    order = np.lexsort((-score, group))
    sorted_group = group[order]
    place = np.arange(len(order)) - np.searchsorted(sorted_group, sorted_group)
    kept = place < TOP
    highest = np.full((groups, TOP), np.nan)
    highest[sorted_group[kept], place[kept]] = score[order][kept]
    return highest


def _mean_of_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    present = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(present, values, 0).sum(axis=1) / present.sum(axis=1))
