"""Log-mel spectrograms of 16 kHz sound, batched, in float32 on the sound's device, each clip on its own.

Letters: B clips, S samples, T = S // 160 frames of 10 ms.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from avbench_backbones._torchaudio import torchaudio

SAMPLE_RATE = 16_000
HOP = 160


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # filters first made while evaluating must serve in training too
def _filters(n_fft: int, mels: int, slaney: bool, device: torch.device) -> Tensor:
    """Build the triangular filters (mels, n_fft // 2 + 1)."""
    filters: Tensor = torchaudio.functional.melscale_fbanks(
        n_freqs=n_fft // 2 + 1,
        f_min=0.0,
        f_max=SAMPLE_RATE / 2,
        n_mels=mels,
        sample_rate=SAMPLE_RATE,
        norm="slaney" if slaney else None,
        mel_scale="slaney" if slaney else "htk",
    )
    return filters.T.contiguous().to(device)


def _mel_power(sound: Tensor, n_fft: int, window: int, mels: int, slaney: bool) -> Tensor:
    """Compute mel power (B, mels, T): centred frames, reflected at the ends, periodic Hann window."""
    if sound.ndim != 2 or sound.shape[1] <= n_fft // 2:
        raise ValueError(f"sound of shape {tuple(sound.shape)}: give (clips, over {n_fft // 2} samples)")
    with torch.autocast(sound.device.type, enabled=False):  # half precision would lose the quiet bands
        sound = sound.float()
        spectrum = torch.stft(
            sound,
            n_fft,
            hop_length=HOP,
            win_length=window,
            window=torch.hann_window(window, device=sound.device),
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        power = spectrum[..., : sound.shape[1] // HOP].abs().square()
        return _filters(n_fft, mels, slaney, sound.device) @ power


def _peak(mel: Tensor) -> Tensor:
    return mel.amax(dim=(1, 2), keepdim=True)


def log_mel_whisper(sound: Tensor, mels: int = 80) -> Tensor:
    """Compute Whisper's features: sound (B, S) in [-1, 1] to (B, mels, T).

    25 ms frames and Slaney filters; log10 is floored 8 below the clip's own peak, so that a crop of a long clip
    differs from the same place in the whole. Source: openai/whisper `audio.py`.
    """
    log = _mel_power(sound, n_fft=400, window=400, mels=mels, slaney=True).clamp(min=1e-10).log10()
    return (torch.maximum(log, _peak(log) - 8.0) + 4.0) / 4.0


def log_mel_20ms(sound: Tensor) -> Tensor:
    """Compute RealForensics' features, also FauForensics': sound (B, S) in [-1, 1] to (B, 80, T) in [-1, 1].

    20 ms frames and HTK filters; decibels below the clip's own peak, floored at -80, then (x + 40) / 40.
    Source: ahaliassos/RealForensics, stage 1 data.
    """
    log = _mel_power(sound, n_fft=512, window=320, mels=80, slaney=False).clamp(min=1e-10).log10()
    decibels = 10.0 * (log - _peak(log))
    return (decibels.clamp(min=-80.0) + 40.0) / 40.0
