"""Encoders of AVTS (Sung et al., ICASSP 2023): those of the released checkpoint and those of the training code.

Written from facts about github.com/aiiu-lab/AVSSDeepfakeDet and github.com/ChangSongSong/AVTS-DFD (no licence), whose
names of parameters they keep. Letters: B windows, C channels, T frames, H W pixels, N steps of sound, Q cepstra,
K tokens, L features.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from avbench_backbones.resnet18 import BasicBlock, start_convolutions, stem_3d

REDUCTION = 8  # of squeeze and excitation


class Pictures(nn.Module):
    """A ResNet-18 of PReLUs that turns pictures (N,width,H,W) into their means (N,8 width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        channels = width
        for stage in range(4):
            wide = width * 2**stage
            first = BasicBlock(channels, wide, (1, 1) if stage == 0 else (2, 2), "prelu")
            self.layers.append(nn.Sequential(first, BasicBlock(wide, wide, (1, 1), "prelu")))
            channels = wide
        start_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,width,H,W) to (N,8 width)."""
        for layer in self.layers:
            x = layer(x)
        return x.mean(dim=(2, 3))


class FrameEncoder(nn.Module):
    """The checkpoint's eyes: a stem over five frames, then each frame on its own; one token a frame."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.v_conv3D = stem_3d(width, "prelu")
        if channels != 1:
            self.v_conv3D[0] = nn.Conv3d(channels, width, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False)
            start_convolutions(self.v_conv3D)
        self.v_conv2D = Pictures(width)
        self.features = 8 * width

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B,C,T,H,W) to tokens (B,T,8 width)."""
        maps = self.v_conv3D(x_BCTHW).transpose(1, 2)
        tokens: Tensor = self.v_conv2D(maps.flatten(0, 1)).view(len(x_BCTHW), maps.shape[1], -1)
        return tokens

    def first_filters(self) -> Tensor:
        """Return the weights that look at pictures first (O,C,5,7,7)."""
        return self.v_conv3D.get_parameter("0.weight")


class Excitation(nn.Module):
    """Weigh channels by what their means say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = max(1, width // REDUCTION)
        self.fc = nn.Sequential(nn.Linear(width, narrow), nn.ReLU(inplace=True), nn.Linear(narrow, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Map (B,C,N,Q) to the same shape."""
        weighed: Tensor = x * self.fc(x.mean(dim=(2, 3)))[:, :, None, None]
        return weighed


class SoundBlock(nn.Module):
    """Two convolutions and squeeze-and-excitation beside a shortcut; the first ReLU comes before BatchNorm."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.se = Excitation(width)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            projection = nn.Conv2d(channels, width, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B,C,N,Q) to (B,width,N',Q')."""
        out = self.bn1(F.relu(self.conv1(x)))
        return F.relu(self.se(self.bn2(self.conv2(out))) + self.downsample(x))


class CepstraEncoder(nn.Module):
    """The checkpoint's ears: an SE-ResNet-18 over steps and cepstra; one token for four steps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 7, (1, 2), 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, stride in enumerate((1, 2, 2, 1)):
            wide = width * 2**stage
            blocks = SoundBlock(channels, wide, stride), SoundBlock(wide, wide, 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            channels = wide
        self.features = channels
        start_convolutions(self)

    def forward(self, cepstra_BNQ: Tensor) -> Tensor:
        """Map (B,N,Q) to tokens (B,N/4,8 width), rounded up."""
        x = F.relu(self.bn1(self.conv1(cepstra_BNQ[:, None])))
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
        return x.mean(dim=3).transpose(1, 2)

    def first_filters(self) -> Tensor:
        """Return the weights that hear first (O,1,7,7)."""
        return self.conv1.weight


class Bottleneck(nn.Module):
    """Three pointwise convolutions beside a shortcut.

    The first of them sees three frames, unless it is `flat`; `shrink` halves the picture.
    """

    def __init__(self, channels: int, width: int, *, flat: bool, shrink: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, width, (1 if flat else 3, 1, 1), padding=(0 if flat else 1, 0, 0), bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(4 * width)
        self.downsample: nn.Module = nn.Identity()
        if channels != 4 * width:
            shortcut = nn.Conv3d(channels, 4 * width, 1, bias=False), nn.BatchNorm3d(4 * width)
            self.downsample = nn.Sequential(*shortcut, *_halves(shrink))
        if shrink:
            self.bn2 = nn.Sequential(nn.BatchNorm3d(width), *_halves(shrink))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B,C,T,H,W) to (B,4 width,T,H',W')."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class PointEncoder(nn.Module):
    """The training code's eyes: a ResNet-50 of pointwise convolutions, three stages of it; one token for two frames."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, width, (5, 1, 1), padding=(2, 0, 0), bias=False)
        self.bn1 = nn.Sequential(nn.BatchNorm3d(width), *_halves(True))
        self.maxpool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.maxpool2 = nn.MaxPool3d((2, 1, 1))
        channels = width
        for stage, blocks in enumerate((3, 4, 6)):
            wide, layer = width * 2**stage, nn.Sequential()
            for block in range(blocks):
                flat, shrink = stage > 0 and block % 2 == 1, stage > 0 and block == 0
                layer.append(Bottleneck(channels, wide, flat=flat, shrink=shrink))
                channels = 4 * wide
            setattr(self, f"layer{stage + 1}", layer)
        self.features = channels
        start_convolutions(self)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B,C,T,H,W) to tokens (B,T/2,16 width)."""
        x_BCTHW = self.maxpool(F.relu(self.bn1(self.conv1(x_BCTHW))))
        for name in ("layer1", "maxpool2", "layer2", "layer3"):
            x_BCTHW = self.get_submodule(name)(x_BCTHW)
        return x_BCTHW.mean(dim=(3, 4)).transpose(1, 2)

    def first_filters(self) -> Tensor:
        """Return the weights that look at pictures first (O,C,5,1,1)."""
        return self.conv1.weight


class PlainCepstraEncoder(nn.Module):
    """The training code's ears: six convolutions and a last one over what is left of the cepstra, halved in time."""

    def __init__(self, features: int) -> None:
        super().__init__()
        a, b, c = features // 8, features // 4, features // 2
        self.layer1 = nn.Sequential(*_heard(1, a), nn.MaxPool2d(1))
        self.layer2 = nn.Sequential(*_heard(a, b), nn.MaxPool2d(3, (2, 1)))
        self.layer3 = nn.Sequential(*_heard(b, b, (2, 1)), *_heard(b, b), *_heard(b, c), nn.MaxPool2d(3, 2))
        self.layer4 = nn.Sequential(nn.Conv2d(c, features, (1, 5)), nn.Flatten(2, 3))
        self.temporal_pool = nn.MaxPool1d(2)
        self.features = features

    def forward(self, cepstra_BNQ: Tensor) -> Tensor:
        """Map (B,N,13) to tokens (B,K,features)."""
        x = self.layer3(self.layer2(self.layer1(cepstra_BNQ[:, None])))
        tokens: Tensor = self.temporal_pool(self.layer4(x)).transpose(1, 2)
        return tokens

    def first_filters(self) -> Tensor:
        """Return the weights that hear first (O,1,3,3)."""
        return self.layer1.get_parameter("0.weight")


def _halves(shrink: bool) -> list[nn.Module]:
    return [nn.MaxPool3d((1, 2, 2))] if shrink else []


def _heard(channels: int, width: int, padding: int | tuple[int, int] = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, width, 3, padding=padding), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
