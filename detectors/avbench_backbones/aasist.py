"""AASIST: one encoder of a raw wave, graphs over filters and over time, joined by heterogeneous attention.

Paper: J. Jung et al., "AASIST: audio anti-spoofing using integrated spectro-temporal graph attention networks",
ICASSP 2022, arXiv 2110.01200. Source: clovaai/aasist (MIT). Parameters bear the published names. Its graph part is
also the back-end of SSLAS. Letters: B clips, S samples, K filters, C channels, F filters after pooling, T time,
N nodes, L features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from avbench_backbones.graph import GraphAttention, GraphPool, HeterogeneousAttention
from avbench_backbones.sinc import SincFilters, mask_bands
from avbench_backbones.spectro_temporal import residual_encoder

MOST_MASKED = 20  # filters, exclusive
NODE_TEMPERATURE, PAIR_TEMPERATURE = 2.0, 100.0


@dataclass(frozen=True, slots=True)
class GraphSize:
    """Sizes of the graph part: features in and out, and the share of nodes kept of each graph and of both."""

    inputs: int = 64
    outputs: int = 32
    keep_spectral: float = 0.5
    keep_temporal: float = 0.7
    keep_joined: float = 0.5


@dataclass(frozen=True, slots=True)
class AASISTSize:
    """Sizes of the network; the defaults are the published ones of AASIST, `AASIST_L` those of its small form."""

    filters: int = 70
    hop: int = 1
    narrow: int = 32
    wide: int = 64
    graph: GraphSize = GraphSize()


AASIST_L = AASISTSize(wide=24, graph=GraphSize(24, 32, 0.4, 0.5, 0.7))


class GraphJudge(nn.Module):
    """Judge nodes over filters and nodes over time; logits are in the published order: spoof, bona fide."""

    def __init__(self, size: GraphSize, spectral_nodes: int) -> None:
        super().__init__()
        inputs, outputs = size.inputs, size.outputs
        self.pos_S = nn.Parameter(torch.randn(1, spectral_nodes, inputs))
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

    def judge(self, spectral_BFL: Tensor, temporal_BTL: Tensor) -> Tensor:
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

    def __init__(self, size: AASISTSize = AASISTSize()) -> None:
        super().__init__(size.graph, size.filters // 3)
        self.sinc = SincFilters(size.filters, size.hop)
        self.first_bn = nn.BatchNorm2d(1)
        self.encoder = residual_encoder(size.narrow, size.wide)

    def forward(self, audio_BS: Tensor, dice: Sequence[Generator] | None = None) -> Tensor:
        """Judge waves in [-1,1]; with dice, one a clip, some filters are masked."""
        bands_BKS = self.sinc(audio_BS)
        if dice is not None:
            bands_BKS = mask_bands(bands_BKS, dice, MOST_MASKED)
        x_BCFT = F.selu(self.first_bn(F.max_pool2d(bands_BKS.abs()[:, None], 3)))
        loud_BCFT = self.encoder(x_BCFT).abs()
        return self.judge(loud_BCFT.amax(dim=3).transpose(1, 2), loud_BCFT.amax(dim=2).transpose(1, 2))
