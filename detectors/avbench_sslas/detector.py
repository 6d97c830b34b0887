"""SSLAS as a detector: settings -> network, sound -> P(the audio is fake), RawBoost, loss, optimiser, weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.types import ClipBatch, Output, Stage
from avbench_backbones import checkpoints
from avbench_backbones.aasist import GraphSize
from avbench_backbones.anti_spoofing import real_then_fake, repeat_short, weighted_loss
from avbench_sslas.keys import ENCODER, encoder_state, from_published
from avbench_sslas.network import SSLAS, BackEndSize, EncoderSize, feature_frames
from avbench_sslas.rawboost import ALGORITHMS, rawboost

SAMPLE_RATE = 16_000


class SSLASDetector(Detector):
    """Judge four seconds of sound."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        _check(config)
        self.network = SSLAS(encoder_size(config), back_end_size(config))

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,2): the sound is real, is fake. In training, the sound is boosted before it is filled up."""
        algorithm = int(self.config.settings["rawboost"] or 0) if self.training else 0
        audio_BS = boosted(batch, algorithm) if algorithm else batch.audio
        logits_B2 = real_then_fake(self.network(repeat_short(audio_BS, batch.samples)))
        return Output(logits=logits_B2, p_audio=logits_B2.float().softmax(dim=1)[:, 1])

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Weigh the cross-entropy by class."""
        assert output.logits is not None
        s: Mapping[str, Any] = self.config.settings
        return {"loss": weighted_loss(output.logits, self.labels(batch), s["weight_real"], s["weight_fake"])}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam at a constant rate for encoder and back-end alike, as published."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.Adam(trainable, lr=stage.lr, weight_decay=stage.weight_decay), None

    def start(self, weights: Mapping[str, Path]) -> None:
        """Load the encoder strictly, from fairseq's file, transformers', or the encoder in a published SSLAS."""
        for setting, path in weights.items():
            try:
                state = checkpoints.weights_of(checkpoints.read_checkpoint(path))
                inside = {n.removeprefix(ENCODER): e for n, e in state.items() if n.startswith(ENCODER)}
                checkpoints.load_strict(self.network.encoder, encoder_state(inside or state))
            except checkpoints.CheckpointError as error:
                raise UserError(f"{setting} = {path}: {error}; give another file, or {setting}=random") from error

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename a published SSLAS (with or without "module.") to this detector's names."""
        published = checkpoints.weights_of(state)
        if any(name.startswith("network.") for name in published):
            return published
        return {f"network.{name}": entry for name, entry in from_published(published).items()}


def boosted(batch: ClipBatch, algorithm: int) -> Tensor:
    """Return the sound (B,S) with RawBoost on the valid samples of each clip, drawn from its seed alone."""
    audio_BS = torch.zeros_like(batch.audio)
    for row, (valid, seed) in enumerate(zip(batch.samples.tolist(), batch.seed.tolist(), strict=True)):
        if not valid:
            continue
        wave_S = batch.audio[row, :valid].detach().double().cpu().numpy()
        random = np.random.default_rng(seed % 2**63)
        audio_BS[row, :valid] = torch.from_numpy(rawboost(wave_S, algorithm, random)).to(audio_BS)
    return audio_BS


def encoder_size(config: Config) -> EncoderSize:
    """Read the encoder's sizes from a configuration."""
    s: Mapping[str, Any] = config.settings
    return EncoderSize(
        width=s["encoder_width"],
        layers=s["encoder_layers"],
        heads=s["encoder_heads"],
        inner=s["encoder_inner"],
        conv_width=s["conv_width"],
        position_kernel=s["position_kernel"],
        position_groups=s["position_groups"],
    )


def back_end_size(config: Config) -> BackEndSize:
    """Read the back-end's sizes from a configuration."""
    s: Mapping[str, Any] = config.settings
    graph = GraphSize(s["wide"], s["graph"], s["keep_spectral"], s["keep_temporal"], s["keep_joined"])
    return BackEndSize(s["features"], s["narrow"], s["wide"], graph)


def _check(config: Config) -> None:
    """Raise a UserError for settings that no network can have."""
    s: Mapping[str, Any] = config.settings
    if s["rawboost"] not in ALGORITHMS:
        raise UserError(f"rawboost={s['rawboost']}: give an algorithm of RawBoost, 1 to 8, or 0 for none")
    for whole, part in (("encoder_width", "encoder_heads"), ("encoder_width", "position_groups")):
        if s[whole] % s[part]:
            raise UserError(f"{whole}={s[whole]} cannot be shared by {part}={s[part]}")
    if config.clip.sound_rate != SAMPLE_RATE or feature_frames(config.clip.samples) < 3:
        raise UserError(
            f"sslas cannot hear {config.clip.samples} samples at {config.clip.sound_rate} Hz; "
            f"use --set clip.sound_samples=64600 clip.sound_rate={SAMPLE_RATE}"
        )
