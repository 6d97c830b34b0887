"""A detector of spoofed speech around a published network: sound -> P(the audio is fake), loss, optimiser, weights.

Letters: B clips, S samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.types import ClipBatch, Output, Stage
from avbench_antispoofing.presets import SincSettings, SpoofSettings
from avbench_backbones import checkpoints
from avbench_backbones.anti_spoofing import emphasised, real_then_fake, repeat_short, weighted_loss
from avbench_backbones.augment import dice
from avbench_backbones.sinc import SAMPLE_RATE
from avbench_backbones.spectro_temporal import steps_after


class AntiSpoofing(Detector):
    """Judge four seconds of sound by a `network` whose logits are in the published order: spoof, bona fide."""

    settings: SpoofSettings
    network: nn.Module

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,2): the sound is real, is fake."""
        logits_B2 = real_then_fake(self.hear(batch))
        return Output(logits=logits_B2, p_audio=logits_B2.float().softmax(dim=1)[:, 1])

    def hear(self, batch: ClipBatch) -> Tensor:
        """Return the network's logits (B,2)."""
        logits_B2: Tensor = self.network(repeat_short(batch.audio, batch.samples))
        return logits_B2

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Weigh the cross-entropy by class."""
        assert output.logits is not None
        s = self.settings
        return {"loss": weighted_loss(output.logits, self.labels(batch), s.weight_real, s.weight_fake)}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam at a constant rate; its decay is part of the gradient, as published."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.Adam(trainable, lr=stage.lr, weight_decay=stage.weight_decay), None

    def load_pretrained(self, weights: Mapping[str, Path]) -> None:
        """Load published weights strictly."""
        for path in weights.values():
            self.load_published(checkpoints.weights_of(checkpoints.read_checkpoint(path)))

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Load a published network; raise a CheckpointError if it does not fit."""
        checkpoints.load_strict(self.network, state)

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename published parameters (with or without "module.") to `network.<their name here>`."""
        published = checkpoints.weights_of(state)
        if any(name.startswith("network.") for name in published):
            return published
        return {f"network.{name}": entry for name, entry in self.from_published(published).items()}

    def from_published(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return a published network's entries by their names in `network`; these are the same by default."""
        return state


class SincDetector(AntiSpoofing):
    """Judge sound by a network behind sinc filters, some of which may be masked in training."""

    settings: SincSettings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        hop = self.settings.hop
        check_sound(config, steps_after(config.clip.samples, hop), where=f" with hop={hop}")

    def hear(self, batch: ClipBatch) -> Tensor:
        """Return the network's logits (B,2); in training, some of its filters may be masked."""
        audio_BS = emphasised(repeat_short(batch.audio, batch.samples), self.settings.emphasis)
        masking = dice(batch.seed) if self.training and self.settings.mask_filters else None
        logits_B2: Tensor = self.network(audio_BS, masking)
        return logits_B2


def check_sound(config: Config, steps: int, *, least: int = 1, where: str = "") -> None:
    """Raise a UserError where clips have another rate, or leave the network fewer than `least` time steps."""
    if config.clip.sample_rate != SAMPLE_RATE or steps < least:
        raise UserError(
            f"{config.detector} cannot hear {config.clip.samples} samples at {config.clip.sample_rate} Hz{where}; "
            f"use --set clip.audio_samples=64600 clip.sample_rate={SAMPLE_RATE}"
        )
