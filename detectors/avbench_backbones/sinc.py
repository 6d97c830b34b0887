"""A fixed bank of mel-spaced band-pass filters on the raw wave, the front end of RawGAT-ST and AASIST.

Paper: M. Ravanelli and Y. Bengio, "Speaker recognition from raw waveform with SincNet", SLT 2018; fixed filters as in
H. Tak et al., "End-to-end spectro-temporal graph attention networks", ASVspoof 2021 workshop, section 3.1.
Source: eurecom-asp/RawGAT-ST-antispoofing (MIT). Letters: B clips, S samples, K filters, J filter taps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from avbench_backbones.augment import draw_spans, mask_spans

SAMPLE_RATE = 16_000
TAPS = 129


class SincFilters(nn.Module):
    """Filter a wave; the filters are computed, so they are neither trained nor part of a checkpoint."""

    filters_KJ: Tensor

    def __init__(self, filters: int = 70, hop: int = 1, max_masked: int = 0) -> None:
        super().__init__()
        self.hop = hop
        self.max_masked = max_masked
        self.register_buffer("filters_KJ", sinc_filters(filters), persistent=False)

    def forward(self, audio_BS: Tensor, dice: Sequence[Generator] | None = None) -> Tensor:
        """Map a wave (B,S) to bands (B,K,(S-128)/hop); with dice, one a clip, fewer than `max_masked` are silent."""
        bands_BKS = F.conv1d(audio_BS[:, None], self.filters_KJ[:, None], stride=self.hop)
        return bands_BKS if dice is None else mask_bands(bands_BKS, dice, self.max_masked)


def sinc_filters(filters: int) -> Tensor:
    """Return Hamming-windowed band passes (K,J) whose edges are equally spaced in mel from 0 to 8 kHz."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, filters + 1) / 2595) - 1)
    n_J = np.arange(TAPS) - TAPS // 2
    low_KJ, high_KJ = (2 * hz[:, None] / SAMPLE_RATE for hz in (edges[:-1], edges[1:]))
    band_KJ = high_KJ * np.sinc(high_KJ * n_J) - low_KJ * np.sinc(low_KJ * n_J)
    return torch.from_numpy(np.hamming(TAPS) * band_KJ).float()


def mask_bands(bands_BKS: Tensor, dice: Sequence[Generator], most: int) -> Tensor:
    """Silence fewer than `most` neighbouring filters of each clip.

    Departure: drawn for each clip, not once a batch, so that a clip is the same whoever its batch-mates are.
    """
    return mask_spans(bands_BKS, draw_spans(dice, bands_BKS.shape[1] + 1, most), dim=1)
