"""The networks of RealForensics (Haliassos et al., CVPR 2022, arXiv 2201.07131).

Written from facts about the published code (github.com/ahaliassos/RealForensics, MIT); the backbone and the head that
judge keep its names of parameters. Letters: B clips, C channels, T frames, H W pixels, N mel steps, M mel bands,
L features, h attention heads, D features a head.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avbench_backbones.csn import CSN
from avbench_backbones.resnet18 import Trunk, start_convolutions

SCALE = 64.0  # of the cosine head


@dataclass(frozen=True, slots=True)
class Sizes:
    """Every size; the defaults are those of the published code."""

    csn_blocks: Sequence[int] = (3, 4, 23, 3)
    csn_width: int = 64
    audio_width: int = 64
    projection: int = 256
    width: int = 512  # of the predictor
    heads: int = 8
    head_width: int = 64
    hidden: int = 2048  # of the predictor's feed-forward layer


class CosineHead(nn.Module):
    """The cosine between a clip's mean feature and one direction, times 64: above 0 is fake."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, width))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, features_BTL: Tensor) -> Tensor:
        """Map features (B,T,L) to logits (B,)."""
        return SCALE * F.cosine_similarity(features_BTL.mean(dim=1).float(), self.weight.float(), dim=1)


class Projector(nn.Module):
    """A linear layer and BatchNorm over clips and moments."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.net = nn.Linear(width_in, width)
        self.norm_layer = nn.BatchNorm1d(width)

    def forward(self, features_BTL: Tensor) -> Tensor:
        """Map (B,T,L) to (B,T,projection)."""
        out: Tensor = self.norm_layer(self.net(features_BTL).transpose(1, 2)).transpose(1, 2)
        return out


class Predictor(nn.Module):
    """One pre-norm transformer layer without positions: LayerNorm before attention, BatchNorm elsewhere."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        inner = sizes.heads * sizes.head_width
        self.heads = sizes.heads
        self.projection_layer = nn.Linear(sizes.projection, sizes.width)
        self.attention_norm = nn.LayerNorm(sizes.width)
        self.to_qkv = nn.Linear(sizes.width, 3 * inner, bias=False)
        self.to_out = nn.Linear(inner, sizes.width)
        self.feed_norm = nn.BatchNorm1d(sizes.width)
        self.feed = nn.Sequential(nn.Linear(sizes.width, sizes.hidden), nn.GELU(), nn.Linear(sizes.hidden, sizes.width))
        self.head_norm = nn.BatchNorm1d(sizes.width)
        self.head = nn.Linear(sizes.width, sizes.projection)

    def forward(self, z_BTL: Tensor) -> Tensor:
        """Map projections (B,T,L) to predictions of the same shape."""
        x_BTL = self.projection_layer(z_BTL)
        x_BTL = x_BTL + self._attend(self.attention_norm(x_BTL))
        x_BTL = x_BTL + self.feed(self.feed_norm(x_BTL.transpose(1, 2)).transpose(1, 2))
        out: Tensor = self.head(self.head_norm(x_BTL.transpose(1, 2)).transpose(1, 2))
        return out

    def _attend(self, x_BTL: Tensor) -> Tensor:
        batch, frames, _ = x_BTL.shape
        q_BhTD, k_BhTD, v_BhTD = self.to_qkv(x_BTL).view(batch, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed_BhTD = F.scaled_dot_product_attention(q_BhTD, k_BhTD, v_BhTD)
        out: Tensor = self.to_out(mixed_BhTD.transpose(1, 2).flatten(2))
        return out


class AudioEncoder(nn.Module):
    """A ResNet-18 over log-mel that keeps a quarter of its moments: one feature a frame of the pictures."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.trunk = Trunk(width, "relu", stride=(1, 2))
        self.out_channels = self.trunk.out_channels
        start_convolutions(self.conv1)

    def forward(self, mel_B1NM: Tensor) -> Tensor:
        """Map (B,1,4T,M) to (B,T,L)."""
        map_BLTM: Tensor = self.trunk(self.maxpool(F.relu(self.bn1(self.conv1(mel_B1NM)))))
        return map_BLTM.mean(dim=3).transpose(1, 2)


class VideoEncoder(CSN):
    """A CSN that keeps every frame, averaged over the picture."""

    def forward(self, pixels_BCTHW: Tensor) -> Tensor:
        """Map (B,3,T,H,W) to (B,T,L)."""
        if pixels_BCTHW.device.type == "cpu":  # which convolves this layout one and a half times as fast
            pixels_BCTHW = pixels_BCTHW.contiguous(memory_format=torch.channels_last_3d)
        return super().forward(pixels_BCTHW).mean(dim=(3, 4)).transpose(1, 2)


class Representation(nn.Module):
    """What stage 1 adds to the eyes and their teacher: the heads of both students, the ears and their teacher."""

    def __init__(self, video_width: int, sizes: Sizes) -> None:
        super().__init__()
        self.video_head = ssl_head(video_width, sizes)
        self.ears = AudioEncoder(sizes.audio_width)
        self.audio_head = ssl_head(self.ears.out_channels, sizes)
        self.audio_teacher = teacher_of(self.ears, self.audio_head)


class RealNetwork(nn.Module):
    """Eyes and the cosine head; with a teacher, the head that predicts what it says of real clips; stage 1 besides.

    `taught`: there is a teacher, a slow copy of the eyes and a projector. `represents`: stage 1 is trained here.
    """

    def __init__(self, sizes: Sizes, *, taught: bool, represents: bool) -> None:
        super().__init__()
        self.backbone = VideoEncoder(sizes.csn_blocks, width=sizes.csn_width)
        width = self.backbone.out_channels
        self.df_head = CosineHead(width)
        self.ssl_head = ssl_head(width, sizes) if taught else None
        self.representation = Representation(width, sizes) if represents else None
        self.target_encoder: nn.Sequential | None = None
        if taught or self.representation is not None:
            head = self.representation.video_head if self.representation is not None else self.ssl_head
            assert head is not None
            self.target_encoder = teacher_of(self.backbone, head)

    def forward(self, pixels_BCTHW: Tensor) -> Tensor:
        """Map (B,3,T,H,W) to logits (B,); above 0 is fake."""
        logit_B: Tensor = self.df_head(self.backbone(pixels_BCTHW))
        return logit_B


def ssl_head(width: int, sizes: Sizes) -> nn.Sequential:
    """Return a projector and a predictor."""
    return nn.Sequential(Projector(width, sizes.projection), Predictor(sizes))


def teacher_of(encoder: nn.Module, head: nn.Sequential) -> nn.Sequential:
    """Return a copy of an encoder and of its head's projector, which no gradient moves."""
    return nn.Sequential(copy.deepcopy(encoder), copy.deepcopy(head[0])).requires_grad_(False)


@torch.no_grad()
def follow(teacher: nn.Sequential, encoder: nn.Module, head: nn.Sequential, momentum: float) -> None:
    """Move a teacher a little towards its student; running statistics are its own."""
    for slow, student in zip(teacher, (encoder, head[0]), strict=True):
        for there, here in zip(slow.parameters(), student.parameters(), strict=True):
            there.lerp_(here, 1 - momentum)


def agreement(prediction_BTL: Tensor, target_BTL: Tensor, valid_BT: Tensor) -> Tensor:
    """Return the mean over clips of their mean cosine over valid frames; clips without any do not count."""
    cosine_BT = F.cosine_similarity(prediction_BTL.float(), target_BTL.float(), dim=-1) * valid_BT
    frames_B = valid_BT.sum(dim=1)
    return (cosine_BT.sum(dim=1) / frames_B.clamp(min=1)).sum() / (frames_B > 0).sum().clamp(min=1)
