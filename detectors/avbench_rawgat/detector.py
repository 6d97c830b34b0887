"""RawGAT-ST as a detector: settings -> network, sound -> P(the audio is fake), loss, optimiser, published weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError, unknown
from avbench.types import ClipBatch, Output, Stage
from avbench_backbones import checkpoints
from avbench_backbones.anti_spoofing import real_then_fake, repeat_short, weighted_loss
from avbench_backbones.augment import dice
from avbench_backbones.rawgat import RawGATSize, RawGATST
from avbench_backbones.sinc import SAMPLE_RATE
from avbench_backbones.spectro_temporal import steps_after

FUSIONS = ("mul", "add", "cat")


class RawGAT(Detector):
    """Judge four seconds of sound."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.network = RawGATST(size(config))
        self.masks = bool(config.settings["mask_filters"])

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,2): the sound is real, is fake."""
        masking = dice(batch.seed) if self.training and self.masks else None
        logits_B2 = real_then_fake(self.network(repeat_short(batch.audio, batch.samples), masking))
        return Output(logits=logits_B2, p_audio=logits_B2.float().softmax(dim=1)[:, 1])

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Weigh the cross-entropy by class."""
        assert output.logits is not None
        s: Mapping[str, Any] = self.config.settings
        return {"loss": weighted_loss(output.logits, self.labels(batch), s["weight_real"], s["weight_fake"])}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam at a constant rate; its decay is part of the gradient, as published."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.Adam(trainable, lr=stage.lr, weight_decay=stage.weight_decay), None

    def start(self, weights: Mapping[str, Path]) -> None:
        """Load a published network strictly."""
        for setting, path in weights.items():
            try:
                state = checkpoints.weights_of(checkpoints.read_checkpoint(path))
                checkpoints.load_strict(self.network, state)
            except checkpoints.CheckpointError as error:
                raise UserError(f"{setting} = {path}: {error}; give another file, or {setting}=random") from error

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the published code's parameters (with or without "module.") to `network.<their name>`."""
        published = checkpoints.weights_of(state)
        return {n if n.startswith("network.") else f"network.{n}": value for n, value in published.items()}


def size(config: Config) -> RawGATSize:
    """Read the network's sizes from a configuration; raise a UserError for what no network can have."""
    s: Mapping[str, Any] = config.settings
    if s["fusion"] not in FUSIONS:
        raise unknown("value of fusion", str(s["fusion"]), FUSIONS)
    if config.clip.sound_rate != SAMPLE_RATE or not steps_after(config.clip.samples, s["hop"]):
        raise UserError(
            f"{config.detector} cannot hear {config.clip.samples} samples at {config.clip.sound_rate} Hz "
            f"with hop={s['hop']}; "
            f"use --set clip.sound_samples=64600 clip.sound_rate={SAMPLE_RATE}"
        )
    sizes = ("filters", "hop", "narrow", "wide", "graph", "fused", "fusion")
    dropout = (s["attention_dropout"], s["pool_dropout"])
    return RawGATSize(config.clip.samples, **{name: s[name] for name in sizes}, dropout=dropout)
