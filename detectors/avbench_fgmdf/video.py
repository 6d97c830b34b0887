"""VideoEncoder of FGMDF: groups of a few frames through a small Xception with two temporal attentions.

Paper: Q. Yin et al., "Fine-grained multimodal DeepFake classification via heterogeneous graphs", IJCV 2024.
Parameters bear the names of the published code (yinql1995/Fine-grained-Multimodal-DeepFake-Classification).
Letters: B clips, G groups, T frames of a group, F = B T, C channels, H W pixels, X = H W places, L features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PACES = {"": 1, "_down": 2, "_down2": 4}  # how many frames make one step, by published name


class SeparableConv(nn.Module):
    """A filter for each channel alone, then a mixture of channels."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int] = (3, 3)) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.conv1 = nn.Conv2d(inputs, inputs, kernel, padding=padding, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x_FCHW: Tensor) -> Tensor:
        """Map (F,C,H,W) to (F,outputs,H,W)."""
        y_FCHW: Tensor = self.pointwise(self.conv1(x_FCHW))
        return y_FCHW


class TimeConv(SeparableConv):
    """A separable convolution along time alone, whichever axis its published kernel lies on."""

    def forward(self, x_BCTX: Tensor) -> Tensor:
        """Map (B,C,T,X) to (B,outputs,T,X)."""
        kernel_C131 = self.conv1.weight.flatten(1)[:, None, :, None]
        filtered_BCTX = F.conv2d(x_BCTX, kernel_C131, padding=(1, 0), groups=len(kernel_C131))
        y_BCTX: Tensor = self.pointwise(filtered_BCTX)
        return y_BCTX


class NegativeSimilarity(nn.Module):
    """Look where a face resembles itself least from frame to frame."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.gamma = nn.Parameter(torch.zeros(1))
        self.q_conv = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.k_conv = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.v_conv = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x_FCHW: Tensor) -> Tensor:
        """Add to (F,C,H,W) what the attended places say."""
        y_FCHW: Tensor = x_FCHW + self.gamma * self.v_conv(x_FCHW) * self.attention(x_FCHW)
        return y_FCHW

    def attention(self, x_FCHW: Tensor) -> Tensor:
        """Return the attention (F,1,H,W), in [0,1] over the places of each frame.

        A frame's value is minus the sum of its cosines to all frames of the group at that place. Less than H places
        keep theirs, those where it varies most over time; the others get the least there can be, -T.
        """
        height, width = x_FCHW.shape[-2:]
        q_BTCX, k_BTCX = (
            _by_clip(F.normalize(conv(x_FCHW), dim=1), self.frames).flatten(3) for conv in (self.q_conv, self.k_conv)
        )
        unlike_BTX = -(q_BTCX * k_BTCX.sum(dim=1, keepdim=True)).sum(dim=2)
        variance_BX = unlike_BTX.var(dim=1)
        min_B1 = variance_BX.topk(height, dim=1).values[:, -1:]
        unlike_BTX = unlike_BTX.masked_fill((variance_BX <= min_B1)[:, None], -self.frames)
        low, high = unlike_BTX.amin(dim=2, keepdim=True), unlike_BTX.amax(dim=2, keepdim=True)
        scaled_BTX: Tensor = (unlike_BTX - low) / (high - low + 1e-8)
        return scaled_BTX.reshape(-1, 1, height, width)


class TimeAttention(nn.Module):
    """Weigh channels at each place and moment by how they move: "horizontal" and "vertical" filters, at three paces.

    The published code lays pictures out as rows beside time and as columns beside time, but convolves and averages
    along time alone: both are one sum, with weights of their own. Here one layout, places beside time, serves both.
    """

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.gamma = nn.Parameter(torch.zeros(1))
        for direction, kernel in (("horizontal", (3, 1)), ("vertical", (1, 3))):
            for pace in PACES:
                conv = TimeConv(channels, channels // 4, kernel)
                self.add_module(f"{direction}_conv{pace}", nn.Sequential(conv, nn.BatchNorm2d(channels // 4)))
            merge = nn.Conv2d(channels // 4, channels, 1)
            self.add_module(f"{direction}_conv_merge", nn.Sequential(merge, nn.BatchNorm2d(channels)))

    def forward(self, x_FCHW: Tensor) -> Tensor:
        """Weigh (F,C,H,W) by one plus gamma times the mean attention of both directions."""
        x_BCTX = _by_clip(x_FCHW, self.frames).transpose(1, 2).flatten(3)
        slower = {pace: _averaged(x_BCTX, steps) for pace, steps in PACES.items()}
        attention_BCTX = (self.direction("horizontal", slower) + self.direction("vertical", slower)) / 2
        attention_FCHW = attention_BCTX.transpose(1, 2).reshape(x_FCHW.shape)
        y_FCHW: Tensor = x_FCHW + self.gamma * attention_FCHW * x_FCHW
        return y_FCHW

    def direction(self, name: str, slower: Mapping[str, Tensor]) -> Tensor:
        """Return attention (B,C,T,X) in [-.5,.5] from means over one, two and four frames."""
        moved = [
            self.get_submodule(f"{name}_conv{pace}")(x_BCTX).repeat_interleave(PACES[pace], dim=2)
            for pace, x_BCTX in slower.items()
        ]
        mean_BCTX = torch.stack(moved).mean(dim=0)
        attention_BCTX: Tensor = self.get_submodule(f"{name}_conv_merge")(mean_BCTX).sigmoid() - 0.5
        return attention_BCTX


class XceptionBlock(nn.Module):
    """Two separable convolutions at half the size, beside a strided shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False)
        self.skipbn = nn.BatchNorm2d(outputs)
        self.rep = nn.Sequential(
            SeparableConv(inputs, outputs),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            SeparableConv(outputs, outputs),
            nn.BatchNorm2d(outputs),
            nn.MaxPool2d(3, 2, 1),
        )

    def forward(self, x_FCHW: Tensor) -> Tensor:
        """Map (F,C,H,W) to (F,outputs,H/2,W/2)."""
        y_FCHW: Tensor = self.rep(x_FCHW) + self.skipbn(self.skip(x_FCHW))
        return y_FCHW


class AttentiveBlock(nn.Module):
    """Both attentions, then an Xception block."""

    def __init__(self, inputs: int, outputs: int, frames: int) -> None:
        super().__init__()
        self.neg_sim = NegativeSimilarity(inputs, frames)
        self.block = XceptionBlock(inputs, outputs)
        self.hv_att = TimeAttention(inputs, frames)

    def forward(self, x_FCHW: Tensor) -> Tensor:
        """Map (F,C,H,W) to (F,outputs,H/2,W/2)."""
        y_FCHW: Tensor = self.block(self.hv_att(self.neg_sim(x_FCHW)))
        return y_FCHW


class ChannelAttention(nn.Module):
    """Weigh channels by their means and maxima (CBAM)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 16
        self.sharedMLP = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.ReLU(), nn.Conv2d(hidden, channels, 1, bias=False)
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return weights (B,C,1,1) in [0,1]."""
        mean, most = x_BCHW.mean(dim=(2, 3), keepdim=True), x_BCHW.amax(dim=(2, 3), keepdim=True)
        weights: Tensor = (self.sharedMLP(mean) + self.sharedMLP(most)).sigmoid()
        return weights


class FrameFusion(nn.Module):
    """Mix the channels of all frames of a group."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.convblk = nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())
        self.ca = ChannelAttention(outputs)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B,C,H,W), C of all frames, to (B,L,H,W)."""
        y_BLHW = self.convblk(x_BCHW)
        fused_BLHW: Tensor = y_BLHW + y_BLHW * self.ca(y_BLHW)
        return fused_BLHW


class VideoEncoder(nn.Module):
    """Map groups of frames (B,G,T,3,H,W) in [0,1] to one vector a group (B,G,L); all groups share the weights."""

    def __init__(self, width: int, features: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.block1 = AttentiveBlock(2 * width, 2 * width, frames)
        self.block2 = AttentiveBlock(2 * width, 4 * width, frames)
        self.block3 = AttentiveBlock(4 * width, 4 * width, frames)
        self.conv3 = SeparableConv(4 * width, 4 * width)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.conv4 = SeparableConv(4 * width, 4 * width)
        self.bn4 = nn.BatchNorm2d(4 * width)
        self.fea_fusion = FrameFusion(frames * 4 * width, features)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                area = module.kernel_size[0] * module.kernel_size[1]
                nn.init.normal_(module.weight, 0, math.sqrt(2 / (area * module.out_channels)))

    def forward(self, video_BGTCHW: Tensor) -> Tensor:
        """Return one vector a group, (B,G,L); BatchNorm counts group by group, as published."""
        return torch.stack([self.group(video_BTCHW) for video_BTCHW in video_BGTCHW.unbind(1)], dim=1)

    def group(self, video_BTCHW: Tensor) -> Tensor:
        """Return the vector (B,L) of one group."""
        x_FCHW = video_BTCHW.flatten(0, 1)
        x_FCHW = F.relu(self.bn1(self.conv1(x_FCHW)))
        x_FCHW = F.relu(self.bn2(self.conv2(x_FCHW)))
        x_FCHW = self.block1(x_FCHW)
        x_FCHW = self.block2(F.relu(x_FCHW))
        x_FCHW = self.block3(F.relu(x_FCHW))
        x_FCHW = F.relu(self.bn3(self.conv3(F.relu(x_FCHW))))
        x_FCHW = F.relu(self.bn4(self.conv4(x_FCHW)))
        x_BCHW = _by_clip(x_FCHW, self.frames).flatten(1, 2)
        features_BL: Tensor = self.fea_fusion(x_BCHW).mean(dim=(2, 3))
        return features_BL


def _by_clip(x_FCHW: Tensor, frames: int) -> Tensor:
    """Return frames (F,C,H,W) clip by clip, (B,T,C,H,W)."""
    return x_FCHW.reshape(-1, frames, *x_FCHW.shape[1:])


def _averaged(x_BCTX: Tensor, steps: int) -> Tensor:
    """Average so many frames at a time."""
    return x_BCTX.reshape(*x_BCTX.shape[:2], -1, steps, x_BCTX.shape[3]).mean(dim=3)
