"""The Transformer encoder of wav2vec 2.0 and HuBERT: a convolution tells positions, norms follow their residuals.

Papers: Baevski et al., NeurIPS 2020 (arXiv 2006.11477); Shi et al., ICLR 2022 (arXiv 2201.02184). Names of parameters
are fairseq's. Letters: B clips, T frames, L features, H heads, D features of a head, K kernel, G groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

START = 0.02, 768  # deviation of first weights at a width, as of BERT; narrower layers get as loud a start


@dataclass(frozen=True, slots=True)
class EncoderSize:
    """How large an encoder is; the defaults are AV-HuBERT Base."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    position_kernel: int = 128
    position_groups: int = 16
    dropout: float = 0.1


class PositionalConvolution(nn.Module):
    """A grouped convolution over time whose weight is a direction and, for each place of the kernel, a length."""

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        self.bias = nn.Parameter(torch.zeros(width))
        weight_OIK = torch.randn(width, width // groups, kernel) * math.sqrt(4 / (kernel * width))
        self.weight_g = nn.Parameter(weight_OIK.norm(dim=(0, 1), keepdim=True))
        self.weight_v = nn.Parameter(weight_OIK)

    def forward(self, x_BLT: Tensor) -> Tensor:
        """Map (B,L,T) to (B,L,T); an even kernel reaches one frame further back than ahead."""
        weight_OIK = self.weight_g * self.weight_v / self.weight_v.norm(dim=(0, 1), keepdim=True)
        out_BLT = F.conv1d(x_BLT, weight_OIK, self.bias, padding=self.kernel // 2, groups=self.groups)
        return F.gelu(out_BLT[..., : x_BLT.shape[2]])


class Attention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self, size: EncoderSize) -> None:
        super().__init__()
        self.heads, self.dropout = size.heads, size.dropout
        self.k_proj = nn.Linear(size.width, size.width)
        self.v_proj = nn.Linear(size.width, size.width)
        self.q_proj = nn.Linear(size.width, size.width)
        self.out_proj = nn.Linear(size.width, size.width)

    def forward(self, x_BTL: Tensor, valid_BT: Tensor) -> Tensor:
        """Let each frame (B,T,L) attend to the valid ones."""
        q_BHTD, k_BHTD, v_BHTD = (
            project(x_BTL).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        dropout = self.dropout if self.training else 0.0
        out_BHTD = F.scaled_dot_product_attention(q_BHTD, k_BHTD, v_BHTD, valid_BT[:, None, None], dropout)
        mixed_BTL: Tensor = self.out_proj(out_BHTD.transpose(1, 2).flatten(2))
        return mixed_BTL


class Layer(nn.Module):
    """Attention, then two linear layers; each is added to what came in, and the sum is normalised."""

    def __init__(self, size: EncoderSize) -> None:
        super().__init__()
        self.self_attn = Attention(size)
        self.self_attn_layer_norm = nn.LayerNorm(size.width)
        self.fc1 = nn.Linear(size.width, size.hidden)
        self.fc2 = nn.Linear(size.hidden, size.width)
        self.final_layer_norm = nn.LayerNorm(size.width)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, x_BTL: Tensor, valid_BT: Tensor) -> Tensor:
        """Map (B,T,L) to (B,T,L)."""
        x_BTL = self.self_attn_layer_norm(x_BTL + self.dropout(self.self_attn(x_BTL, valid_BT)))
        out_BTL: Tensor = self.final_layer_norm(x_BTL + self.dropout(self.fc2(F.gelu(self.fc1(x_BTL)))))
        return out_BTL


class Encoder(nn.Module):
    """Layers of attention over frames that know their positions."""

    def __init__(self, size: EncoderSize) -> None:
        super().__init__()
        self.pos_conv = nn.Sequential(PositionalConvolution(size.width, size.position_kernel, size.position_groups))
        self.layers = nn.ModuleList(Layer(size) for _ in range(size.layers))
        self.layer_norm = nn.LayerNorm(size.width)
        self.dropout = nn.Dropout(size.dropout)
        deviation, wide = START
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=deviation * math.sqrt(wide / size.width))
                nn.init.zeros_(part.bias)

    def forward(self, x_BTL: Tensor, valid_BT: Tensor) -> Tensor:
        """Map frames (B,T,L) to (B,T,L); what is not valid (B,T) bool counts as zero and is not attended to."""
        x_BTL = x_BTL.masked_fill(~valid_BT[..., None], 0)
        positions_BTL = self.pos_conv(x_BTL.transpose(1, 2)).transpose(1, 2)
        x_BTL = self.dropout(self.layer_norm(x_BTL + positions_BTL))
        for layer in self.layers:
            x_BTL = layer(x_BTL, valid_BT)
        return x_BTL
