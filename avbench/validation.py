"""Validation clips scored after an epoch, shared among the ranks: what a checkpoint is chosen by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric

from avbench.config import learned_label
from avbench.detector import Detector
from avbench.evaluate import Faults, Loading, batches_of, load, score
from avbench.placement import labelled
from avbench.selection import Quality, quality
from avbench.types import Sample


def validate(
    detector: Detector, samples: Sequence[Sample], seed: int, fabric: Fabric, loading: Loading, faults: Faults
) -> tuple[Quality, float, pd.DataFrame]:
    """Score one clip of each sample, the same one in every epoch; return how good that is, and the best threshold.

    The table holds id, forgery and score of what could be scored: ensembles fix their threshold on it.
    """
    _share_buffers(detector, fabric)
    config = detector.config
    requests = labelled(samples, config.clip, seed, 0)
    keyed = [replace(r, seed=i) for i, r in enumerate(requests)]
    mine = batches_of(keyed, config.eval_batch)[fabric.global_rank :: fabric.world_size]
    place = {r.sample.id: i for i, r in enumerate(requests)}
    table_RP = torch.zeros(len(requests), 6, dtype=torch.float64, device=fabric.device)
    for loaded in load(detector, mine, loading):
        faults.note(loaded)
        for row in score(detector, loaded, fabric.device):
            if row["score"] is not None:
                classes = [row[p] or 0.0 for p in ("p_rarv", "p_rafv", "p_farv", "p_fafv")]
                table_RP[place[row["id"]]] = torch.tensor([1.0, row["score"], *classes], dtype=torch.float64)
    table_RP = fabric.all_reduce(table_RP, reduce_op="sum") if fabric.world_size > 1 else table_RP
    table = table_RP.cpu().numpy()
    scored = table[:, 0] > 0
    truth = np.array([int(learned_label(config, np.int64(r.forgery))) for r in requests])
    kept = [r.sample.id for r, had in zip(requests, scored, strict=True) if had]
    forgery = [int(r.forgery) for r, had in zip(requests, scored, strict=True) if had]
    scores = pd.DataFrame({"id": kept, "forgery": forgery, "score": table[scored, 1]})
    return *quality(truth[scored], table[scored, 1], table[scored, 2:], config.task), scores


def _share_buffers(detector: Detector, fabric: Fabric) -> None:
    """Give every rank the first one's running statistics, which are those that are saved."""
    if fabric.world_size > 1:
        for buffer in detector.buffers():
            torch.distributed.broadcast(buffer, src=0)
