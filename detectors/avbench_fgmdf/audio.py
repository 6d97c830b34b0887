"""AudioEncoder of FGMDF: the front end of RawGAT-ST, whose time axis is cut into a few equal moments.

Paper: Q. Yin et al., IJCV 2024; the blocks are those of H. Tak et al., "End-to-end spectro-temporal graph
attention networks", ASVspoof 2021 workshop. Parameters bear the names of the published code.
Letters: B clips, S samples, K filters, M moments, C channels, F filters after pooling, T time, L features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avbench_backbones.sinc import TAPS, SincFilters
from avbench_backbones.spectro_temporal import RawGATBlock

BLOCKS = 6


class PreActivatedBlock(RawGATBlock):
    """RawGAT-ST's block, except that bn1 and SELU of its input are convolved, not the input itself."""

    def __init__(self, inputs: int, outputs: int, *, first: bool = False) -> None:
        super().__init__(inputs, outputs, first=first)
        if not first:
            self.bn1.requires_grad_(True)

    def forward(self, x_BCFT: Tensor) -> Tensor:
        """Map (B,C,F,T) to (B,outputs,F,T // 3)."""
        if self.first:
            return super().forward(x_BCFT)
        identity = self.conv_downsample(x_BCFT) if hasattr(self, "conv_downsample") else x_BCFT
        y_BCFT = self.conv1(F.selu(self.bn1(x_BCFT)))
        return F.max_pool2d(self.conv2(F.selu(self.bn2(y_BCFT))) + identity, (1, 3))


class AudioEncoder(nn.Module):
    """Map a wave (B,S) to one vector a moment (B,M,L), L = narrow * (filters // 3); all moments share the weights."""

    def __init__(self, filters: int, hop: int, narrow: int, wide: int, moments: int) -> None:
        super().__init__()
        self.moments = moments
        self.sinc = SincFilters(filters, hop)
        self.first_bn = nn.BatchNorm2d(1)
        widths = ((1, narrow), (narrow, narrow), (narrow, wide), (wide, wide), (wide, wide), (wide, narrow))
        self.encoder1 = nn.Sequential(
            *(nn.Sequential(PreActivatedBlock(*pair, first=i == 0)) for i, pair in enumerate(widths))
        )

    def forward(self, audio_BS: Tensor) -> Tensor:
        """Return one vector a moment, (B,M,L), from waves in [-1,1] at 16 kHz."""
        x_BCFT = F.max_pool2d(self.sinc(audio_BS).abs()[:, None], 3)
        x_BCFT = F.selu(self.first_bn(x_BCFT))
        heard = [self.encoder1(part).abs().amax(dim=3).flatten(1) for part in x_BCFT.chunk(self.moments, dim=3)]
        return torch.stack(heard, dim=1)


def min_samples(hop: int, moments: int) -> int:
    """Return how many samples leave every moment one step or more of time."""
    steps: int = 3 * moments * (3**BLOCKS + 1)
    return (steps - 1) * hop + TAPS
