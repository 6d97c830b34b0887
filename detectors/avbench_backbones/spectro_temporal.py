"""Residual blocks over (filter, time) maps, shared by RawGAT-ST, AASIST and the back-end of SSLAS.

Paper: H. Tak et al., "End-to-end spectro-temporal graph attention networks for speaker verification anti-spoofing and
speech deepfake detection", ASVspoof 2021 workshop, table 1. Source: eurecom-asp/RawGAT-ST-antispoofing,
clovaai/aasist (both MIT). Letters: B clips, C channels, F filters, T time.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from avbench_backbones.sinc import TAPS

Widths = Sequence[tuple[int, int]]

POOLED = 3  # rows and time steps of a picture that become one; time steps, again, in each block


class ResidualBlock(nn.Module):
    """Two convolutions beside the identity, then a third of the time steps where `pool` is set.

    The published blocks compute bn1 and SELU of their input and then convolve the input itself: bn1 is part of every
    checkpoint and does nothing. It is kept, frozen, for its name alone.
    """

    def __init__(self, inputs: int, outputs: int, *, first: bool = False, pool: bool = True) -> None:
        super().__init__()
        if not first:
            self.bn1 = nn.BatchNorm2d(inputs).requires_grad_(False)
        self.conv1 = nn.Conv2d(inputs, outputs, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, (2, 3), padding=(0, 1))
        if inputs != outputs:
            self.conv_downsample = nn.Conv2d(inputs, outputs, (1, 3), padding=(0, 1))
        self.pool = pool

    def forward(self, x_BCFT: Tensor) -> Tensor:
        """Map (B,C,F,T) to (B,outputs,F,T or T // 3)."""
        identity = self.conv_downsample(x_BCFT) if hasattr(self, "conv_downsample") else x_BCFT
        y_BCFT = self.conv2(F.selu(self.bn2(self.conv1(x_BCFT)))) + identity
        return F.max_pool2d(y_BCFT, (1, POOLED)) if self.pool else y_BCFT


class RawGATBlock(ResidualBlock):
    """The block of RawGAT-ST: its first one adds the one input channel to all outputs and calls its convolution conv_1.

    The others own a convolution of that name too, which no code uses: kept, frozen, for its name alone.
    """

    def __init__(self, inputs: int, outputs: int, *, first: bool = False) -> None:
        super().__init__(inputs, outputs, first=first)
        self.first = first
        self.conv_1 = nn.Conv2d(1, outputs, (2, 3), padding=(1, 1)).requires_grad_(first)
        if first:
            del self.conv1, self.conv_downsample

    def forward(self, x_BCFT: Tensor) -> Tensor:
        """Map (B,C,F,T) to (B,outputs,F,T // 3)."""
        if not self.first:
            return super().forward(x_BCFT)
        return F.max_pool2d(self.conv2(F.selu(self.bn2(self.conv_1(x_BCFT)))) + x_BCFT, (1, POOLED))


def condensed(picture_BFT: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Map a picture (B,F,T) to what the first block hears of it (B,1,F // 3,T // 3)."""
    return F.selu(norm(F.max_pool2d(picture_BFT[:, None], POOLED)))


def block_widths(narrow: int, wide: int) -> Widths:
    """Return (inputs, outputs) of the six published blocks: two narrow ones, four wide ones."""
    return ((1, narrow), (narrow, narrow), (narrow, wide), *((wide, wide),) * 3)


def rawgat_encoder(narrow: int, wide: int) -> nn.Sequential:
    """Return the six blocks of one branch of RawGAT-ST."""
    widths = block_widths(narrow, wide)
    return nn.Sequential(*(nn.Sequential(RawGATBlock(*pair, first=i == 0)) for i, pair in enumerate(widths)))


def residual_encoder(narrow: int, wide: int, *, pool: bool = True) -> nn.Sequential:
    """Return the six blocks of AASIST, or of SSLAS, which keeps all time steps."""
    widths = block_widths(narrow, wide)
    return nn.Sequential(
        *(nn.Sequential(ResidualBlock(*pair, first=i == 0, pool=pool)) for i, pair in enumerate(widths))
    )


def steps_after(samples: int, hop: int = 1) -> int:
    """Return the time steps that sinc filters, pooling by three and the six blocks leave of a wave."""
    steps = (samples - TAPS) // hop + 1
    return int(steps // POOLED ** (1 + len(block_widths(1, 1))))
