"""ResNet-18 without its stem, and the 3D stem before it that reads lips: 3D convolution, then one picture at a time.

Papers: He et al., CVPR 2016 (arXiv 1512.03385); Petridis et al., ICASSP 2018 (arXiv 1802.06424). Names of parameters
are those of LipForensics (github.com/ahaliassos/LipForensics, MIT), which are torchvision's with PReLUs between.
Letters: B clips, N pictures, C channels, T frames, H W pixels.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["relu", "prelu"]
Stride = tuple[int, int]

WIDTH = 64
BLOCKS = 2  # of each of the four stages
EXPANSION = 8  # the last stage is so many times as wide as the first


def activation(kind: Activation, channels: int) -> nn.Module:
    """Return a ReLU, or a PReLU with a slope for each channel."""
    return nn.PReLU(channels) if kind == "prelu" else nn.ReLU(inplace=True)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is projected where the shape changes."""

    def __init__(self, channels: int, width: int, stride: Stride, kind: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = activation(kind, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = activation(kind, width)
        self.downsample: nn.Module = nn.Identity()
        if stride != (1, 1) or channels != width:
            projection = nn.Conv2d(channels, width, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, width, H', W')."""
        shortcut = self.downsample(x)
        x = self.relu1(self.bn1(self.conv1(x)))
        out: Tensor = self.relu2(self.bn2(self.conv2(x)) + shortcut)
        return out


class Trunk(nn.Module):
    """The four stages of a ResNet-18 whose first is `width` wide; `stride` is that of stages 2 to 4."""

    def __init__(self, width: int = WIDTH, kind: Activation = "prelu", stride: Stride = (2, 2)) -> None:
        super().__init__()
        self.out_channels = EXPANSION * width
        channels = width
        for index in range(4):
            blocks = []
            for block in range(BLOCKS):
                first = block == 0 and index > 0
                blocks.append(BasicBlock(channels, width * 2**index, stride if first else (1, 1), kind))
                channels = width * 2**index
            setattr(self, f"layer{index + 1}", nn.Sequential(*blocks))
        start_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to (N, 8 * width, H', W')."""
        for index in range(4):
            x = getattr(self, f"layer{index + 1}")(x)
        return x


def stem_3d(width: int = WIDTH, kind: Activation = "prelu", channels: int = 1, frames: int = 5) -> nn.Sequential:
    """Return what maps clips (B,channels,T,H,W) to (B,width,T,H/4,W/4) by so many `frames` (odd) at a time."""
    stem = nn.Sequential(
        nn.Conv3d(channels, width, (frames, 7, 7), stride=(1, 2, 2), padding=(frames // 2, 3, 3), bias=False),
        nn.BatchNorm3d(width),
        activation(kind, width),
        nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
    )
    start_convolutions(stem)
    return stem


def frame_by_frame(trunk: Trunk, x_BCTHW: Tensor) -> Tensor:
    """Send each frame of a clip through a trunk; return its means over the picture (B,T,C')."""
    maps_NCHW: Tensor = trunk(x_BCTHW.transpose(1, 2).flatten(0, 1))
    return maps_NCHW.mean(dim=(2, 3)).view(len(x_BCTHW), -1, maps_NCHW.shape[1])


@torch.no_grad()
def start_convolutions(module: nn.Module) -> None:
    """Draw the first weights of all convolutions as He et al. do for what goes out."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
