"""The audio encoder of Whisper (Radford et al. 2022, arXiv 2212.04356; openai/whisper, MIT).

Parameter names are OpenAI's. Letters: B clips, M mels, T mel frames, N = T/2 steps, S state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class WhisperSize:
    """State width, attention heads, layers and mel bands of one encoder."""

    state: int
    heads: int
    layers: int
    mels: int = 80


SIZES = {
    "tiny": WhisperSize(384, 6, 4),
    "base": WhisperSize(512, 8, 6),
    "small": WhisperSize(768, 12, 12),
    "medium": WhisperSize(1024, 16, 24),
    "large-v2": WhisperSize(1280, 20, 32),
    "large-v3": WhisperSize(1280, 20, 32, mels=128),
}


def sinusoids(length: int, channels: int) -> Tensor:
    """Compute position codes (length, channels): sines in the first half of the channels, then cosines.

    Row i depends on i alone, so those of a short clip are the first rows of a long one's.
    """
    step = math.log(10_000) / (channels // 2 - 1)
    angles = torch.arange(length)[:, None] * torch.exp(-step * torch.arange(channels // 2))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class SelfAttention(nn.Module):
    """Multi-head attention; the key has no bias, as published."""

    def __init__(self, state: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(state, state)
        self.key = nn.Linear(state, state, bias=False)
        self.value = nn.Linear(state, state)
        self.out = nn.Linear(state, state)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, S) to (B, N, S)."""
        query, key, value = (
            linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for linear in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Pre-norm transformer layer."""

    def __init__(self, state: int, heads: int) -> None:
        super().__init__()
        self.attn = SelfAttention(state, heads)
        self.attn_ln = nn.LayerNorm(state)
        self.mlp = nn.Sequential(nn.Linear(state, 4 * state), nn.GELU(), nn.Linear(4 * state, state))
        self.mlp_ln = nn.LayerNorm(state)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, S) to (B, N, S)."""
        x = x + self.attn(self.attn_ln(x))
        out: Tensor = x + self.mlp(self.mlp_ln(x))
        return out


class WhisperEncoder(nn.Module):
    """Encode log-mels (B, M, T) as (B, T/2, S): 1 s of sound has 100 frames and becomes 50 steps of 20 ms.

    size: a name of `SIZES` or a `WhisperSize`. n_ctx: the most steps a clip may have (published: 1500, 30 s).
    Positions are computed, not loaded; they stay in the state as a buffer, as OpenAI's do.
    """

    positional_embedding: Tensor

    def __init__(self, size: str | WhisperSize = "base", n_ctx: int = 1500) -> None:
        super().__init__()
        if isinstance(size, str):
            if size not in SIZES:
                raise ValueError(f"no Whisper size called {size!r}; known: {', '.join(SIZES)}")
            size = SIZES[size]
        self.size = size
        self.conv1 = nn.Conv1d(size.mels, size.state, 3, padding=1)
        self.conv2 = nn.Conv1d(size.state, size.state, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", sinusoids(n_ctx, size.state))
        self.blocks = nn.ModuleList(Block(size.state, size.heads) for _ in range(size.layers))
        self.ln_post = nn.LayerNorm(size.state)

    def forward(self, mel: Tensor) -> Tensor:
        """Map (B, M, T) to (B, T/2, S); a clip longer than n_ctx steps is an error."""
        x = F.gelu(self.conv1(mel))
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        steps, limit = x.shape[1], self.positional_embedding.shape[0]
        if steps > limit:
            raise ValueError(f"{mel.shape[-1]} mel frames make {steps} steps, but n_ctx is {limit}")
        x = x + self.positional_embedding[:steps].to(x.dtype)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.ln_post(x)
        return out


class AudioEncoder(nn.Module):
    """Encode 100 log-mel frames a second with Whisper's encoder and average neighbours: 25 steps a second.

    Source: FauForensics (arXiv 2505.08294, III-B), whose names of parameters it keeps.
    """

    def __init__(self, size: WhisperSize, frames: int) -> None:
        super().__init__()
        self.encoder = WhisperEncoder(size, n_ctx=2 * frames)

    def forward(self, mel: Tensor) -> Tensor:
        """Map (B, M, 4T) to (B, T, S)."""
        steps: Tensor = self.encoder(mel)
        return (steps[:, 0::2] + steps[:, 1::2]) / 2
