"""SSLAS as a detector: settings -> network, RawBoost, and where its encoder's weights come from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from avbench.config import Config
from avbench.errors import UserError
from avbench.types import ClipBatch
from avbench_antispoofing.detector import AntiSpoofing, check_sound
from avbench_backbones import checkpoints
from avbench_backbones.aasist import JudgeSize
from avbench_backbones.anti_spoofing import repeat_short
from avbench_backbones.spectro_temporal import POOLED
from avbench_sslas.keys import ENCODER, encoder_state, from_published
from avbench_sslas.network import SSLAS, EncoderSize, feature_frames
from avbench_sslas.plugin import Settings
from avbench_sslas.rawboost import rawboost


class SSLASDetector(AntiSpoofing):
    """Judge sound by a self-supervised encoder's features and AASIST's graphs."""

    settings: Settings
    network: SSLAS

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s = self.settings
        for name, parts in {"encoder_heads": s.encoder_heads, "position_groups": s.position_groups}.items():
            if s.encoder_width % parts:
                raise UserError(f"encoder_width={s.encoder_width} cannot be shared by {name}={parts}")
        check_sound(config, feature_frames(config.clip.samples), least=POOLED)
        encoder = EncoderSize(
            s.encoder_width,
            s.encoder_layers,
            s.encoder_heads,
            s.encoder_inner,
            s.conv_width,
            s.position_kernel,
            s.position_groups,
        )
        keep = (s.keep_spectral, s.keep_temporal, s.keep_joined)
        self.network = SSLAS(encoder, JudgeSize(s.features, s.narrow, s.wide, s.graph, *keep, s.dropout))

    def hear(self, batch: ClipBatch) -> Tensor:
        """Return the network's logits (B,2); in training, the sound is boosted before it is filled up."""
        algorithm = self.settings.rawboost if self.training else 0
        audio_BS = boosted(batch, algorithm) if algorithm else batch.audio
        logits_B2: Tensor = self.network(repeat_short(audio_BS, batch.samples))
        return logits_B2

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Load the encoder, from fairseq's file, transformers', or the encoder in a published SSLAS."""
        inside = {n.removeprefix(ENCODER): e for n, e in state.items() if n.startswith(ENCODER)}
        checkpoints.load_strict(self.network.encoder, encoder_state(inside or state))

    def from_published(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return a whole published SSLAS by the names in `network`."""
        return from_published(state)


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
