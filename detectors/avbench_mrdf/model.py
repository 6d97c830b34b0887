"""The network of MRDF (Zou et al., ICASSP 2024, arXiv 2401.05746): AV-HuBERT Base and the heads of each variant.

Written from facts about the published code (github.com/Vincent-ZHQ/MRDF, Apache-2.0), whose names of parameters it
keeps. Tensors carry their shape as a suffix: B clips, T frames, N valid frames of all clips, C channels, H W pixels,
A features heard, L features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avbench_backbones.resnet18 import Trunk, stem_3d
from avbench_mrdf.encoder import Encoder, EncoderSize
from avbench_mrdf.inputs import HEARD

COLOURS = 3
READOUT = 0  # the frame whose token is judged


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a variant consists of and how large it is.

    `classes` come out of the fused token (0: nothing is fused); `projected` streams are compared within a modality,
    by `stream_heads` of their own or as they are.
    """

    classes: int = 2
    projected: bool = True
    stream_heads: bool = True
    trunk_width: int = 64
    size: EncoderSize = EncoderSize()


class VideoEncoder(nn.Module):
    """A ResNet-18 behind a convolution over five frames: features of each frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frontend3D = stem_3d(width, channels=COLOURS)
        self.frontend3D[0].reset_parameters()  # type: ignore[operator]  # as published; the trunk draws by He et al.
        self.trunk = Trunk(width)
        self.backend_out = self.trunk.out_channels

    def forward(self, pixels_BCTHW: Tensor, valid_BT: Tensor) -> Tensor:
        """Map pictures, zero where not valid, to features (N,L) of the valid ones; padding is in no batch statistic."""
        seen_BTCHW = self.frontend3D[0](pixels_BCTHW).transpose(1, 2)
        seen_CNHW = seen_BTCHW[valid_BT].transpose(0, 1)
        seen_NCHW = self.frontend3D[1:](seen_CNHW[None])[0].transpose(0, 1)
        features_NL: Tensor = self.trunk(seen_NCHW).mean(dim=(2, 3))
        return features_NL


class SeenStream(nn.Module):
    """Pictures to features."""

    def __init__(self, trunk_width: int, width: int) -> None:
        super().__init__()
        self.resnet = VideoEncoder(trunk_width)
        self.proj = nn.Linear(self.resnet.backend_out, width)

    def forward(self, pixels_BCTHW: Tensor, valid_BT: Tensor) -> Tensor:
        """Map pictures to features (B,T,L), zero where a frame is not valid."""
        features_NL: Tensor = self.proj(self.resnet(pixels_BCTHW, valid_BT))
        features_BTL = features_NL.new_zeros(*valid_BT.shape, features_NL.shape[1])
        features_BTL[valid_BT] = features_NL
        return features_BTL


class HeardStream(nn.Module):
    """Filter banks to features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(HEARD, width)

    def forward(self, heard_BTA: Tensor) -> Tensor:
        """Map filter banks to features (B,T,L)."""
        features_BTL: Tensor = self.proj(heard_BTA)
        return features_BTL


class AVHubert(nn.Module):
    """AV-HuBERT Base as far as a classifier needs it: two streams and, unless they stay apart, their fusion."""

    def __init__(self, trunk_width: int, size: EncoderSize, *, fused: bool) -> None:
        super().__init__()
        self.feature_extractor_audio = HeardStream(size.width)
        self.feature_extractor_video = SeenStream(trunk_width, size.width)
        if fused:
            self.layer_norm = nn.LayerNorm(2 * size.width)
            self.post_extract_proj = nn.Linear(2 * size.width, size.width)
            self.encoder = Encoder(size)

    def fuse(self, audio_BTL: Tensor, video_BTL: Tensor, valid_BT: Tensor) -> Tensor:
        """Join both streams, the heard one first, to tokens (B,T,L)."""
        both_BTL = self.post_extract_proj(self.layer_norm(torch.cat([audio_BTL, video_BTL], dim=2)))
        tokens_BTL: Tensor = self.encoder(both_BTL, valid_BT)
        return tokens_BTL


class MRDFNetwork(nn.Module):
    """AV-HuBERT, a projection of each stream and classifiers; class 1 of two is real, as published."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a, width = architecture, architecture.size.width
        self.architecture = a
        self.model = AVHubert(a.trunk_width, a.size, fused=a.classes > 0)
        if a.projected:
            self.project_audio = _projection(width, a.size.dropout)
            self.project_video = _projection(width, a.size.dropout)
        if a.stream_heads:
            self.audio_classifier = nn.Sequential(nn.Linear(width, 2))
            self.video_classifier = nn.Sequential(nn.Linear(width, 2))
        if a.classes:
            head = nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, a.classes)
            self.mm_classifier = nn.Sequential(*head)

    def see(self, pixels_BCTHW: Tensor, valid_BT: Tensor) -> Tensor:
        """Return features of the pictures (B,T,L)."""
        features_BTL: Tensor = self.model.feature_extractor_video(pixels_BCTHW, valid_BT)
        return features_BTL

    def hear(self, heard_BTA: Tensor) -> Tensor:
        """Return features of the sound (B,T,L)."""
        features_BTL: Tensor = self.model.feature_extractor_audio(heard_BTA)
        return features_BTL

    def classify(self, video_BTL: Tensor, audio_BTL: Tensor, valid_BT: Tensor) -> dict[str, Tensor]:
        """Return what there is of: logits (B,K) of the clip, and of each stream its mean (B,L), the mean of its
        projection (B,L) and its logits (B,2)."""
        out = {"mean_video": time_mean(video_BTL, valid_BT), "mean_audio": time_mean(audio_BTL, valid_BT)}
        if self.architecture.projected:
            out["embedding_video"] = time_mean(self.project_video(video_BTL), valid_BT)
            out["embedding_audio"] = time_mean(self.project_audio(audio_BTL), valid_BT)
        if self.architecture.stream_heads:
            out["logits_video"] = self.video_classifier(out["embedding_video"])
            out["logits_audio"] = self.audio_classifier(out["embedding_audio"])
        if self.architecture.classes:
            tokens_BTL = self.model.fuse(audio_BTL, video_BTL, valid_BT)
            out["logits"] = self.mm_classifier(tokens_BTL[:, READOUT])
        return out


def time_mean(x_BTL: Tensor, valid_BT: Tensor) -> Tensor:
    """Return the mean (B,L) over the valid frames."""
    weight_BT1 = valid_BT[..., None].to(x_BTL.dtype)
    return (x_BTL * weight_BT1).sum(dim=1) / weight_BT1.sum(dim=1).clamp(min=1)


def _projection(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.Dropout(dropout))
