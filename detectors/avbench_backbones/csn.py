"""Channel-separated 3D ResNets: ir-CSN and ip-CSN (Tran et al., ICCV 2019, arXiv 1904.02811).

Parameter names are those of pytorchvideo (Apache-2.0); `checkpoints` renames other files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

Variant = Literal["ir", "ip"]

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
EXPANSION = 4  # a block's output has this many times its inner width


class Bottleneck(nn.Module):
    """Separate channel mixing (1x1x1) from space and time (depthwise 3x3x3, which carries the stride)."""

    def __init__(
        self, channels: int, inner: int, stride: tuple[int, int, int], variant: Variant, bn_eps: float
    ) -> None:
        super().__init__()
        self.conv_a = nn.Conv3d(channels, inner, 1, bias=False)
        self.norm_a = nn.BatchNorm3d(inner, eps=bn_eps)
        if variant == "ip":  # interaction preserved: mixes channels once more, without an activation
            self.conv_ip = nn.Conv3d(inner, inner, 1, bias=False)
            self.norm_ip = nn.BatchNorm3d(inner, eps=bn_eps)
        self.conv_b = nn.Conv3d(inner, inner, 3, stride=stride, padding=1, groups=inner, bias=False)
        self.norm_b = nn.BatchNorm3d(inner, eps=bn_eps)
        self.conv_c = nn.Conv3d(inner, EXPANSION * inner, 1, bias=False)
        self.norm_c = nn.BatchNorm3d(EXPANSION * inner, eps=bn_eps)
        self.relu = nn.ReLU(inplace=True)
        self.variant = variant

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to the residual, before the sum with the shortcut."""
        x = self.relu(self.norm_a(self.conv_a(x)))
        if self.variant == "ip":
            x = self.norm_ip(self.conv_ip(x))
        x = self.relu(self.norm_b(self.conv_b(x)))
        out: Tensor = self.norm_c(self.conv_c(x))
        return out


class ResidualBlock(nn.Module):
    """Add a bottleneck to its input, which the first block of a stage projects to the new shape."""

    def __init__(
        self,
        channels: int,
        inner: int,
        stride: tuple[int, int, int],
        variant: Variant,
        bn_eps: float,
        project: bool,
    ) -> None:
        super().__init__()
        self.project = project
        if project:
            self.branch1_conv = nn.Conv3d(channels, EXPANSION * inner, 1, stride=stride, bias=False)
            self.branch1_norm = nn.BatchNorm3d(EXPANSION * inner, eps=bn_eps)
        self.branch2 = Bottleneck(channels, inner, stride, variant, bn_eps)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to (B, 4 * inner, T', H', W')."""
        shortcut = self.branch1_norm(self.branch1_conv(x)) if self.project else x
        out: Tensor = self.relu(shortcut + self.branch2(x))
        return out


class Stem(nn.Module):
    """Halve height and width by a 3x7x7 convolution, and again by the optional max pool."""

    def __init__(self, width: int, bn_eps: float, pool: bool) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False)
        self.norm = nn.BatchNorm3d(width, eps=bn_eps)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)) if pool else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, T, H, W) to (B, width, T, H/4, W/4), or H/2, W/2 without the pool."""
        out: Tensor = self.pool(self.relu(self.norm(self.conv(x))))
        return out


class Stage(nn.Module):
    """Chain the residual blocks of one resolution."""

    def __init__(
        self,
        count: int,
        channels: int,
        inner: int,
        stride: tuple[int, int, int],
        variant: Variant,
        bn_eps: float,
    ) -> None:
        super().__init__()
        first = ResidualBlock(channels, inner, stride, variant, bn_eps, project=True)
        rest = [
            ResidualBlock(EXPANSION * inner, inner, (1, 1, 1), variant, bn_eps, project=False) for _ in range(count - 1)
        ]
        self.res_blocks = nn.ModuleList([first, *rest])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to (B, 4 * inner, T', H', W')."""
        for block in self.res_blocks:
            x = block(x)
        return x


class ClassHead(nn.Module):
    """Average over time and space, then one linear layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to (B, classes)."""
        out: Tensor = self.proj(x.mean(dim=(2, 3, 4)))
        return out


class CSN(nn.Module):
    """Encode a clip (B, 3, T, H, W) as a feature map (B, 32 * width, T', H/32, W/32).

    depth: 50, 101, 152, or the number of blocks of each of the four stages.
    width: channels of the stem; 64 is the published size, giving 2048 channels at the end.
    temporal_strides: of the four stages; all 1 keeps every frame, the published Kinetics models use
        (1, 2, 2, 2). Strides are no part of a checkpoint.
    bn_eps: 1e-5 for pytorchvideo's weights, 1e-3 for mmaction2's and VMZ's (`checkpoints.CSN_BN_EPS`).
    classes: adds the classification head; the output is then (B, classes).
    """

    def __init__(
        self,
        depth: int | Sequence[int] = 101,
        *,
        width: int = 64,
        temporal_strides: Sequence[int] = (1, 1, 1, 1),
        bn_eps: float = 1e-5,
        stem_pool: bool = True,
        variant: Variant = "ir",
        classes: int | None = None,
    ) -> None:
        super().__init__()
        if isinstance(depth, int) and depth not in BLOCKS:
            raise ValueError(f"CSN depth {depth}: use one of {sorted(BLOCKS)} or four block counts")
        if variant not in ("ir", "ip"):
            raise ValueError(f"CSN variant {variant!r}: use 'ir' or 'ip'")
        counts = BLOCKS[depth] if isinstance(depth, int) else tuple(depth)
        if len(counts) != 4 or len(temporal_strides) != 4:
            raise ValueError("a CSN has four stages: give four block counts and four temporal strides")
        blocks: list[nn.Module] = [Stem(width, bn_eps, stem_pool)]
        channels = width
        for index, (count, temporal) in enumerate(zip(counts, temporal_strides, strict=True)):
            inner = width * 2**index
            spatial = 1 if index == 0 else 2
            blocks.append(Stage(count, channels, inner, (temporal, spatial, spatial), variant, bn_eps))
            channels = EXPANSION * inner
        if classes is not None:
            blocks.append(ClassHead(channels, classes))
        self.blocks = nn.ModuleList(blocks)
        self.out_channels = channels
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, video: Tensor) -> Tensor:
        """Map (B, 3, T, H, W) to (B, out_channels, T', H/32, W/32) or, with a head, (B, classes)."""
        for block in self.blocks:
            video = block(video)
        return video
