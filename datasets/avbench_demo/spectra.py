"""Short-time Fourier analysis and overlap-add synthesis, shared by the synthesiser and the vocoders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

RATE = 16000


def frequencies(bins: int) -> NDArray[np.float32]:
    """Frequencies in Hz of the bins of an FFT of this length."""
    return (np.arange(bins // 2 + 1) * RATE / bins).astype(np.float32)


def analyse(sound: NDArray[np.float32], bins: int, step: int, window: int) -> NDArray[np.complex64]:
    """Spectra (F, bins // 2 + 1) of Hann windows centred at multiples of step, F = S // step + 1."""
    half = window // 2
    padded = np.pad(sound, (half, half + step))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::step][: len(sound) // step + 1]
    spectra: NDArray[np.complex64] = rfft(frames * _hann(window), bins)
    return spectra


def synthesise(spectra: NDArray[np.complex64], count: int, step: int, window: int) -> NDArray[np.float32]:
    """Overlap-add spectra whose frames carry one Hann window back to (count,) samples."""
    frames = irfft(spectra, axis=1).astype(np.float32)
    bins = frames.shape[1]
    half = window // 2
    blocks = -(-bins // step)
    frames = np.pad(frames, ((0, 0), (0, blocks * step - bins)))
    out = np.zeros((len(frames) + blocks, step), np.float32)
    for block in range(blocks):
        out[block : block + len(frames)] += frames[:, block * step : (block + 1) * step]
    gain = window / 2 / step  # sum of overlapping Hann windows
    return np.asarray(out.reshape(-1)[half : half + count] / gain, np.float32)


def _hann(window: int) -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
