"""The graphs of FGMDF: moments of pictures and of sound listen to each other, then to their own kind; some are dropped.

Paper: Q. Yin et al., IJCV 2024. Parameters bear the names of the published code.
Letters: B clips, N M nodes (N of pictures, M of sound where both occur), L features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KEPT = 0.75
APART = -9e15  # what a pair without an edge scores
REACH, STRIDE = 4, 2  # a moment of sound meets this many groups of frames, the next one starts so many later


class CrossAttention(nn.Module):
    """Pictures listen to the sound, and sound to the pictures, along the edges of a graph."""

    def __init__(self, features: int, video_nodes: int, audio_nodes: int) -> None:
        super().__init__()
        self.gamma1 = nn.Parameter(torch.zeros(1))
        self.gamma2 = nn.Parameter(torch.zeros(1))
        self.key_conv1 = nn.Linear(features, features // 4)
        self.key_conv2 = nn.Linear(features, features // 4)
        self.key_conv_share = nn.Linear(features // 4, features // 4)
        self.aud_to_vid_linear = nn.Linear(audio_nodes, audio_nodes)
        self.vid_to_aud_linear = nn.Linear(video_nodes, video_nodes)
        self.value_conv1 = nn.Linear(features, features)
        self.value_conv2 = nn.Linear(features, features)

    def forward(self, video_BNL: Tensor, audio_BML: Tensor, edges_BNM: Tensor) -> tuple[Tensor, Tensor]:
        """Return both kinds of nodes, (B,N,L) and (B,M,L), with what they heard of the other added."""
        to_video_BNM, to_audio_BMN = self.attention(video_BNL, audio_BML, edges_BNM)
        return (
            video_BNL + self.gamma1 * (to_video_BNM @ self.value_conv2(audio_BML)),
            audio_BML + self.gamma2 * (to_audio_BMN @ self.value_conv1(video_BNL)),
        )

    def attention(self, video_BNL: Tensor, audio_BML: Tensor, edges_BNM: Tensor) -> tuple[Tensor, Tensor]:
        """Return how much pictures attend to sound (B,N,M) and sound to pictures (B,M,N); rows sum to one.

        A node without an edge attends to all alike, as published.
        """
        video_BNL = self.key_conv_share(self.key_conv1(video_BNL))
        audio_BML = self.key_conv_share(self.key_conv2(audio_BML))
        energy_BNM = video_BNL @ audio_BML.transpose(1, 2)
        to_video_BNM = _along(self.aud_to_vid_linear(energy_BNM), edges_BNM)
        to_audio_BMN = _along(self.vid_to_aud_linear(energy_BNM.transpose(1, 2)), edges_BNM.transpose(1, 2))
        return to_video_BNM, to_audio_BMN


def _along(score: Tensor, edges: Tensor) -> Tensor:
    """Share attention among the neighbours that the edges (1 or 0) leave."""
    return (score.float() * edges).masked_fill(edges == 0, APART).softmax(dim=-1).to(score.dtype)


class TimeGraphAttention(nn.Module):
    """Nodes of one kind listen to each other, by likeness over signed distance in time."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.att_q = nn.Linear(inputs, outputs)
        self.att_k = nn.Linear(inputs, outputs)
        self.att_v = nn.Linear(inputs, outputs)
        self.proj_without_att = nn.Conv1d(inputs, outputs, 1, groups=outputs)
        self.bn2 = nn.BatchNorm1d(outputs)

    def forward(self, x_BNL: Tensor) -> Tensor:
        """Map nodes (B,N,L) to nodes (B,N,outputs)."""
        own_BLN = self.proj_without_att(x_BNL.transpose(1, 2))
        heard_BNL = self.attention(x_BNL) @ self.att_v(x_BNL)
        return F.selu(self.bn2(own_BLN + self.gamma * heard_BNL.transpose(1, 2))).transpose(1, 2)

    def attention(self, x_BNL: Tensor) -> Tensor:
        """Return attention (B,N,N), rows sum to one.

        The likeness (cosine + 1) is divided by j - i, or by one half where i = j: as published, a node shuns the past
        that resembles it and seeks the future that does.
        """
        q_BNL, k_BNL = F.normalize(self.att_q(x_BNL), dim=-1), F.normalize(self.att_k(x_BNL), dim=-1)
        place_N = torch.arange(x_BNL.shape[1], device=x_BNL.device)
        distance_NN = (place_N - place_N[:, None]) + 0.5 * torch.eye(len(place_N), device=x_BNL.device)
        return ((q_BNL @ k_BNL.transpose(1, 2) + 1) / distance_NN).softmax(dim=-1)


class Pool(nn.Module):
    """Keep three quarters of the nodes, in their order: those that resemble the others least."""

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        # In the published checkpoint, and used by nothing there: kept, frozen, for its name alone.
        self.proj = nn.Linear(features, 1).requires_grad_(False)
        self.drop = nn.Dropout(dropout)

    def forward(self, x_BNL: Tensor, edges_BNM: Tensor) -> tuple[Tensor, Tensor]:
        """Return the kept nodes (B,kept(N),L) and their edges (B,kept(N),M)."""
        z_BNL = self.drop(x_BNL)
        score_BN = (z_BNL @ z_BNL.transpose(1, 2)).sum(dim=2)
        chosen_BK = score_BN.topk(kept(x_BNL.shape[1]), dim=1, largest=False).indices.sort(dim=1).values[..., None]
        return (
            x_BNL.gather(1, chosen_BK.expand(-1, -1, x_BNL.shape[2])),
            edges_BNM.gather(1, chosen_BK.expand(-1, -1, edges_BNM.shape[2])),
        )


def kept(nodes: int) -> int:
    """Return how many of so many nodes a pool keeps."""
    return max(1, int(KEPT * nodes))


def audio_moments(groups: int) -> int:
    """Return how many moments of sound stand beside so many groups of frames."""
    return (groups - REACH) // STRIDE + 1


def first_edges(groups: int) -> Tensor:
    """Return the edges (N,M), 1 or 0: moment i of the sound meets the groups 2 i to 2 i + 3."""
    group_N1, moment_M = torch.arange(groups)[:, None], torch.arange(audio_moments(groups))
    met = (group_N1 >= STRIDE * moment_M) & (group_N1 < STRIDE * moment_M + REACH)
    return met.float()
