"""Every labelled frame counted once, by person; what an epoch is chosen by; which clips an epoch has.

Letters: P people (clusters), N labels; B clips, T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric

from avbench.data.loading import Loading
from avbench.data.placement import oracle, sliding
from avbench.data.requests import ClipRequest
from avbench.detector import Detector
from avbench.engine.calling import calling
from avbench.engine.evaluation import batches_of, load
from avbench.engine.failures import FailureBudget
from avbench.engine.validation import Selection, Validated, share_buffers
from avbench.errors import UserError
from avbench.hashing import stable_hash
from avbench.metrics.frame_labels import KINDS, Counts, f1
from avbench.types import ClipBatch, ClipSpec, Sample

FrameLoss = Callable[[Detector, torch.Tensor, torch.Tensor], torch.Tensor]
THRESHOLD = 0.5


def place(samples: Sequence[Sample], clip: ClipSpec, seed: int, epoch: int) -> list[ClipRequest]:
    """Return the clips of an epoch: every frame where a clip is one frame, else one clip a video, drawn anew.

    Either way a clip is augmented anew in each epoch.
    """
    if clip.frames == 1:
        return sliding(samples, clip, seed=stable_hash(seed, epoch))
    return oracle(samples, clip, seed, epoch)


@dataclass(frozen=True, slots=True)
class FrameLabels:
    """What is measured of a network: the names of its labels, and its loss (network, p (B,T,N), labels (B,T,N))."""

    names: tuple[str, ...]
    loss: FrameLoss

    @torch.inference_mode()
    def count(
        self, detector: Detector, samples: Sequence[Sample], fabric: Fabric, loading: Loading, budget: FailureBudget
    ) -> tuple[Counts, float]:
        """Judge all frames of the samples, shared among the ranks; return counts (P,N,4) and the mean loss.

        People are in the order of `people`. Of clips that overlap, the later one counts from where the earlier ended.
        """
        share_buffers(detector, fabric)
        config, names = detector.config, people(samples)
        requests = sliding(samples, config.clip)
        new_from = _new_from(requests, config.clip)
        labels = len(self.names)
        totals = torch.zeros(len(names) * labels * len(KINDS) + 2, dtype=torch.float64, device=fabric.device)
        counts_PNK, losses = totals[:-2].view(len(names), labels, len(KINDS)), totals[-2:]
        mine = batches_of(requests, config.eval_batch)[fabric.global_rank :: fabric.world_size]
        detector.eval()
        for loaded in load(detector, mine, loading, budget.files):
            budget.note(loaded)
            if loaded.batch is None:
                continue
            batch = loaded.batch.to(fabric.device)
            p_BTN, labels_BTN = self._answers(detector, batch)
            for row, request in enumerate(loaded.requests):
                times = loaded.starts[row] + (np.arange(labels_BTN.shape[1]) + 0.5) / config.clip.fps
                seen = times < new_from[request.sample.id, request.start]
                labels_BTN[row, torch.from_numpy(seen).to(fabric.device)] = torch.nan
                counts_PNK[names.index(request.sample.cluster)] += _counted(p_BTN[row], labels_BTN[row])
            if known := float((~labels_BTN.isnan()).sum()):
                with calling(detector, "the loss of the pre-training", batch, ("eval_batch", config.eval_batch)):
                    loss = float(self.loss(detector, p_BTN, labels_BTN))
                losses += torch.tensor([loss * known, known], dtype=torch.float64, device=fabric.device)
        totals = fabric.all_reduce(totals, reduce_op="sum") if fabric.world_size > 1 else totals
        summed = totals.cpu().numpy()
        return summed[:-2].reshape(len(names), labels, len(KINDS)), float(summed[-2] / max(summed[-1], 1.0))

    def _answers(self, network: Detector, batch: ClipBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return probabilities and labels (B,T,N) of a batch, the labels as a copy."""
        held = ("eval_batch", network.config.eval_batch)
        with calling(network, "forward", batch, held):
            p_BTN = network(batch).aux.get("p")
        with calling(network, "labels", batch, held):
            labels_BTN = network.labels(batch)
        expected = (*batch.video.shape[:2], len(self.names))
        for what, values in (('aux["p"]', p_BTN), ("labels", labels_BTN)):
            if values is None or tuple(values.shape) != expected:
                found = "nothing" if values is None else f"values of shape {tuple(values.shape)}"
                raise UserError(
                    f"{network.config.detector}: {what} gives {found} for {len(batch)} clips, not {expected}: clips, "
                    "frames, columns of the annotation; mend the network"
                )
        return p_BTN, labels_BTN.clone()

    def validate(
        self,
        detector: Detector,
        samples: Sequence[Sample],
        seed: int,
        fabric: Fabric,
        loading: Loading,
        budget: FailureBudget,
    ) -> Validated:
        """Return the mean F1, that of each label, and the loss on all frames of the validation people."""
        counts, loss = self.count(detector, samples, fabric, loading, budget)
        summed = counts.sum(axis=0)
        values = {"f1": float(f1(summed).mean()), "loss": loss}
        values |= {f"f1_{name}": float(value) for name, value in zip(self.names, f1(summed), strict=True)}
        return Validated(values, pd.DataFrame(summed.astype(int), columns=KINDS).assign(unit=self.names))

    @property
    def selection(self) -> Selection:
        """Return how the epoch is chosen: by mean F1, of equal ones by the loss."""
        return Selection(self.validate, _better, "validation F1, mean over units", each_stage=True)


def _better(values: Mapping[str, float], best: Mapping[str, float]) -> bool:
    return (values["f1"], -values["loss"]) > (best["f1"], -best["loss"])


def people(samples: Sequence[Sample]) -> list[str]:
    """Return the clusters of samples, sorted."""
    return sorted({sample.cluster for sample in samples})


def _counted(p_TN: torch.Tensor, labels_TN: torch.Tensor) -> torch.Tensor:
    """Count (N,4) over frames whose label is known."""
    found, shown, absent = p_TN > THRESHOLD, labels_TN == 1, labels_TN == 0
    pairs = ((found, shown), (found, absent), (~found, shown), (~found, absent))
    return torch.stack([(answer & truth).sum(dim=0) for answer, truth in pairs], dim=1).double()


def _new_from(requests: Sequence[ClipRequest], clip: ClipSpec) -> dict[tuple[str, float | None], float]:
    """Return the second from which each clip, by sample and start, shows what no earlier one did."""
    found: dict[tuple[str, float | None], float] = {}
    ends: dict[str, float] = {}
    for request in requests:
        name, start = request.sample.id, request.start or 0.0
        found[name, request.start] = ends.get(name, 0.0)
        ends[name] = start + clip.seconds
    return found
