"""Controls that know nothing of a video: a random number, and the share of fakes among the training videos."""

from __future__ import annotations

import torch
from torch import Tensor

from avbench.config import Config
from avbench.detector import Detector
from avbench.types import ClipBatch, Output


class Chance(Detector):
    """A score uniform in [0, 1], drawn by the clip's seed alone."""

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,2) whose softmax is (1 - u, u)."""
        draws = [torch.rand((), generator=torch.Generator().manual_seed(int(seed))) for seed in batch.seed]
        u_B = torch.stack(draws).clamp(1e-6, 1 - 1e-6).to(batch.seed.device)
        return Output(logits=torch.stack([(1 - u_B).log(), u_B.log()], dim=1))


class Majority(Detector):
    """The share of fakes among the training videos, for every video: above one half, all are called fake."""

    count: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.register_buffer("count", torch.zeros(2))  # real, fake

    def forward(self, batch: ClipBatch) -> Output:
        """Return the same logits (B,2) for every clip."""
        return Output(logits=(self.count + 1e-3).log().expand(len(batch), 2))

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Count the labels while training."""
        if self.training:
            self.count += torch.bincount(self.labels(batch), minlength=2)
        return super().loss(output, batch)
