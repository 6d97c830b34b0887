"""From the scores of a video's clips to one score per video."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avbench.records.scores import PROBABILITIES
from avbench.types import Pooling

TOP = 3
_SATURATED = 1e-7  # a float32 softmax reaches 0 and 1, whose logits are infinite
_OF_VIDEO = ["id", "identity", "cluster", "method", "forgery", "placement"]


def pool(table: pd.DataFrame, how: Pooling | Literal["max", "top_k"] = "mean") -> pd.DataFrame:
    """Return one row per placement and video of a scores table, sorted, with `clips` scored, score_max and score_top3.

    mean: probabilities are averaged. mean_logit: their logits are. mean_odds: their odds are. max and top_k: the
    highest and the mean of the three highest P(fake); the four classes are averaged then. Clips without a score are
    left out; a video none of whose clips has one keeps a null score and its first reason.
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
    if how == "mean_logit":
        _pool_logits(pooled, table[scored], group[scored])
    elif how == "mean_odds":
        _pool_odds(pooled, table[scored], group[scored])
    elif how == "mean":
        pooled["score"] = _mean_of_groups(score[scored], group[scored], videos)
    else:
        pooled["score"] = pooled["score_max" if how == "max" else "score_top3"]
    pooled["clips"] = np.bincount(group[scored], minlength=videos)
    pooled["reason"] = table.loc[first, "reason"].to_numpy() if videos else ""
    pooled.loc[pooled["clips"] > 0, "reason"] = ""
    pooled.attrs = dict(table.attrs)
    return pooled


def _pool_logits(pooled: pd.DataFrame, table: pd.DataFrame, group: NDArray[np.intp]) -> None:
    """Average log-odds of two classes, or log-probabilities of four (normalised again)."""
    videos = len(pooled)
    p = np.clip(table["score"].to_numpy(np.float64), _SATURATED, 1 - _SATURATED)
    pooled["score"] = 1 / (1 + np.exp(-_mean_of_groups(np.log(p / (1 - p)), group, videos)))
    if pooled[PROBABILITIES[0]].notna().any():
        logs = np.log(np.clip(table[list(PROBABILITIES)].to_numpy(np.float64), _SATURATED, 1))
        classes = np.exp(np.stack([_mean_of_groups(logs[:, k], group, videos) for k in range(4)], axis=1))
        pooled[list(PROBABILITIES)] = classes / classes.sum(axis=1, keepdims=True)
        pooled["score"] = 1 - pooled[PROBABILITIES[0]]


def _pool_odds(pooled: pd.DataFrame, table: pd.DataFrame, group: NDArray[np.intp]) -> None:
    """Average the odds of a forgery, or those of each forged class against RARV."""
    videos = len(pooled)
    p = np.clip(table["score"].to_numpy(np.float64), 0, 1 - _SATURATED)
    odds = _mean_of_groups(p / (1 - p), group, videos)
    pooled["score"] = odds / (1 + odds)
    if pooled[PROBABILITIES[0]].notna().any():
        classes = table[list(PROBABILITIES)].to_numpy(np.float64)
        against = classes / np.clip(classes[:, :1], _SATURATED, 1)
        mean = np.stack([_mean_of_groups(against[:, k], group, videos) for k in range(1, 4)], axis=1)
        real = 1 / (1 + mean.sum(axis=1))
        pooled[list(PROBABILITIES)] = np.column_stack([real, mean * real[:, None]])
        pooled["score"] = 1 - real


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
