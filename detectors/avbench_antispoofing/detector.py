"""A detector of spoofed speech around a published network: sound -> P(the audio is fake), loss, optimiser, weights.

Letters: B clips, S samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.types import ClipBatch, Output, Stage
from avbench_backbones import checkpoints
from avbench_backbones.anti_spoofing import emphasised, real_then_fake, repeat_short, weighted_loss
from avbench_backbones.augment import dice
from avbench_backbones.sinc import SAMPLE_RATE
from avbench_backbones.spectro_temporal import POOLED, steps_after

Size = TypeVar("Size")


class AntiSpoofing(Detector):
    """Judge four seconds of sound by a `network` whose logits are in the published order: spoof, bona fide."""

    network: nn.Module

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,2): the sound is real, is fake."""
        logits_B2 = real_then_fake(self.hear(batch))
        return Output(logits=logits_B2, p_audio=logits_B2.float().softmax(dim=1)[:, 1])

    def hear(self, batch: ClipBatch) -> Tensor:
        """Return the network's logits (B,2); in training, some of its filters may be masked."""
        s: Mapping[str, Any] = self.config.settings
        audio_BS = emphasised(repeat_short(batch.audio, batch.samples), s["emphasis"])
        masking = dice(batch.seed) if self.training and s["mask_filters"] else None
        logits_B2: Tensor = self.network(audio_BS, masking)
        return logits_B2

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Weigh the cross-entropy by class."""
        assert output.logits is not None
        s: Mapping[str, Any] = self.config.settings
        return {"loss": weighted_loss(output.logits, self.labels(batch), s["weight_real"], s["weight_fake"])}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam at a constant rate; its decay is part of the gradient, as published."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.Adam(trainable, lr=stage.lr, weight_decay=stage.weight_decay), None

    def load_pretrained(self, weights: Mapping[str, Path]) -> None:
        """Load published weights strictly."""
        for setting, path in weights.items():
            try:
                self.load_published(checkpoints.weights_of(checkpoints.read_checkpoint(path)))
            except checkpoints.CheckpointError as error:
                raise UserError(f"{setting} = {path}: {error}; give another file, or {setting}=random") from error

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


def size_from(kind: type[Size], config: Config, **more: Any) -> Size:
    """Make sizes (a dataclass) of the settings that are called like its fields, and of what is given."""
    s: Mapping[str, Any] = config.settings
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: s[name] for name in names & s.keys()} | more)


def check_sizes(config: Config, least: Mapping[str, int]) -> None:
    """Raise a UserError for a setting that is smaller than its least value."""
    s: Mapping[str, Any] = config.settings
    for name, lowest in least.items():
        if s[name] < lowest:
            raise UserError(f"{name}={s[name]}: must be at least {lowest}")


def check_sinc(config: Config) -> None:
    """Raise a UserError for sizes that no network behind sinc filters can have, and for sound that it cannot hear."""
    check_sizes(config, {"hop": 1, "filters": POOLED, "narrow": 1, "wide": 1, "graph": 2})
    check_sound(config, steps_after(config.clip.samples, int(config.settings["hop"] or 1)))


def check_sound(config: Config, steps: int, least: int = 1) -> None:
    """Raise a UserError where clips have another rate, or leave the network fewer than `least` time steps."""
    if config.clip.sample_rate != SAMPLE_RATE or steps < least:
        hop = config.settings.get("hop")
        raise UserError(
            f"{config.detector} cannot hear {config.clip.samples} samples at {config.clip.sample_rate} Hz"
            f"{f' with hop={hop}' if hop else ''}; "
            f"use --set clip.audio_samples=64600 clip.sample_rate={SAMPLE_RATE}"
        )
