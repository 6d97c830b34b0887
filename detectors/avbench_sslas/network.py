"""SSLAS: a wav2vec 2.0 encoder (XLS-R 300M), its features as a picture, residual blocks and AASIST's graphs.

Paper: H. Tak et al., "Automatic speaker verification spoofing and deepfake detection using wav2vec 2.0 and data
augmentation", Odyssey 2022, arXiv 2202.12233. Source: TakHemlata/SSL_Anti-spoofing (MIT); the encoder is transformers'
(Apache-2.0). The back-end's parameters bear the published names. Letters: B clips, S samples, T frames of 20 ms,
L features, C channels, F feature bins after pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from avbench.errors import UserError
from avbench_backbones.aasist import GraphJudge, JudgeSize

CONV_KERNELS, CONV_STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)


@dataclass(frozen=True, slots=True)
class EncoderSize:
    """Sizes of the wav2vec 2.0 encoder; the defaults are XLS-R 300M's."""

    width: int = 1024
    layers: int = 24
    heads: int = 16
    inner: int = 4096
    conv_width: int = 512
    position_kernel: int = 128
    position_groups: int = 16


BACK_END = JudgeSize(rows=128, keep_temporal=0.5)


class BackEnd(GraphJudge):
    """Map features (B,T,L) to logits (B,2) in the published order: spoof, bona fide."""

    def __init__(self, inputs: int, size: JudgeSize = BACK_END) -> None:
        super().__init__(size, pool=False)
        self.LL = nn.Linear(inputs, size.rows)
        self.first_bn1 = nn.BatchNorm2d(size.wide)
        self.attention = nn.Sequential(
            nn.Conv2d(size.wide, 2 * size.wide, 1),
            nn.SELU(),
            nn.BatchNorm2d(2 * size.wide),
            nn.Conv2d(2 * size.wide, size.wide, 1),
        )

    def forward(self, features_BTL: Tensor) -> Tensor:
        """Judge clips."""
        x_BCFT = F.selu(self.first_bn1(self.look(self.LL(features_BTL).transpose(1, 2))))
        weight_BCFT = self.attention(x_BCFT)
        spectral_BCF = (x_BCFT * weight_BCFT.softmax(dim=3)).sum(dim=3)
        temporal_BCT = (x_BCFT * weight_BCFT.softmax(dim=2)).sum(dim=2)
        return self.classify(spectral_BCF.transpose(1, 2), temporal_BCT.transpose(1, 2))


class SSLAS(nn.Module):
    """Map a raw wave (B,S), which is not normalised, to logits (B,2) in the published order: spoof, bona fide."""

    def __init__(self, encoder: EncoderSize = EncoderSize(), back_end: JudgeSize = BACK_END) -> None:
        super().__init__()
        self.encoder = wav2vec2(encoder)
        self.back_end = BackEnd(encoder.width, back_end)

    def forward(self, audio_BS: Tensor) -> Tensor:
        """Judge clips by the last layer, after its norm."""
        logits_B2: Tensor = self.back_end(self.encoder(audio_BS).last_hidden_state)
        return logits_B2


def wav2vec2(size: EncoderSize) -> Any:
    """Build transformers' Wav2Vec2Model as XLS-R is, without dropout and masking, with random weights.

    Raises UserError where transformers is missing.
    """
    import avbench_backbones._torchaudio  # noqa: F401  transformers imports torchaudio and fails where that does

    try:
        from transformers import Wav2Vec2Config, Wav2Vec2Model
    except ImportError as error:
        raise UserError(f"sslas needs the package transformers ({error}); pip install 'avbench[sslas]'") from error
    config = Wav2Vec2Config(
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.inner,
        conv_dim=(size.conv_width,) * len(CONV_KERNELS),
        conv_kernel=CONV_KERNELS,
        conv_stride=CONV_STRIDES,
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=size.position_kernel,
        num_conv_pos_embedding_groups=size.position_groups,
        # Departure: the pre-training's dropout is not published for sure, so there is none
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
        mask_time_prob=0.0,
        mask_feature_prob=0.0,
    )
    return Wav2Vec2Model(config)


def feature_frames(samples: int) -> int:
    """Return the frames that the encoder's convolutions leave of so many samples."""
    for kernel, stride in zip(CONV_KERNELS, CONV_STRIDES, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples
