"""Validation clips scored after an epoch, shared among the ranks: what a checkpoint is chosen by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric

from avbench.config import learned_label
from avbench.data.loading import Loading
from avbench.data.placement import oracle
from avbench.detector import Detector
from avbench.engine.evaluation import batches_of, load, score
from avbench.engine.failures import FailureBudget
from avbench.engine.selection import Quality, quality
from avbench.types import Sample


@dataclass(frozen=True, slots=True)
class Validated:
    """An epoch on validation data: values by name for curves and choice, the threshold fixed there, a table to keep."""

    values: Mapping[str, float]
    table: pd.DataFrame
    threshold: float | None = None


class Measure(Protocol):
    """What measures a network on validation samples, the same way in every epoch, on every rank."""

    def __call__(
        self,
        detector: Detector,
        samples: Sequence[Sample],
        seed: int,
        fabric: Fabric,
        loading: Loading,
        budget: FailureBudget,
    ) -> Validated:
        """Return how good the network is; `budget` counts files that failed."""


@dataclass(frozen=True, slots=True)
class Selection:
    """How the epoch of a training is chosen: `measure` it, and keep it if it is `better` (new values, best values).

    `title` names the criterion. `each_stage` measures the epochs of every stage for the curves; chosen is always one of
    the last stage.
    """

    measure: Measure
    better: Callable[[Mapping[str, float], Mapping[str, float]], bool]
    title: str
    each_stage: bool = False


def validate(
    detector: Detector, samples: Sequence[Sample], seed: int, fabric: Fabric, loading: Loading, budget: FailureBudget
) -> Validated:
    """Score one clip of each sample, the same one in every epoch: AUC, likelihood, and the best threshold.

    The table holds id, forgery, score and logit of what could be scored: ensembles fix their threshold on it.
    """
    share_buffers(detector, fabric)
    config = detector.config
    requests = oracle(samples, config.clip, seed, 0)
    keyed = [replace(r, seed=i) for i, r in enumerate(requests)]
    mine = batches_of(keyed, config.eval_batch)[fabric.global_rank :: fabric.world_size]
    place = {r.sample.id: i for i, r in enumerate(requests)}
    table_RP = torch.zeros(len(requests), 7, dtype=torch.float64, device=fabric.device)
    for loaded in load(detector, mine, loading, budget.files):
        budget.note(loaded)
        for row in score(detector, loaded, fabric.device):
            if row["score"] is not None:
                classes = [row[p] or 0.0 for p in ("p_rarv", "p_rafv", "p_farv", "p_fafv")]
                logit = math.nan if row["logit"] is None else row["logit"]
                table_RP[place[row["id"]]] = torch.tensor([1.0, row["score"], *classes, logit], dtype=torch.float64)
    table_RP = fabric.all_reduce(table_RP, reduce_op="sum") if fabric.world_size > 1 else table_RP
    table = table_RP.cpu().numpy()
    scored = table[:, 0] > 0
    truth = np.array([int(learned_label(config, np.int64(r.forgery))) for r in requests])
    kept = [r.sample.id for r, had in zip(requests, scored, strict=True) if had]
    forgery = [int(r.forgery) for r, had in zip(requests, scored, strict=True) if had]
    scores = pd.DataFrame({"id": kept, "forgery": forgery, "score": table[scored, 1], "logit": table[scored, 6]})
    measured, threshold = quality(truth[scored], table[scored, 1], table[scored, 2:6], config.task)
    return Validated({"auc": measured.auc, "nll": measured.nll}, scores, threshold)


def _better(values: Mapping[str, float], best: Mapping[str, float]) -> bool:
    return Quality(values["auc"], values["nll"]).better_than(Quality(best["auc"], best["nll"]))


BY_AUC = Selection(validate, _better, "validation AUC")


def share_buffers(detector: Detector, fabric: Fabric) -> None:
    """Give every rank the first one's running statistics, which are those that are saved."""
    if fabric.world_size > 1:
        for buffer in detector.buffers():
            torch.distributed.broadcast(buffer, src=0)
