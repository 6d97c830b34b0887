"""RawGAT-ST: two encoders of a raw wave, a graph over filters, a graph over time, and one of both.

Paper: H. Tak et al., "End-to-end spectro-temporal graph attention networks for speaker verification anti-spoofing and
speech deepfake detection", ASVspoof 2021 workshop, arXiv 2107.12710. Source: eurecom-asp/RawGAT-ST-antispoofing (MIT).
Parameters bear the published names. Letters: B clips, S samples, K filters, C channels, F filters after pooling,
T time, N nodes, L features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from avbench_backbones.graph import GraphAttention, GraphPool
from avbench_backbones.sinc import SincFilters
from avbench_backbones.spectro_temporal import POOLED, condensed, rawgat_encoder, steps_after

Fusion = Literal["mul", "add", "cat"]

MAX_MASKED = 14  # filters, exclusive


@dataclass(frozen=True, slots=True)
class RawGATSize:
    """Sizes of the network; the defaults are the published ones.

    `hop` samples between outputs of the filters; `narrow` and `wide` channels of the blocks; `graph` features and
    `fused` nodes of the two graphs; `dropout` of what attention hears and of what pooling judges.
    """

    samples: int = 64_600
    filters: int = 70
    hop: int = 1
    narrow: int = 32
    wide: int = 64
    graph: int = 32
    fused: int = 12
    fusion: Fusion = "mul"
    dropout: tuple[float, float] = (0.2, 0.3)


class RawGATST(nn.Module):
    """Map a wave (B,S) to logits (B,2) in the published order: spoof, bona fide."""

    def __init__(self, size: RawGATSize = RawGATSize()) -> None:
        super().__init__()
        self.size = size
        both = size.graph * (2 if size.fusion == "cat" else 1)
        attention, pooling = size.dropout
        self.sinc = SincFilters(size.filters, size.hop, MAX_MASKED)
        self.first_bn = nn.BatchNorm2d(1)
        self.encoder1 = rawgat_encoder(size.narrow, size.wide)
        self.encoder2 = rawgat_encoder(size.narrow, size.wide)
        self.GAT_layer1 = GraphAttention(size.wide, size.graph, dropout=attention)
        self.GAT_layer2 = GraphAttention(size.wide, size.graph, dropout=attention)
        self.GAT_layer3 = GraphAttention(both, both // 2, dropout=attention)
        self.pool1 = GraphPool(0.64, size.graph, least=2, dropout=pooling)
        self.pool2 = GraphPool(0.81, size.graph, least=2, dropout=pooling)
        self.pool3 = GraphPool(0.64, both // 2, least=2, dropout=pooling)
        self.proj1 = nn.Linear(self.pool1.kept(size.filters // POOLED), size.fused)
        self.proj2 = nn.Linear(self.pool2.kept(steps_after(size.samples, size.hop)), size.fused)
        self.proj = nn.Linear(both // 2, 1)
        self.proj_node = nn.Linear(self.pool3.kept(size.fused), 2)

    def forward(self, audio_BS: Tensor, dice: Sequence[Generator] | None = None) -> Tensor:
        """Judge waves of `size.samples` samples in [-1,1]; with dice, one a clip, some filters are masked."""
        x_BCFT = condensed(self.sinc(audio_BS, dice).abs(), self.first_bn)
        spectral_BFL = self.encoder1(x_BCFT).abs().amax(dim=3).transpose(1, 2)
        temporal_BTL = self.encoder2(x_BCFT).abs().amax(dim=2).transpose(1, 2)
        spectral_BLN = self.proj1(self.pool1(self.GAT_layer1(spectral_BFL)).transpose(1, 2))
        temporal_BLN = self.proj2(self.pool2(self.GAT_layer2(temporal_BTL)).transpose(1, 2))
        fused_BNL = self._fuse(spectral_BLN, temporal_BLN).transpose(1, 2)
        node_BN1 = self.proj(self.pool3(self.GAT_layer3(fused_BNL)))
        logits_B2: Tensor = self.proj_node(node_BN1.flatten(1))
        return logits_B2

    def _fuse(self, spectral_BLN: Tensor, temporal_BLN: Tensor) -> Tensor:
        if self.size.fusion == "mul":
            return spectral_BLN * temporal_BLN
        if self.size.fusion == "add":
            return spectral_BLN + temporal_BLN
        return torch.cat([spectral_BLN, temporal_BLN], dim=1)
