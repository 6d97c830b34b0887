"""FGMDF: eyes, ears, and three rounds of listening across and within the streams before three heads judge.

Paper: Q. Yin et al., "Fine-grained multimodal DeepFake classification via heterogeneous graphs", IJCV 2024.
Parameters bear the names of the published code. Letters: B clips, G groups, T frames of a group, C channels,
H W pixels, S samples, N M nodes of pictures and of sound, L features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avbench_fgmdf.audio import AudioEncoder
from avbench_fgmdf.graph import CrossAttention, Pool, TimeGraphAttention, audio_moments, first_edges, kept
from avbench_fgmdf.video import VideoEncoder

ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Size:
    """Sizes of the network; the defaults are the published ones.

    `groups` of `frames` frames each; `width` of the first convolution of the eyes; `filters`, `hop` in samples,
    `narrow` and `wide` channels of the ears; `dropout` of what pooling judges.
    """

    classes: int = 4
    groups: int = 10
    frames: int = 4
    width: int = 32
    filters: int = 50
    hop: int = 1
    narrow: int = 32
    wide: int = 64
    dropout: float = 0.3

    @property
    def features(self) -> int:
        """Features of a node at first; each round halves them."""
        return self.narrow * (self.filters // 3)


class FGMDF(nn.Module):
    """Map groups of frames and a wave to logits of clip, pictures and sound."""

    edges_NM: Tensor

    def __init__(self, size: Size = Size()) -> None:
        super().__init__()
        seen, heard, features = size.groups, audio_moments(size.groups), size.features
        self.video_encoder = VideoEncoder(size.width, features, size.frames)
        self.audio_encoder = AudioEncoder(size.filters, size.hop, size.narrow, size.wide, heard)
        for number in range(1, ROUNDS + 1):
            self.add_module(f"cross_att{number}", CrossAttention(features, seen, heard))
            self.add_module(f"GAT_layer{number}", TimeGraphAttention(features, features // 2))
            self.add_module(f"pool{number}", Pool(features // 2, size.dropout))
            self.add_module(f"audio_GAT_layer{number}", TimeGraphAttention(features, features // 2))
            self.add_module(f"audio_pool{number}", Pool(features // 2, size.dropout))
            seen, heard, features = kept(seen), kept(heard), features // 2
        self.add_module(f"cross_att{ROUNDS + 1}", CrossAttention(features, seen, heard))
        self.video_pre = nn.Linear(seen * features, 2)
        self.audio_pre = nn.Linear(heard * features, 2)
        self.mix_pre = nn.Linear((seen + heard) * features, size.classes)
        self.register_buffer("edges_NM", first_edges(size.groups), persistent=False)

    def forward(self, video_BGTCHW: Tensor, audio_BS: Tensor) -> dict[str, Tensor]:
        """Judge frames in [0,1] and waves in [-1,1]; see `classify`."""
        return self.classify(self.video_encoder(video_BGTCHW), self.audio_encoder(audio_BS))

    def classify(self, video_BNL: Tensor, audio_BML: Tensor) -> dict[str, Tensor]:
        """Return logits of the clip, "mix" (B,K), in the published order, and of each stream (B,2): real, fake."""
        edges_BNM = self.edges_NM.expand(len(video_BNL), -1, -1)
        for number in range(1, ROUNDS + 1):
            video_BNL, audio_BML, edges_BNM = self._round(number, video_BNL, audio_BML, edges_BNM)
        video_BNL, audio_BML = self.get_submodule(f"cross_att{ROUNDS + 1}")(video_BNL, audio_BML, edges_BNM)
        video_BL, audio_BL = video_BNL.flatten(1), audio_BML.flatten(1)
        return {
            "mix": self.mix_pre(torch.cat([video_BL, audio_BL], dim=1)),
            "video": self.video_pre(video_BL),
            "audio": self.audio_pre(audio_BL),
        }

    def _round(
        self, number: int, video_BNL: Tensor, audio_BML: Tensor, edges_BNM: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Listen across the streams, then within each; drop a quarter of the nodes of each and their edges."""
        video_BNL, audio_BML = self.get_submodule(f"cross_att{number}")(video_BNL, audio_BML, edges_BNM)
        video_BNL = self.get_submodule(f"GAT_layer{number}")(video_BNL)
        video_BNL, edges_BNM = self.get_submodule(f"pool{number}")(video_BNL, edges_BNM)
        audio_BML = self.get_submodule(f"audio_GAT_layer{number}")(audio_BML)
        audio_BML, edges_BMN = self.get_submodule(f"audio_pool{number}")(audio_BML, edges_BNM.transpose(1, 2))
        return video_BNL, audio_BML, edges_BMN.transpose(1, 2)
