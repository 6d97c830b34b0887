"""The network of FauForensics (Wang et al., IEEE TIFS 2026, arXiv 2505.08294; section III).

Written from the paper and from facts about the published code (github.com/JWang-cs21/FauForensics, without a
licence), whose names of parameters it keeps. Tensors carry their shape as a suffix: B clips, T frames,
C channels, H W pixels, M mel bands, N steps, L features, h attention heads, D features a head, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avbench_backbones.csn import CSN
from avbench_backbones.whisper import SIZES, AudioEncoder, WhisperSize
from avbench_fauforensics.encoders import fau_encoder

AttentionNorm = Literal["column", "softmax"]

FIRST_SCALE = 1 / 0.07  # of the temporal attentional pooler, as in CLIP


@dataclass(frozen=True, slots=True)
class Architecture:
    """Every size and switch of the network; the defaults are those of the published code.

    csn_input: edge in pixels to which the CSN's pictures are scaled; 0 leaves them as they are.
    fau_units: 0 takes the FAU encoder's global feature, else the mean of so many action-unit nodes.
    attention_norm: "column" divides each column of a correlation matrix by its length, "softmax" makes rows
    sum to 1. joint_rows: the stream that the joint matrix's rows belong to. hidden: width of a layer in the
    classifiers, 0 for none.
    fau_encoder: "graphau" (ME-GraphAU), "blendshapes", or "package.module:Class" of one's own, see `fau_encoder`.
    fau, video, audio: encoders that are there; ifa, tap: modules that are there (Tables IV and V).
    """

    classes: int = 2
    frames: int = 25
    width: int = 512
    query_heads: int = 8
    query_head_width: int = 64
    csn_blocks: Sequence[int] = (3, 4, 23, 3)
    csn_width: int = 64
    csn_input: int = 0
    audio: bool = True
    audio_size: WhisperSize = SIZES["base"]
    fau: bool = True
    fau_encoder: str = "graphau"
    fau_depth: int = 50
    fau_width: int = 64
    fau_units: int = 0
    fau_batch_norm_drifts: bool = False
    video: bool = True
    ifa: bool = True
    tap: bool = True
    attention_norm: AttentionNorm = "column"
    joint_rows: Literal["video", "audio"] = "video"
    hidden: int = 0


class LayerNorm(nn.Module):
    """Layer normalisation with a learnable scale and a shift that stays zero."""

    beta: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.register_buffer("beta", torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., L) to (..., L)."""
        return F.layer_norm(x, x.shape[-1:], self.gamma, self.beta)


class QueryTransformer(nn.Module):
    """Ask a stream the shared queries: multi-head attention with one key and value head (eqs. 2 and 3)."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = LayerNorm(width)
        self.context_norm = LayerNorm(width)
        self.to_q = nn.Linear(width, heads * head_width, bias=False)
        self.to_kv = nn.Linear(width, 2 * head_width, bias=False)
        self.to_out = nn.Linear(heads * head_width, width, bias=False)

    def forward(self, queries_TL: Tensor, z_BNL: Tensor) -> Tensor:
        """Map queries (T, L) and a stream (B, N, L) to aligned features (B, T, L), without residual."""
        q_hTD = self.to_q(self.norm(queries_TL)).unflatten(-1, (self.heads, -1)).transpose(0, 1)
        k_BND, v_BND = self.to_kv(self.context_norm(z_BNL)).chunk(2, dim=-1)
        q_BhTD = q_hTD.expand(len(z_BNL), -1, -1, -1)
        k_BhND, v_BhND = (x_BND[:, None].expand(-1, self.heads, -1, -1) for x_BND in (k_BND, v_BND))
        heads_BhTD = F.scaled_dot_product_attention(q_BhTD, k_BhND, v_BhND)
        z_BTL: Tensor = self.to_out(heads_BhTD.transpose(1, 2).flatten(2))
        return z_BTL


def correlate(x_BTL: Tensor, y_BTL: Tensor, log_scale: Tensor, norm: AttentionNorm) -> Tensor:
    """Measure how every moment of x goes with every moment of y: (B, T, T), rows of x (eqs. 4 to 6).

    The published code's "column" norm cancels the scale: it has neither effect nor gradient there.
    """
    m_BTT = log_scale.exp() * F.normalize(x_BTL, dim=-1) @ F.normalize(y_BTL, dim=-1).transpose(1, 2)
    return F.normalize(m_BTT, dim=1) if norm == "column" else m_BTT.softmax(dim=-1)


class Network(nn.Module):
    """Map frames and a log-mel spectrogram to the scores of the clip and of either stream (eq. 1)."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.architecture = a
        seen, heard = a.fau or a.video, a.audio
        if a.fau:
            fau = fau_encoder(a.fau_encoder, a.fau_depth, a.fau_width, a.fau_units)
            self.FAUEncoder_cnn = fau.requires_grad_(False)
            self.au_pool = _bridge(cast(int, self.FAUEncoder_cnn.out_features), a.width)
            self.au_pool_norm = LayerNorm(a.width)
        if a.video:
            self.VEncoder_cnn = CSN(a.csn_blocks, width=a.csn_width)
            self.v_pool = nn.Linear(self.VEncoder_cnn.out_channels, a.width, bias=False)
            self.v_pool_norm = LayerNorm(a.width)
        if a.audio:
            self.AEncoder = AudioEncoder(a.audio_size, a.frames)
            self.a_pool = _bridge(a.audio_size.state, a.width)
        if a.ifa:
            self.queries = nn.Parameter(torch.randn(a.frames, a.width))
            if seen:
                self.v_attn_pool = QueryTransformer(a.width, a.query_heads, a.query_head_width)
                self.v_attn_pool_norm = LayerNorm(a.width)
            if heard:
                self.aud_attn_pool = QueryTransformer(a.width, a.query_heads, a.query_head_width)
                self.aud_attn_pool_norm = LayerNorm(a.width)
        if a.tap:
            self.logit_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
            if seen:
                self.logit_scale_v = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
            if heard:
                self.logit_scale_a = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
        pooled = a.frames**2 if a.tap else a.width
        self.mlp_joint = _classifier(pooled if a.tap else pooled * (seen + heard), a.hidden, a.classes)
        if seen:
            self.mlp_v = _classifier(pooled, a.hidden, 2)
        if heard:
            self.mlp_a = _classifier(pooled, a.hidden, 2)

    def encoders(self) -> dict[str, nn.Module]:
        """Return the encoders that there are, by the stream or feature they give."""
        a = self.architecture
        there: dict[str, nn.Module] = {}
        if a.video:
            there["video"] = self.VEncoder_cnn
        if a.fau:
            there["fau"] = self.FAUEncoder_cnn
        if a.audio:
            there["audio"] = self.AEncoder
        return there

    @torch.no_grad()
    def sharpen_queries(self, gain: float) -> None:
        """Multiply what the queries ask at first, so that each attends to other moments from the start."""
        for module in self.modules():
            if isinstance(module, QueryTransformer):
                module.to_q.weight.mul_(gain)

    def freeze_encoders(self) -> None:
        """Keep every encoder as it is, running statistics included."""
        for encoder in self.encoders().values():
            encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> Network:
        """Switch to training, in which frozen encoders keep evaluating, unless that of action units is to drift."""
        super().train(mode)
        for name, encoder in self.encoders().items():
            frozen = not any(parameter.requires_grad for parameter in encoder.parameters())
            encoder.train(mode and (not frozen or (name == "fau" and self.architecture.fau_batch_norm_drifts)))
        return self

    def forward(self, pixels_BCTHW: Tensor, mel_BMN: Tensor) -> dict[str, Tensor]:
        """Map (B,3,T,H,W) and (B,M,4T) to logits: joint (B,K), and (B,2) of each stream that is there."""
        return self.classify(self.align(self.encode(pixels_BCTHW, mel_BMN)))

    def encode(self, pixels_BCTHW: Tensor, mel_BMN: Tensor) -> dict[str, Tensor]:
        """Encode the streams that there are: Z_v and Z_a, (B,T,L) each."""
        return self.streams(self.features(pixels_BCTHW, mel_BMN))

    def align(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        """Ask each stream the shared queries: Z_vq and Z_aq, (B,T,L) each."""
        ask = {"video": self.align_video, "audio": self.align_audio}
        return {name: ask[name](z_BTL) for name, z_BTL in z.items()}

    def encode_video(self, pixels_BCTHW: Tensor) -> Tensor:
        """Encode what is seen, (B,3,T,H,W), as Z_v (B,T,L): video plus action-unit features (III-B)."""
        return self.streams(self._seen(pixels_BCTHW))["video"]

    def encode_audio(self, mel_BMN: Tensor) -> Tensor:
        """Encode what is heard, (B,M,4T), as Z_a (B,T,L)."""
        return self.streams(self._heard(mel_BMN))["audio"]

    def features(self, pixels_BCTHW: Tensor, mel_BMN: Tensor) -> dict[str, Tensor]:
        """Return what each encoder that is there says: "video" (B,T,C), "fau" and "audio" (B,T,their width)."""
        return self._seen(pixels_BCTHW) | self._heard(mel_BMN)

    def _seen(self, pixels_BCTHW: Tensor) -> dict[str, Tensor]:
        seen = {}
        if self.architecture.video:
            small_BCTHW = self._scaled(pixels_BCTHW)
            if small_BCTHW.device.type == "cpu":  # which convolves this layout one and a half times as fast
                small_BCTHW = small_BCTHW.contiguous(memory_format=torch.channels_last_3d)
            seen["video"] = self.VEncoder_cnn(small_BCTHW).mean(dim=(3, 4)).transpose(1, 2)
        if self.architecture.fau:
            frames_NCHW = pixels_BCTHW.transpose(1, 2).flatten(0, 1)
            if frames_NCHW.device.type == "cpu":  # as above
                frames_NCHW = frames_NCHW.contiguous(memory_format=torch.channels_last)
            with torch.no_grad():
                au_NL = self.FAUEncoder_cnn(frames_NCHW)
            seen["fau"] = au_NL.unflatten(0, (len(pixels_BCTHW), -1))
        return seen

    def _scaled(self, pixels_BCTHW: Tensor) -> Tensor:
        """Scale pictures to what the CSN sees, bilinear, without antialiasing."""
        edge = self.architecture.csn_input
        if edge in (0, pixels_BCTHW.shape[-1]):
            return pixels_BCTHW
        frames = F.interpolate(pixels_BCTHW.transpose(1, 2).flatten(0, 1), (edge, edge), mode="bilinear")
        return frames.view(len(pixels_BCTHW), -1, *frames.shape[1:]).transpose(1, 2)

    def _heard(self, mel_BMN: Tensor) -> dict[str, Tensor]:
        return {"audio": self.AEncoder(mel_BMN)} if self.architecture.audio else {}

    def streams(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring encoders' features to one width and add up those of the pictures: Z_v and Z_a, (B,T,L) each."""
        z, seen = {}, []
        if "video" in features:
            seen.append(self.v_pool_norm(self.v_pool(features["video"])))
        if "fau" in features:
            seen.append(self.au_pool_norm(self.au_pool(features["fau"])))
        if seen:
            z["video"] = torch.stack(seen).sum(dim=0)
        if "audio" in features:
            z["audio"] = self.a_pool(features["audio"])
        return z

    def align_video(self, z_BTL: Tensor) -> Tensor:
        """Ask the pictures the shared queries: Z_vq (B,T,L) (eq. 3)."""
        if not self.architecture.ifa:
            return z_BTL
        aligned_BTL: Tensor = self.v_attn_pool_norm(self.v_attn_pool(self.queries, z_BTL))
        return aligned_BTL

    def align_audio(self, z_BTL: Tensor) -> Tensor:
        """Ask the sound the shared queries: Z_aq (B,T,L) (eq. 2)."""
        if not self.architecture.ifa:
            return z_BTL
        aligned_BTL: Tensor = self.aud_attn_pool_norm(self.aud_attn_pool(self.queries, z_BTL))
        return aligned_BTL

    def classify(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        """Map the aligned streams (B,T,L) to the logits of the clip and of each stream (eqs. 7 to 9)."""
        pooled = self.correlations(z) if self.architecture.tap else _means(z)
        logits = {"joint": self.mlp_joint(pooled["joint"])}
        if "video" in z:
            logits["video"] = self.mlp_v(pooled["video"])
        if "audio" in z:
            logits["audio"] = self.mlp_a(pooled["audio"])
        return logits

    def correlations(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        """Pool each stream and the two together: (B, T*T) each (eqs. 4 to 6); one alone with itself."""
        norm = self.architecture.attention_norm
        video_BTL, audio_BTL = (z.get(name, next(iter(z.values()))) for name in ("video", "audio"))
        rows_BTL, columns_BTL = video_BTL, audio_BTL
        if self.architecture.joint_rows == "audio":
            rows_BTL, columns_BTL = audio_BTL, video_BTL
        m_BTT = {"joint": correlate(rows_BTL, columns_BTL, self.logit_scale, norm)}
        if "video" in z:
            m_BTT["video"] = correlate(video_BTL, video_BTL, self.logit_scale_v, norm)
        if "audio" in z:
            m_BTT["audio"] = correlate(audio_BTL, audio_BTL, self.logit_scale_a, norm)
        return {name: matrix.flatten(1) for name, matrix in m_BTT.items()}


def _means(z: dict[str, Tensor]) -> dict[str, Tensor]:
    """Pool without the temporal attentional pooler: means over time, side by side for the joint head."""
    means = {name: z_BTL.mean(dim=1) for name, z_BTL in z.items()}
    return {**means, "joint": torch.cat(list(means.values()), dim=1)}


def _bridge(width_in: int, width: int) -> nn.Module:
    """Bring an encoder narrower or wider than the published one to the network's width."""
    return nn.Identity() if width_in == width else nn.Linear(width_in, width, bias=False)


def _classifier(width: int, hidden: int, classes: int) -> nn.Module:
    if not hidden:
        return nn.Linear(width, classes, bias=False)
    return nn.Sequential(nn.Linear(width, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, classes, bias=False))
