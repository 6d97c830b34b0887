"""LipForensics as a detector: settings -> network, clip -> score, loss, optimiser, published weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError, unknown
from avbench.types import ClipBatch, Output, Stage
from avbench_backbones import checkpoints
from avbench_backbones.adamp import AdamP
from avbench_backbones.motion import see_motion
from avbench_lipforensics.model import LipNetwork
from avbench_lipforensics.mouths import prepare

FREEZE = ("auto", "true", "false")
OPTIMIZERS = ("adam", "adamp")


class LipForensics(Detector):
    """Judge the mouth of one second: P(the pictures are fake)."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s: Mapping[str, Any] = config.settings
        for key, allowed in {"freeze_front_end": FREEZE, "optimizer": OPTIMIZERS}.items():
            if s[key] not in allowed:
                raise unknown(f"value of {key}", str(s[key]), allowed)
        if not 0 < s["real_share"] < 1:
            raise UserError(f"real_share={s['real_share']}: give a share between 0 and 1; 0.5 weighs both labels alike")
        self.network = LipNetwork(s["width"], s["tcn_width"], s["tcn_layers"], s["dropout"])
        if s["demo_init"]:
            see_motion(self.network.frontend3D.get_parameter("0.weight"))
        self.pretrained = False

    def begin_stage(self, stage: Stage) -> None:
        """Freeze what reads lips if its weights were given, unless a setting decides."""
        choice = self.config.settings["freeze_front_end"]
        self.network.freeze_front_end(self.pretrained if choice == "auto" else choice == "true")

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,2): 0 and the published network's one."""
        logit_B = self.network(prepare(batch, training=self.training), batch.frames)
        return Output(logits=torch.stack([torch.zeros_like(logit_B), logit_B], dim=1))

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Return the binary cross-entropy, in which both labels weigh alike if `real_share` of the clips are real."""
        assert output.logits is not None
        real = float(self.config.settings["real_share"] or 0)
        label_B = self.labels(batch)
        weight_B = torch.where(label_B == 1, 0.5 / (1 - real), 0.5 / real)
        losses_B = F.binary_cross_entropy_with_logits(output.logits[:, 1].float(), label_B.float(), reduction="none")
        return {"loss": (losses_B * weight_B).mean()}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam (or AdamP) of what is trainable; the rate stays."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        kind = AdamP if self.config.settings["optimizer"] == "adamp" else torch.optim.Adam
        return kind(trainable, lr=stage.lr, weight_decay=stage.weight_decay), None

    def load_pretrained(self, weights: Mapping[str, Path]) -> None:
        """Load LipForensics, or a lip reader of the same build, strictly."""
        for setting, path in weights.items():
            try:
                self.network.load_published(checkpoints.weights_of(checkpoints.read_checkpoint(path)))
            except checkpoints.CheckpointError as error:
                raise UserError(f"{setting} = {path}: {error}; give another file, or {setting}=random") from error
            self.pretrained = True

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the published parameters to `network.<their name>`."""
        published = checkpoints.weights_of(state)
        return {name if name.startswith("network.") else f"network.{name}": value for name, value in published.items()}
