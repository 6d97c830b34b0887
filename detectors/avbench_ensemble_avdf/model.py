"""Three networks for EnsembleAVDF (approximation) of Hashmi et al., APSIPA ASC 2022, which has no public code.

What is known: one network sees, one hears, one does both, and they vote. The rest, here ResNet-18 (He et al., CVPR
2016, arXiv 1512.03385) throughout, is ours. Letters: B clips, T frames, C channels, H W pixels, L features.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avbench_backbones.resnet18 import Trunk, frame_by_frame, stem_3d

VIDEO, AUDIO, BOTH = "video", "audio", "audio_visual"
NETWORKS = (VIDEO, AUDIO, BOTH)
COLOURS, GREY = 3, 1


class Encoder(nn.Module):
    """A ResNet-18 over each picture of a clip, and the mean over time."""

    def __init__(self, channels: int, width: int, stem_frames: int = 1) -> None:
        super().__init__()
        self.stem = stem_3d(width, "relu", channels, stem_frames)
        self.trunk = Trunk(width, "relu")
        self.out_channels = self.trunk.out_channels

    def forward(self, pixels_BCTHW: Tensor, frames_B: Tensor) -> Tensor:
        """Map clips, of which `frames_B` frames are valid, to features (B,L)."""
        features_BTL = frame_by_frame(self.trunk, self.stem(pixels_BCTHW))
        valid_BT = torch.arange(features_BTL.shape[1], device=frames_B.device) < frames_B[:, None]
        weight_BT1 = valid_BT[..., None].to(features_BTL.dtype)
        return (features_BTL * weight_BT1).sum(dim=1) / weight_BT1.sum(dim=1).clamp(min=1)


class Network(nn.Module):
    """An encoder for each stream it is fed and one classifier."""

    def __init__(self, streams: tuple[str, ...], width: int, hidden: int, stem_frames: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict()
        if VIDEO in streams:
            self.encoders[VIDEO] = Encoder(COLOURS, width, stem_frames)
        if AUDIO in streams:
            self.encoders[AUDIO] = Encoder(GREY, width)
        features = Trunk(width).out_channels * len(streams)
        mixed = nn.Linear(features, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 2)
        self.head = nn.Sequential(*mixed) if len(streams) > 1 else nn.Linear(features, 2)

    def encode(self, x_BCTHW: Tensor, frames_B: Tensor, stream: str) -> Tensor:
        """Return features (B,L) of one stream."""
        features_BL: Tensor = self.encoders[stream](x_BCTHW, frames_B)
        return features_BL

    def classify(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return logits (B,2), real and fake, from the features of each stream."""
        logits_B2: Tensor = self.head(torch.cat([features[stream] for stream in self.encoders], dim=1))
        return logits_B2


class Ensemble(nn.ModuleDict):
    """The three networks by name; no weight belongs to two of them."""

    def __init__(self, width: int = 64, hidden: int = 512, stem_frames: int = 1) -> None:
        streams = {VIDEO: (VIDEO,), AUDIO: (AUDIO,), BOTH: (VIDEO, AUDIO)}
        super().__init__({name: Network(fed, width, hidden, stem_frames) for name, fed in streams.items()})
