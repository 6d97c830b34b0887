"""The whole network of AVTS: encoders of both streams, the classifier over their tokens, the loss of stage 1.

Letters: B clips, M windows of a clip, C channels, T frames, H W pixels, N steps of sound, Q cepstra, K tokens of a
window, L features, h attention heads, D features a head, Z logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avbench_avts.encoders import CepstraEncoder, FrameEncoder, PlainCepstraEncoder, PointEncoder

Variant = Literal["ckpt", "train"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Every size; the defaults are those of the released checkpoint."""

    variant: Variant = "ckpt"
    frames: int = 5  # of a window
    features: int = 512  # of a token of one stream
    depth: int = 6
    heads: int = 8
    head_width: int = 64
    hidden: int = 2048
    dropout: float = 0.1
    logits: int = 1

    @property
    def channels(self) -> int:
        """Colours of a picture: grey for the checkpoint, RGB in the training code."""
        return 1 if self.variant == "ckpt" else 3


class PreNorm(nn.Module):
    """A layer behind its LayerNorm."""

    def __init__(self, width: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = fn

    def forward(self, x_BKL: Tensor) -> Tensor:
        """Map (B,K,L) to the same shape."""
        out: Tensor = self.fn(self.norm(x_BKL))
        return out


class Attention(nn.Module):
    """Attention among the tokens of a window."""

    def __init__(self, width: int, heads: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = nn.Dropout(dropout)
        self.to_qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * head_width, width), nn.Dropout(dropout))

    def forward(self, x_BKL: Tensor) -> Tensor:
        """Map (B,K,L) to the same shape."""
        q, k, v = self.to_qkv(x_BKL).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B,h,K,D) each
        weights_BhKK = self.dropout((q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1))
        out: Tensor = self.to_out((weights_BhKK @ v).transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width), nn.Dropout(dropout)
        )

    def forward(self, x_BKL: Tensor) -> Tensor:
        """Map (B,K,L) to the same shape."""
        out: Tensor = self.net(x_BKL)
        return out


class Transformer(nn.Module):
    """Layers of attention and feed-forward, each beside a shortcut; no norm at the end."""

    def __init__(self, width: int, sizes: Sizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(sizes.depth):
            attention = Attention(width, sizes.heads, sizes.head_width, sizes.dropout)
            forward = FeedForward(width, sizes.hidden, sizes.dropout)
            self.layers.append(nn.ModuleList([PreNorm(width, attention), PreNorm(width, forward)]))

    def forward(self, x_BKL: Tensor) -> Tensor:
        """Map (B,K,L) to the same shape."""
        for layer in self.layers:
            attention, forward = layer.children()
            x_BKL = x_BKL + attention(x_BKL)
            x_BKL = x_BKL + forward(x_BKL)
        return x_BKL


class TemporalClassifier(nn.Module):
    """A transformer over a window's tokens, whose extra first token is judged."""

    def __init__(self, width: int, sizes: Sizes) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.randn(1, sizes.frames + 1, width))
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.dropout = nn.Dropout(sizes.dropout)
        self.transformer = Transformer(width, sizes)
        self.mlp_head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, sizes.logits))

    def forward(self, tokens_BKL: Tensor) -> Tensor:
        """Map tokens (B,K,L) to logits (B,Z)."""
        x_BKL = torch.cat([self.cls_token.expand(len(tokens_BKL), -1, -1), tokens_BKL], dim=1)
        x_BKL = self.transformer(self.dropout(x_BKL + self.pos_embedding[:, : x_BKL.shape[1]]))
        logits_BZ: Tensor = self.mlp_head(x_BKL[:, 0])
        return logits_BZ


class SynchronisationNetwork(nn.Module):
    """Encode windows of both streams; judge whether their tokens fit together."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.v_encoder: FrameEncoder | PointEncoder
        self.a_encoder: CepstraEncoder | PlainCepstraEncoder
        if sizes.variant == "ckpt":
            self.v_encoder = FrameEncoder(sizes.features // 8, sizes.channels)
            self.a_encoder = CepstraEncoder(sizes.features // 8)
        else:
            self.v_encoder = PointEncoder(sizes.features // 16, sizes.channels)
            self.a_encoder = PlainCepstraEncoder(sizes.features)
            self.v_normalized = nn.BatchNorm1d(sizes.features)
            self.a_normalized = nn.BatchNorm1d(sizes.features)
        self.normalises = sizes.variant == "train"
        self.temporal_classifier = TemporalClassifier(2 * sizes.features, sizes)

    def see(self, pixels_BMCTHW: Tensor) -> Tensor:
        """Encode windows of pictures as tokens (B,M,K,L)."""
        tokens: Tensor = self.v_encoder(pixels_BMCTHW.flatten(0, 1))
        return torch.unflatten(tokens, 0, pixels_BMCTHW.shape[:2])

    def hear(self, cepstra_BMNQ: Tensor) -> Tensor:
        """Encode windows of sound as tokens (B,M,K,L)."""
        tokens: Tensor = self.a_encoder(cepstra_BMNQ.flatten(0, 1))
        return torch.unflatten(tokens, 0, cepstra_BMNQ.shape[:2])

    def classify(self, seen_BMKL: Tensor, heard_BMKL: Tensor) -> Tensor:
        """Return the logits (B,M,Z) of each window."""
        streams = [seen_BMKL.flatten(0, 1), heard_BMKL.flatten(0, 1)]
        if self.normalises:
            norms = (self.v_normalized, self.a_normalized)
            streams = [norm(x.transpose(1, 2)).transpose(1, 2) for norm, x in zip(norms, streams, strict=True)]
        logits: Tensor = self.temporal_classifier(torch.cat(streams, dim=2))
        return torch.unflatten(logits, 0, seen_BMKL.shape[:2])

    @property
    def judging_parts(self) -> list[nn.Module]:
        """Everything behind the encoders."""
        norms: list[nn.Module] = [self.v_normalized, self.a_normalized] if self.normalises else []
        return [self.temporal_classifier, *norms]


def contrast(seen_BMKL: Tensor, heard_BMKL: Tensor, temperature: float) -> Tensor:
    """Return for each clip (B,) the NT-Xent loss over its windows, both streams of which should agree.

    An anchor is either stream of a window; the other stream is its positive; both streams of all other windows of the
    same clip are its negatives. Similarity is the cosine of all of a window's features.
    """
    vectors_BVL = F.normalize(torch.cat([seen_BMKL, heard_BMKL], dim=1).flatten(2).float(), dim=2)
    similar_BVV = vectors_BVL @ vectors_BVL.transpose(1, 2) / temperature
    vectors = similar_BVV.shape[1]
    itself = torch.eye(vectors, dtype=torch.bool, device=similar_BVV.device)
    partner_V = torch.arange(vectors, device=similar_BVV.device).roll(vectors // 2)
    scores = similar_BVV.masked_fill(itself, -torch.inf).log_softmax(dim=2)
    return -scores[:, torch.arange(vectors), partner_V].mean(dim=1)
