"""Log filter banks and cepstra as python_speech_features defines them, batched, on the sound's device.

Written from that definition (github.com/jameslyons/python_speech_features, MIT); AVD-DDL, AVTS and MRDF hear by it.
Letters: B clips, S samples, T windows, K frequencies, F filters, C cepstra.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

INT16 = 32_768.0  # published code hears 16-bit numbers: multiply sound in [-1, 1] by this before anything else
SILENCE = 2.0**-52  # takes the place of exact zeros before the logarithm
PRE_EMPHASIS = 0.97
LIFTER = 22


def logfbank(
    audio_BS: Tensor,
    rate: int,
    filters: int = 26,
    nfft: int = 512,
    window: float = 0.025,
    hop: float = 0.01,
    low: float = 0.0,
    high: float | None = None,
) -> Tensor:
    """Compute logarithms of mel filter banks: sound (B,S) to (B,T,filters).

    Windows of `window` seconds every `hop` seconds are rectangular; the last one is filled with zeros; `nfft` below a
    window's length cuts it. `low` and `high` (half the rate) are in Hz. The sound is taken as it is; see INT16.
    """
    power_BTK = _power(audio_BS, rate, nfft, window, hop)
    return _logarithm(power_BTK @ _filter_bank(filters, nfft, rate, low, high or rate / 2, audio_BS.device))


def mfcc(
    audio_BS: Tensor,
    rate: int,
    cepstra: int = 13,
    filters: int = 26,
    nfft: int = 512,
    window: float = 0.025,
    hop: float = 0.01,
    low: float = 0.0,
    high: float | None = None,
    energy: bool = True,
) -> Tensor:
    """Compute liftered mel-frequency cepstra: sound (B,S) to (B,T,cepstra).

    With `energy` the first is the logarithm of the window's power; the other values are as in `logfbank`.
    """
    power_BTK = _power(audio_BS, rate, nfft, window, hop)
    bank_BTF = _logarithm(power_BTK @ _filter_bank(filters, nfft, rate, low, high or rate / 2, audio_BS.device))
    cepstra_BTC = bank_BTF @ _cosines(filters, cepstra, audio_BS.device)
    if energy:
        loudness_BT1 = _logarithm(power_BTK.sum(dim=2, keepdim=True))
        cepstra_BTC = torch.cat([loudness_BT1, cepstra_BTC[:, :, 1:]], dim=2)
    return cepstra_BTC


def windows(samples: int, rate: int, window: float = 0.025, hop: float = 0.01) -> int:
    """Count the windows that so many samples give."""
    length, step = _rounded(window * rate), _rounded(hop * rate)
    return 1 + max(0, math.ceil((samples - length) / step))


def _power(audio_BS: Tensor, rate: int, nfft: int, window: float, hop: float) -> Tensor:
    """Compute the power spectrum (B,T,nfft // 2 + 1) of each window, after pre-emphasis."""
    if audio_BS.ndim != 2 or not audio_BS.shape[1]:
        raise ValueError(f"sound of shape {tuple(audio_BS.shape)}: give (clips, samples)")
    length, step = _rounded(window * rate), _rounded(hop * rate)
    with torch.autocast(audio_BS.device.type, enabled=False):  # half precision would lose the quiet bands
        sound_BS = audio_BS.float()
        sharp_BS = torch.cat([sound_BS[:, :1], sound_BS[:, 1:] - PRE_EMPHASIS * sound_BS[:, :-1]], dim=1)
        count = windows(sound_BS.shape[1], rate, window, hop)
        filled_BS = F.pad(sharp_BS, (0, (count - 1) * step + length - sound_BS.shape[1]))
        spectrum_BTK = torch.fft.rfft(filled_BS.unfold(1, length, step), nfft)
        power_BTK: Tensor = spectrum_BTK.abs().square() / nfft
        return power_BTK


def _logarithm(power: Tensor) -> Tensor:
    return torch.where(power == 0, SILENCE, power).log()


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is first made while evaluating must serve in training too
def _filter_bank(filters: int, nfft: int, rate: int, low: float, high: float, device: torch.device) -> Tensor:
    """Build triangles (nfft // 2 + 1, filters), whose corners are whole bins evenly spread over the mel scale."""
    mels = torch.linspace(_mel(low), _mel(high), filters + 2, dtype=torch.float64)
    corners = torch.floor((nfft + 1) * 700 * (10 ** (mels / 2595) - 1) / rate)
    left_F, middle_F, right_F = corners[:-2], corners[1:-1], corners[2:]
    bin_K1 = torch.arange(nfft // 2 + 1, dtype=torch.float64)[:, None]
    rising_KF = (bin_K1 - left_F) / (middle_F - left_F).clamp(min=1)
    falling_KF = (right_F - bin_K1) / (right_F - middle_F).clamp(min=1)
    inside_KF = (bin_K1 >= left_F) & (bin_K1 < right_F)
    triangles_KF = torch.where(bin_K1 < middle_F, rising_KF, falling_KF) * inside_KF
    return triangles_KF.float().to(device)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _cosines(filters: int, cepstra: int, device: torch.device) -> Tensor:
    """Build the orthonormal cosine transform (filters, cepstra), with the lifter that evens out its columns."""
    order_C = torch.arange(cepstra, dtype=torch.float64)
    middle_F = torch.arange(filters, dtype=torch.float64) + 0.5
    cosines_FC = torch.cos(math.pi / filters * middle_F[:, None] * order_C) * math.sqrt(2 / filters)
    cosines_FC[:, 0] /= math.sqrt(2)
    lifter_C = 1 + LIFTER / 2 * torch.sin(math.pi * order_C / LIFTER)
    return (cosines_FC * lifter_C).float().to(device)


def _mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


def _rounded(samples: float) -> int:
    return math.floor(samples + 0.5)
