"""AASIST: one encoder of a raw wave, graphs over filters and over time, joined by heterogeneous attention.

Paper: J. Jung et al., "AASIST: audio anti-spoofing using integrated spectro-temporal graph attention networks",
ICASSP 2022, arXiv 2110.01200. Source: clovaai/aasist (MIT). Parameters bear the published names. All but its front
end is also the back-end of SSLAS. Letters: B clips, S samples, K filters, C channels, F rows of a picture, T time,
N nodes, L features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from avbench_backbones.graph import GraphAttention, GraphPool, HeterogeneousAttention
from avbench_backbones.sinc import SincFilters
from avbench_backbones.spectro_temporal import POOLED, condensed, residual_encoder

MAX_MASKED = 20  # filters, exclusive
NODE_TEMPERATURE, PAIR_TEMPERATURE = 2.0, 100.0


@dataclass(frozen=True, slots=True)
class JudgeSize:
    """Sizes of the network after its front end; the defaults are AASIST's, `AASIST_L` are those of its small form.

    `rows` of the picture that is judged (filters); `narrow` and `wide` channels of the blocks; `graph` features of the
    joined graphs; the share of nodes kept of the spectral, the temporal and the joined graphs; `dropout` as published,
    or none.
    """

    rows: int = 70
    narrow: int = 32
    wide: int = 64
    graph: int = 32
    keep_spectral: float = 0.5
    keep_temporal: float = 0.7
    keep_joined: float = 0.5
    dropout: bool = True


AASIST_L = JudgeSize(wide=24, keep_spectral=0.4, keep_temporal=0.5, keep_joined=0.7)


class GraphJudge(nn.Module):
    """Residual blocks over a picture, graphs over its rows and over time; logits as published: spoof, bona fide."""

    def __init__(self, size: JudgeSize, *, pool: bool) -> None:
        super().__init__()
        inputs, outputs = size.wide, size.graph
        self.first_bn = nn.BatchNorm2d(1)
        self.encoder = residual_encoder(size.narrow, size.wide, pool=pool)
        self.pos_S = nn.Parameter(torch.randn(1, size.rows // POOLED, inputs))
        self.master1 = nn.Parameter(torch.randn(1, 1, inputs))
        self.master2 = nn.Parameter(torch.randn(1, 1, inputs))
        self.GAT_layer_S = GraphAttention(inputs, inputs, NODE_TEMPERATURE)
        self.GAT_layer_T = GraphAttention(inputs, inputs, NODE_TEMPERATURE)
        self.HtrgGAT_layer_ST11 = HeterogeneousAttention(inputs, outputs, PAIR_TEMPERATURE)
        self.HtrgGAT_layer_ST12 = HeterogeneousAttention(outputs, outputs, PAIR_TEMPERATURE)
        self.HtrgGAT_layer_ST21 = HeterogeneousAttention(inputs, outputs, PAIR_TEMPERATURE)
        self.HtrgGAT_layer_ST22 = HeterogeneousAttention(outputs, outputs, PAIR_TEMPERATURE)
        self.pool_S = GraphPool(size.keep_spectral, inputs)
        self.pool_T = GraphPool(size.keep_temporal, inputs)
        self.pool_hS1, self.pool_hT1, self.pool_hS2, self.pool_hT2 = (
            GraphPool(size.keep_joined, outputs) for _ in range(4)
        )
        self.drop_way = nn.Dropout(0.2)
        self.drop = nn.Dropout(0.5)
        self.out_layer = nn.Linear(5 * outputs, 2)
        if not size.dropout:
            for drop in (module for module in self.modules() if isinstance(module, nn.Dropout)):
                drop.p = 0.0

    def look(self, picture_BFT: Tensor) -> Tensor:
        """Map a picture (B,rows,T) to what the blocks see in it (B,C,rows // 3,T)."""
        x_BCFT: Tensor = self.encoder(condensed(picture_BFT, self.first_bn))
        return x_BCFT

    def classify(self, spectral_BFL: Tensor, temporal_BTL: Tensor) -> Tensor:
        """Map nodes (B,F,L), without their positions, and (B,T,L) to logits (B,2)."""
        spectral_BNL = self.pool_S(self.GAT_layer_S(spectral_BFL + self.pos_S))
        temporal_BNL = self.pool_T(self.GAT_layer_T(temporal_BTL))
        stacks = (
            (self.HtrgGAT_layer_ST11, self.pool_hT1, self.pool_hS1, self.HtrgGAT_layer_ST12, self.master1),
            (self.HtrgGAT_layer_ST21, self.pool_hT2, self.pool_hS2, self.HtrgGAT_layer_ST22, self.master2),
        )
        heard = []
        for first, pool_T, pool_S, second, start in stacks:
            master_B1L = start.expand(len(spectral_BNL), -1, -1)
            t_BNL, s_BNL, master_B1L = first(temporal_BNL, spectral_BNL, master_B1L)
            t_BNL, s_BNL = pool_T(t_BNL), pool_S(s_BNL)
            more = second(t_BNL, s_BNL, master_B1L)
            parts = zip((t_BNL, s_BNL, master_B1L), more, strict=True)
            heard.append([self.drop_way(old + new) for old, new in parts])
        t_BNL, s_BNL, master_B1L = (torch.maximum(one, other) for one, other in zip(*heard, strict=True))
        readout = [t_BNL.abs().amax(1), t_BNL.mean(1), s_BNL.abs().amax(1), s_BNL.mean(1), master_B1L.squeeze(1)]
        logits_B2: Tensor = self.out_layer(self.drop(torch.cat(readout, dim=1)))
        return logits_B2


class AASIST(GraphJudge):
    """Map a wave (B,S) to logits (B,2) in the published order: spoof, bona fide."""

    def __init__(self, size: JudgeSize = JudgeSize(), hop: int = 1) -> None:
        super().__init__(size, pool=True)
        self.sinc = SincFilters(size.rows, hop, MAX_MASKED)

    def forward(self, audio_BS: Tensor, dice: Sequence[Generator] | None = None) -> Tensor:
        """Judge waves in [-1,1]; with dice, one a clip, some filters are masked."""
        loud_BCFT = self.look(self.sinc(audio_BS, dice).abs()).abs()
        return self.classify(loud_BCFT.amax(dim=3).transpose(1, 2), loud_BCFT.amax(dim=2).transpose(1, 2))
