"""LipForensics as a detector: settings -> network, clip -> score, loss, optimiser, published weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.types import ClipBatch, Output, Stage
from avbench_backbones import checkpoints
from avbench_backbones.adamp import AdamP
from avbench_backbones.mouths import prepare
from avbench_lipforensics.model import LipNetwork
from avbench_lipforensics.plugin import Settings


class LipForensics(Detector):
    """Judge the mouth of one second: P(the pictures are fake)."""

    settings: Settings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s = self.settings
        self.network = LipNetwork(s.width, s.tcn_width, s.tcn_layers, s.dropout)
        self.pretrained = False

    def begin_stage(self, stage: Stage) -> None:
        """Freeze what reads lips if its weights were given, unless a setting decides."""
        choice = self.settings.freeze_front_end
        self.network.freeze_front_end(self.pretrained if choice == "auto" else choice == "true")

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,2): 0 and the published network's one."""
        mouths_BCTHW = prepare(batch.video, batch.frames, batch.seed if self.training else None)
        logit_B = self.network(mouths_BCTHW, batch.frames)
        return Output(logits=torch.stack([torch.zeros_like(logit_B), logit_B], dim=1))

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Return the binary cross-entropy, in which both labels weigh alike if `real_share` of the clips are real."""
        assert output.logits is not None
        real = self.settings.real_share
        label_B = self.labels(batch)
        weight_B = torch.where(label_B == 1, 0.5 / (1 - real), 0.5 / real)
        losses_B = F.binary_cross_entropy_with_logits(output.logits[:, 1].float(), label_B.float(), reduction="none")
        return {"loss": (losses_B * weight_B).mean()}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam (or AdamP) of what is trainable; the rate stays."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        kind = AdamP if self.settings.optimizer == "adamp" else torch.optim.Adam
        return kind(trainable, lr=stage.lr, weight_decay=stage.weight_decay), None

    def load_pretrained(self, weights: Mapping[str, Path]) -> None:
        """Load LipForensics, or a lip reader of the same build, strictly."""
        for path in weights.values():
            self.network.load_published(checkpoints.weights_of(checkpoints.read_checkpoint(path)))
            self.pretrained = True

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the published parameters to `network.<their name>`."""
        published = checkpoints.weights_of(state)
        return {name if name.startswith("network.") else f"network.{name}": value for name, value in published.items()}
