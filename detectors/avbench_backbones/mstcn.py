"""Multi-scale temporal convolutional network (Martinez et al., ICASSP 2020, arXiv 2001.08702).

Written from facts about LipForensics (github.com/ahaliassos/LipForensics, MIT), whose names of parameters it keeps.
Letters: B clips, C channels, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avbench_backbones.resnet18 import Activation, activation

KERNELS = (3, 5, 7)
WIDTH = 768
LAYERS = 4


class Branch(nn.Module):
    """One kernel size: convolve, normalise, cut the padding off both ends, activate."""

    def __init__(self, channels: int, width: int, kernel: int, dilation: int, kind: Activation) -> None:
        super().__init__()
        padding = (kernel - 1) * dilation
        self.conv = nn.Conv1d(channels, width, kernel, padding=padding, dilation=dilation)
        self.batchnorm = nn.BatchNorm1d(width)  # sees the padding too, as published
        self.non_lin = activation(kind, width)
        self.cut = padding // 2

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Map (B, C, T) to (B, width, T)."""
        x_BCT = self.batchnorm(self.conv(x_BCT))
        out: Tensor = self.non_lin(x_BCT[..., self.cut : x_BCT.shape[-1] - self.cut])
        return out


class MultibranchBlock(nn.Module):
    """Twice: all branches side by side, with dropout; then the sum with the projected input."""

    def __init__(
        self, channels: int, width: int, dilation: int, kernels: Sequence[int], dropout: float, kind: Activation
    ) -> None:
        super().__init__()
        self.kernels = len(kernels)
        for half, incoming in enumerate((channels, width)):
            for index, kernel in enumerate(kernels):
                branch = Branch(incoming, width // len(kernels), kernel, dilation, kind)
                setattr(self, f"cbcr{half}_{index}", branch)
        self.dropout = nn.Dropout(dropout)
        self.downsample = nn.Conv1d(channels, width, 1)  # there even where the widths agree, as published
        self.relu_final = activation(kind, width)

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Map (B, C, T) to (B, width, T)."""
        y_BCT = x_BCT
        for half in range(2):
            branches = [getattr(self, f"cbcr{half}_{index}")(y_BCT) for index in range(self.kernels)]
            y_BCT = self.dropout(torch.cat(branches, dim=1))
        out: Tensor = self.relu_final(y_BCT + self.downsample(x_BCT))
        return out


class MultiscaleNetwork(nn.Module):
    """Blocks whose dilation doubles from one to the next; `layers` of them, `width` wide."""

    def __init__(
        self,
        channels: int,
        width: int = WIDTH,
        layers: int = LAYERS,
        kernels: Sequence[int] = KERNELS,
        dropout: float = 0.2,
        kind: Activation = "prelu",
    ) -> None:
        super().__init__()
        if width % len(kernels):
            raise ValueError(f"a width of {width} cannot be shared by {len(kernels)} kernel sizes")
        widths = [channels] + [width] * layers
        blocks = [MultibranchBlock(widths[i], width, 2**i, kernels, dropout, kind) for i in range(layers)]
        self.network = nn.Sequential(*blocks)

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Map (B, C, T) to (B, width, T)."""
        out: Tensor = self.network(x_BCT)
        return out


class MSTCN(nn.Module):
    """The network, the mean over a clip's valid frames, and a linear layer of `outputs`."""

    def __init__(
        self, channels: int, outputs: int, width: int = WIDTH, layers: int = LAYERS, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.mb_ms_tcn = MultiscaleNetwork(channels, width, layers, dropout=dropout)
        self.tcn_output = nn.Linear(width, outputs)

    def forward(self, features_BTC: Tensor, lengths_B: Tensor) -> Tensor:
        """Map features (B, T, C), of which `lengths_B` frames are valid, to (B, outputs)."""
        x_BCT = self.mb_ms_tcn(features_BTC.transpose(1, 2))
        valid_BT = torch.arange(x_BCT.shape[-1], device=x_BCT.device) < lengths_B[:, None]
        mean_BC = (x_BCT * valid_BT[:, None]).sum(dim=-1) / valid_BT.sum(dim=1).clamp(min=1)[:, None]
        out: Tensor = self.tcn_output(mean_BC)
        return out
