"""The networks of AVD-DDL (Chugh et al., ACM MM 2020, arXiv 2005.14405).

Written from facts about the published code (github.com/abhinavdhall/deepfake, no licence), whose names of parameters it
keeps; the video network is the 2D-3D ResNet-18 of DPC (Han et al., arXiv 1909.04656). Letters: B clips, C channels,
T frames, H W pixels, Q cepstra, N windows of sound, L features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avbench_backbones.motion import differ
from avbench_backbones.short import BatchNorm1d

CEPSTRA = 13
BLOCKS = 2  # of each of the four stages
SHRINKS = 32  # the picture, so many times
CALM = 0.1


@dataclass(frozen=True, slots=True)
class Sizes:
    """Every size; the defaults are those of the published code."""

    video_width: int = 64  # of the first stage
    audio_width: int = 64  # of the first layer
    hidden: int = 4096
    embedding: int = 1024
    dropout: float = 0.5
    frames: int = 30
    pixels: int = 224
    windows: int = 99  # of sound
    track_running_stats: bool = True  # in the video network


class Block(nn.Module):
    """Two convolutions beside a shortcut; a `flat` one looks at each frame alone and keeps their number."""

    def __init__(self, channels: int, width: int, stride: int, *, flat: bool, last: bool, track: bool) -> None:
        super().__init__()
        kernel, padding = ((1, 3, 3), (0, 1, 1)) if flat else ((3, 3, 3), (1, 1, 1))
        steps = (1 if flat else stride, stride, stride)
        self.conv1 = nn.Conv3d(channels, width, kernel, steps, padding, bias=False)
        self.bn1 = nn.BatchNorm3d(width, track_running_stats=track)
        self.conv2 = nn.Conv3d(width, width, kernel, 1, padding, bias=False)
        self.bn2 = nn.BatchNorm3d(width, track_running_stats=track)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            projection = nn.Conv3d(channels, width, 1, steps, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm3d(width, track_running_stats=track))
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """Map (B,C,T,H,W) to (B,width,T',H',W')."""
        out: Tensor = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.downsample(x)
        return out if self.last else F.relu(out)


class ResNet2d3d(nn.Module):
    """A ResNet-18 that sees frames one by one in two stages, then in threes; the last block has no final ReLU."""

    def __init__(self, width: int, track: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, width, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(width, track_running_stats=track)
        self.maxpool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        channels = width
        for stage, factor in enumerate((1, 2, 4, 4)):
            blocks = []
            for block in range(BLOCKS):
                stride = 2 if stage > 0 and block == 0 else 1
                last = stage == 3 and block == BLOCKS - 1
                blocks.append(Block(channels, factor * width, stride, flat=stage < 2, last=last, track=track))
                channels = factor * width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.out_channels = channels

    @torch.no_grad()
    def see_change(self) -> None:
        """Let the blocks of single frames start as shortcuts, and the first of three frames with differences."""
        for name, weight in self.named_parameters():
            if name.startswith(("layer1.", "layer2.")) and name.endswith("bn2.weight"):
                weight.zero_()
        differ(self.get_parameter("layer3.0.conv1.weight"), dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B,3,T,H,W) to (B,4 width,T/4,H/32,W/32), rounded up."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
        return x


class DissonanceNetwork(nn.Module):
    """Both networks, which embed one second of pictures and of sound in one space, and a head for each."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.track = sizes.track_running_stats
        self.netcnnaud = _ears(sizes.audio_width)
        self.netfcaud = _embedder(8 * sizes.audio_width * heard_windows(sizes.windows), sizes)
        self.netcnnlip = ResNet2d3d(sizes.video_width, sizes.track_running_stats)
        self.moments = math.ceil(sizes.frames / 4)
        area = math.ceil(sizes.pixels / SHRINKS) ** 2
        self.netfclip = _embedder(self.netcnnlip.out_channels * area, sizes)
        self.final_bn_lip, self.final_fc_lip = _head(sizes)
        self.final_bn_aud, self.final_fc_aud = _head(sizes)
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.Conv3d | nn.Linear):
                nn.init.kaiming_normal_(part.weight, mode="fan_out")
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    @torch.no_grad()
    def calm(self) -> None:
        """Let embeddings and heads start small, so that first distances are near one and first logits near nothing."""
        for last in ("netfcaud.3", "netfclip.3", "final_fc_lip.1", "final_fc_aud.1"):
            self.get_parameter(f"{last}.weight").mul_(CALM)

    def see(self, pixels_BCTHW: Tensor) -> Tensor:
        """Embed pictures (B,3,T,H,W) as (B,embedding).

        Without running statistics each clip is judged by its own, as in the published test of one clip at a time.
        """
        if self.training or self.track:
            maps = self.netcnnlip(pixels_BCTHW)
        else:
            maps = torch.cat([self.netcnnlip(clip) for clip in torch.split(pixels_BCTHW, 1)])
        pooled = F.avg_pool3d(maps, (self.moments, 1, 1), stride=1)
        seen_BL: Tensor = self.netfclip(pooled.flatten(1))
        return seen_BL

    def hear(self, cepstra_BQN: Tensor) -> Tensor:
        """Embed cepstra (B,13,N) as (B,embedding)."""
        heard_BL: Tensor = self.netfcaud(self.netcnnaud(cepstra_BQN[:, None]).flatten(1))
        return heard_BL

    def classify(self, seen_BL: Tensor, heard_BL: Tensor) -> tuple[Tensor, Tensor]:
        """Return the heads' logits (B,2) of pictures and of sound, in the published order: 0 is fake, 1 is real."""
        return self.final_fc_lip(self.final_bn_lip(seen_BL)), self.final_fc_aud(self.final_bn_aud(heard_BL))


def heard_windows(windows: int) -> int:
    """Return how many moments the audio network leaves of so many windows."""
    return ((windows - 3) // 2 + 1 - 3) // 2 + 1 - 3


def _ears(width: int) -> nn.Sequential:
    """Return the network that maps cepstra (B,1,13,N) to (B,8 width,1,N')."""
    channels = (1, width, 3 * width, 6 * width, 4 * width, 4 * width)
    pools = {0: nn.MaxPool2d(1), 1: nn.MaxPool2d(3, (1, 2)), 4: nn.MaxPool2d(3, 2)}
    layers: list[nn.Module] = []
    for index in range(5):
        convolution = nn.Conv2d(channels[index], channels[index + 1], 3, padding=1)
        layers += [convolution, nn.BatchNorm2d(channels[index + 1]), nn.ReLU(inplace=True)]
        layers += [pools[index]] if index in pools else []
    last = nn.Conv2d(4 * width, 8 * width, (5, 4))
    return nn.Sequential(*layers, last, nn.BatchNorm2d(8 * width), nn.ReLU(inplace=True))


def _embedder(features: int, sizes: Sizes) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, sizes.hidden),
        BatchNorm1d(sizes.hidden),
        nn.ReLU(inplace=True),
        nn.Linear(sizes.hidden, sizes.embedding),
    )


def _head(sizes: Sizes) -> tuple[nn.Module, nn.Module]:
    return BatchNorm1d(sizes.embedding), nn.Sequential(nn.Dropout(sizes.dropout), nn.Linear(sizes.embedding, 2))
