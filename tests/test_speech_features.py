"""Filter banks and cepstra against a plain numpy and scipy reading of python_speech_features' definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.fft import dct

from avbench_backbones.speech_features import INT16, logfbank, mfcc, windows


def reference(signal: Any, rate: int, nfft: int, filters: int = 26, cepstra: int = 13) -> tuple[Any, Any]:
    """Return log filter banks and cepstra, window by window and bin by bin."""
    emphasised = np.append(signal[0], signal[1:] - 0.97 * signal[:-1])
    length, step = round(rate * 0.025), round(rate * 0.01)
    corners = [
        math.floor(
            (nfft + 1) * 700 * (10 ** (k * 2595 * math.log10(1 + rate / 1400) / (filters + 1) / 2595) - 1) / rate
        )
        for k in range(filters + 2)
    ]
    triangles = np.zeros((filters, nfft // 2 + 1))
    for j in range(filters):
        for i in range(corners[j], corners[j + 1]):
            triangles[j, i] = (i - corners[j]) / (corners[j + 1] - corners[j])
        for i in range(corners[j + 1], corners[j + 2]):
            triangles[j, i] = (corners[j + 2] - i) / (corners[j + 2] - corners[j + 1])
    banks, rows, start = [], [], 0
    while True:
        piece = np.zeros(length)
        found = emphasised[start : start + length]
        piece[: len(found)] = found
        power = np.abs(np.fft.rfft(piece, nfft)) ** 2 / nfft
        energy = triangles @ power
        log_energy = np.log(np.where(energy == 0, np.finfo(float).eps, energy))
        row = dct(log_energy, type=2, norm="ortho")[:cepstra] * (1 + 11 * np.sin(np.pi * np.arange(cepstra) / 22))
        row[0] = np.log(power.sum() or np.finfo(float).eps)
        banks.append(log_energy)
        rows.append(row)
        if start + length >= len(signal):
            return np.stack(banks), np.stack(rows)
        start += step


def noise(samples: int, seed: int = 0) -> Any:
    """Return coloured noise as 16-bit numbers."""
    white = np.random.default_rng(seed).normal(size=samples)
    return np.round(np.convolve(white, np.exp(-np.arange(40) / 8))[:samples] * 900).astype(np.int16).astype(float)


@pytest.mark.parametrize(
    ("rate", "nfft", "samples", "expected"),
    [(48_000, 2048, 48_000, 99), (16_000, 512, 3_200, 19), (16_000, 512, 11_520, 71), (16_000, 512, 300, 1)],
)
def test_equals_the_definition(rate: int, nfft: int, samples: int, expected: int) -> None:
    signal = noise(samples)
    banks, cepstra = reference(signal, rate, nfft)
    sound = torch.from_numpy(signal / INT16).float()[None] * INT16
    assert windows(samples, rate) == len(banks) == expected
    np.testing.assert_allclose(logfbank(sound, rate, nfft=nfft)[0].numpy(), banks, atol=2e-3)
    np.testing.assert_allclose(mfcc(sound, rate, nfft=nfft)[0].numpy(), cepstra, atol=5e-3)


def test_silence_is_finite_and_has_the_published_floor() -> None:
    banks = logfbank(torch.zeros(1, 1600), 16_000)
    torch.testing.assert_close(banks, torch.full((1, 9, 26), math.log(2.0**-52)))
    assert mfcc(torch.zeros(1, 1600), 16_000).isfinite().all()


def test_clips_do_not_mix_and_gradients_pass_after_inference() -> None:
    sound = torch.from_numpy(np.stack([noise(3_200), noise(3_200, 1)])).float()
    with torch.inference_mode():
        both = mfcc(sound, 16_000)
        torch.testing.assert_close(mfcc(sound[1:], 16_000)[0], both[1], rtol=1e-5, atol=1e-4)
    heard = sound.requires_grad_()
    mfcc(heard, 16_000).sum().backward()  # type: ignore[no-untyped-call]
    assert heard.grad is not None and heard.grad.isfinite().all()


def test_without_energy_the_first_is_a_cepstrum() -> None:
    sound = torch.from_numpy(noise(3_200)).float()[None]
    banks = logfbank(sound, 16_000)
    torch.testing.assert_close(mfcc(sound, 16_000, energy=False)[..., 0], banks.sum(dim=2) / math.sqrt(26))
