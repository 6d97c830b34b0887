"""Swin transformers without classifier, as tokens (Liu et al., ICCV 2021).

Parameter names are those of microsoft/Swin-Transformer (MIT), which ME-GraphAU keeps. Letters: N images, H W tokens of
the feature map, C channels, X windows, P places of a window, h attention heads, D channels of a head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH = 4
WINDOW = 7
FORBIDDEN = -100.0  # added to the attention between places that the shift brought into one window
HEAD_WIDTH = 32


@dataclass(frozen=True, slots=True)
class SwinSize:
    """Channels of the first layer, blocks of each layer, share of blocks dropped at the end in training."""

    width: int
    blocks: tuple[int, int, int, int]
    drop_path: float

    @property
    def out_channels(self) -> int:
        """Channels of the last layer."""
        return 8 * self.width


SIZES = {
    "swin_tiny": SwinSize(96, (2, 2, 6, 2), 0.2),
    "swin_small": SwinSize(96, (2, 2, 18, 2), 0.3),
    "swin_base": SwinSize(128, (2, 2, 18, 2), 0.5),
}


def to_windows(x_NHWC: Tensor, side: int) -> Tensor:
    """Cut (N, H, W, C) into windows (N * X, P, C), row by row."""
    count, height, width, channels = x_NHWC.shape
    cut = x_NHWC.reshape(count, height // side, side, width // side, side, channels).transpose(2, 3)
    return cut.reshape(-1, side * side, channels)


def from_windows(x_XPC: Tensor, side: int, height: int, width: int) -> Tensor:
    """Join windows (N * X, P, C) to (N, H, W, C)."""
    cut = x_XPC.reshape(-1, height // side, width // side, side, side, x_XPC.shape[-1])
    return cut.transpose(2, 3).reshape(-1, height, width, x_XPC.shape[-1])


class WindowAttention(nn.Module):
    """Attention within windows, with a trained bias for each relative position."""

    relative_position_index: Tensor

    def __init__(self, channels: int, side: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * side - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        down, right = (x.flatten()[:, None] - x.flatten()[None] + side - 1 for x in (rows, columns))
        self.register_buffer("relative_position_index", down * (2 * side - 1) + right)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x_XPC: Tensor, mask_XPP: Tensor | None) -> Tensor:
        """Map windows (N * X, P, C) to (N * X, P, C); the mask is added, that of X windows for each image."""
        q_XhPD, k_XhPD, v_XhPD = self.qkv(x_XPC).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias_hPP = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        added = bias_hPP[None]
        if mask_XPP is not None:
            added = (added + mask_XPP[:, None]).repeat(len(x_XPC) // len(mask_XPP), 1, 1, 1)
        heads_XhPD = F.scaled_dot_product_attention(q_XhPD, k_XhPD, v_XhPD, attn_mask=added)
        out_XPC: Tensor = self.proj(heads_XhPD.transpose(1, 2).flatten(2))
        return out_XPC


class Mlp(nn.Module):
    """Two linear maps with four times the channels between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Attention within windows, every second time of shifted ones, and an MLP; each is left out by chance in training.

    side: tokens of the feature map's edge. A map no larger than a window is one window, unshifted.
    """

    attn_mask: Tensor | None

    def __init__(self, channels: int, side: int, heads: int, *, shifted: bool, drop_path: float) -> None:
        super().__init__()
        self.side, self.window = side, min(side, WINDOW)
        self.shift = WINDOW // 2 if shifted and side > WINDOW else 0
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, self.window, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels)
        self.register_buffer("attn_mask", self._mask() if self.shift else None)

    def forward(self, x_NPC: Tensor) -> Tensor:
        """Map tokens (N, H * W, C) to (N, H * W, C)."""
        x_NHWC = self.norm1(x_NPC).view(len(x_NPC), self.side, self.side, -1).roll((-self.shift, -self.shift), (1, 2))
        seen = self.attn(to_windows(x_NHWC, self.window), self.attn_mask)
        seen_NHWC = from_windows(seen, self.window, self.side, self.side).roll((self.shift, self.shift), (1, 2))
        x_NPC = x_NPC + self._by_chance(seen_NHWC.flatten(1, 2))
        return x_NPC + self._by_chance(self.mlp(self.norm2(x_NPC)))

    def _by_chance(self, branch_NPC: Tensor) -> Tensor:
        """Leave a branch out for some images in training, and keep its mean by making the others stronger."""
        if not self.training or not self.drop_path:
            return branch_NPC
        kept = torch.rand(len(branch_NPC), 1, 1, device=branch_NPC.device) >= self.drop_path
        return branch_NPC * kept / (1 - self.drop_path)

    def _mask(self) -> Tensor:
        """Forbid attention (X, P, P) between places that are neighbours by the shift alone."""
        edges = torch.zeros(self.side)
        edges[-self.window :] = 1
        edges[-self.shift :] = 2
        part_NHWC = (3 * edges[:, None] + edges[None])[None, :, :, None]
        part_XP = to_windows(part_NHWC, self.window).squeeze(-1)
        return (part_XP[:, None] != part_XP[:, :, None]) * FORBIDDEN


class PatchMerging(nn.Module):
    """Join the tokens of each square of two by two: half the edge, twice the channels."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(4 * channels)

    def forward(self, x_NPC: Tensor) -> Tensor:
        """Map (N, H * W, C) to (N, H * W / 4, 2 * C)."""
        x_NHWC = x_NPC.view(len(x_NPC), self.side, self.side, -1)
        corners = [x_NHWC[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged: Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1).flatten(1, 2)))
        return merged


class Layer(nn.Module):
    """Blocks by turns with windows and shifted windows, then a merging of patches."""

    def __init__(self, channels: int, side: int, drop_paths: list[float], *, merges: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(channels, side, max(1, channels // HEAD_WIDTH), shifted=number % 2 == 1, drop_path=drop_path)
            for number, drop_path in enumerate(drop_paths)
        )
        self.downsample = PatchMerging(channels, side) if merges else None

    def forward(self, x_NPC: Tensor) -> Tensor:
        """Map (N, H * W, C) to the next layer's tokens."""
        for block in self.blocks:
            x_NPC = block(x_NPC)
        return x_NPC if self.downsample is None else self.downsample(x_NPC)


class PatchEmbedding(nn.Module):
    """Patches of four by four pixels as tokens."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(channels)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, H * W / 16, C)."""
        tokens: Tensor = self.norm(self.proj(images).flatten(2).transpose(1, 2))
        return tokens


class SwinTokens(nn.Module):
    """Swin transformer of square images of `pixels`; the last norm is kept, the pool and the classifier are not."""

    def __init__(self, size: SwinSize, pixels: int = 224) -> None:
        super().__init__()
        self.out_channels = size.out_channels
        self.patch_embed = PatchEmbedding(size.width)
        total = sum(size.blocks)
        ramp = [size.drop_path * number / (total - 1) for number in range(total)]
        self.layers = nn.ModuleList()
        for number, count in enumerate(size.blocks):
            first = sum(size.blocks[:number])
            channels, side = size.width * 2**number, pixels // PATCH // 2**number
            if pixels % (8 * PATCH) or (side > WINDOW and side % WINDOW):
                raise ValueError(f"images of {pixels} pixels cannot be cut into windows: use 224")
            self.layers.append(Layer(channels, side, ramp[first : first + count], merges=number < 3))
        self.norm = nn.LayerNorm(self.out_channels)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, D, C), D = H/32 * W/32 row by row."""
        x_NPC = self.patch_embed(images)
        for layer in self.layers:
            x_NPC = layer(x_NPC)
        tokens: Tensor = self.norm(x_NPC)
        return tokens
