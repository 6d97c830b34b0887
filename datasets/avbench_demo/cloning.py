"""Cloned voices: two vocoders that re-synthesise speech as text-to-speech and voice-conversion systems did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.ndimage import gaussian_filter1d

from avbench_demo.spectra import RATE, analyse, frequencies, synthesise
from avbench_demo.speech import STEP, Speech, Voice

Array = NDArray[np.float32]
_WINDOW, _BINS = 400, 512
_CEPSTRUM = 24  # coefficients kept of the spectral envelope
_MELS = 64
_ROUNDS = 4


def imitate(voice: Voice, seed: list[int]) -> Voice:
    """The voice as a cloning system learnt it: vocal tract and pitch slightly off, intonation flatter."""
    random = np.random.default_rng(seed)
    sign = random.choice([-1.0, 1.0])
    return replace(
        voice,
        tract=voice.tract * (1.0 + sign * random.uniform(0.02, 0.05)),
        pitch=voice.pitch * random.uniform(0.95, 1.05),
        liveliness=0.6 * voice.liveliness,
    )


def pulse_vocoder(speech: Speech, seed: list[int]) -> Array:
    """Envelope vocoder: smooth cepstral envelope, excited by a plain pulse train where voiced, by noise elsewhere.

    Leaves what such vocoders leave: harmonics up to 8 kHz without breath between them, a flattened pitch, a smeared envelope.
    """
    random = np.random.default_rng(seed)
    count = len(speech.sound)
    spectra = analyse(speech.sound, _BINS, STEP, _WINDOW)
    cepstrum = irfft(np.log(np.abs(spectra) + 1e-5), axis=1)
    cepstrum[:, _CEPSTRUM : _BINS - _CEPSTRUM + 1] = 0.0
    envelope = np.exp(gaussian_filter1d(rfft(cepstrum, axis=1).real, 2.0, axis=0))

    clock = np.arange(count) / STEP
    steps = np.arange(len(speech.pitch))
    flat = 0.6 * speech.pitch + 0.4 * speech.pitch.mean()
    phase = np.cumsum(np.interp(clock, steps, flat)) / RATE
    pulses = np.diff(np.floor(phase), prepend=0.0) * np.sqrt(RATE / np.interp(clock, steps, flat))
    voiced = np.interp(clock, steps, gaussian_filter1d((speech.voicing > 0.12).astype(float), 1.0))
    source = pulses * voiced + random.standard_normal(count) * (1.0 - voiced)
    carrier = analyse(source.astype(np.float32), _BINS, STEP, _WINDOW)
    return _level(synthesise(carrier * envelope, count, STEP, _WINDOW), speech.sound)


def mel_vocoder(speech: Speech, seed: list[int]) -> Array:
    """Mel vocoder: coarse mel bands, over-smoothed in time and quantised, inverted by a few Griffin-Lim rounds."""
    random = np.random.default_rng(seed)
    count, step, window, bins = len(speech.sound), 160, 640, 1024
    bands = mel_bands(bins, _MELS)
    spectra = analyse(speech.sound, bins, step, window)
    mel = np.log(np.abs(spectra) @ bands.T + 1e-4)
    mel = np.round(gaussian_filter1d(mel, 1.0, axis=0) / 0.35) * 0.35
    magnitude = np.exp(mel) @ (bands / np.maximum(bands.sum(axis=0), 1e-6))
    # The bands lose the harmonics: a comb at the pitch brings them back, all the way up.
    comb = _comb(speech, bins, step, len(magnitude))
    magnitude = (magnitude * comb).astype(np.float32)
    turn = random.uniform(-np.pi, np.pi, magnitude.shape[1])
    estimate = magnitude * np.exp(1j * turn)
    sound = synthesise(estimate, count, step, window)
    for _ in range(_ROUNDS):
        guess = analyse(sound, bins, step, window)
        sound = synthesise(magnitude * guess / np.maximum(np.abs(guess), 1e-6), count, step, window)
    return _level(sound, speech.sound)


def _comb(speech: Speech, bins: int, step: int, frames: int) -> Array:
    """Gain (F, bins // 2 + 1) with peaks at multiples of the pitch where voiced, flat elsewhere."""
    places = np.minimum(np.arange(frames) * step // STEP, len(speech.pitch) - 1)
    pitch = speech.pitch[places][:, None]
    voiced = (speech.voicing[places] > 0.12)[:, None]
    wave = np.cos(2 * np.pi * frequencies(bins)[None] / pitch)
    return np.where(voiced, (0.1 + 0.9 * (0.5 + 0.5 * wave) ** 2) / 0.44, 1.0).astype(np.float32)


def mel_bands(bins: int, mels: int) -> Array:
    """Triangular bands (mels, bins // 2 + 1), unit sum each."""
    top = 2595.0 * np.log10(1.0 + RATE / 2 / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, mels + 2) / 2595.0) - 1.0)
    hertz = frequencies(bins)[None]
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bands = np.maximum(0.0, np.minimum((hertz - low) / (mid - low), (high - hertz) / (high - mid)))
    return (bands / np.maximum(bands.sum(axis=1, keepdims=True), 1e-6)).astype(np.float32)


def _level(sound: Array, like: Array) -> Array:
    """Match the power of another sound."""
    return sound * np.sqrt((np.mean(like**2) + 1e-12) / (np.mean(sound**2) + 1e-12)).astype(np.float32)
