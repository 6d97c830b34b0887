"""Cloned voices: two vocoders that re-synthesise speech as text-to-speech and voice-conversion systems did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfilt

from avbench_demo.spectra import RATE, analyse, frequencies, synthesise
from avbench_demo.speech import STEP, Speech, Voice

Array = NDArray[Any]  # float32
Vocoder = Callable[[Speech, list[int]], Array]
_WINDOW, _BINS = 400, 512
_CEPSTRUM = 24  # coefficients kept of the spectral envelope
_MELS = 64
_LEVELS = 0.35  # step of the quantised log magnitudes (3 dB)
_ROUNDS = 2
_BREATH = 0.3  # largest share of noise above 3 kHz in voiced sounds
_DULL = (4.0, 7.0)  # dB that are lost at high frequencies, drawn per recording
_DULL_FROM, _DULL_SLOPE = 3500.0, 400.0  # Hz


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


def processed(speech: Speech, vocoder: Vocoder, strength: float, seed: list[int]) -> Array:
    """Speech as a codec or a cloning system gives it: from 0, untouched, to 1, all of it re-synthesised."""
    if strength == 0.0:
        return speech.sound
    return np.asarray((1.0 - strength) * speech.sound + strength * vocoder(speech, seed), np.float32)


def pulse_vocoder(speech: Speech, seed: list[int]) -> Array:
    """Envelope vocoder: smooth cepstral envelope, excited by a plain pulse train where voiced, by noise elsewhere.

    Leaves what such vocoders leave: harmonics up to 8 kHz without breath between them, a smeared envelope.
    """
    spectra = analyse(speech.sound, _BINS, STEP, _WINDOW)
    cepstrum = irfft(np.log(np.abs(spectra) + 1e-5), axis=1)
    cepstrum[:, _CEPSTRUM : _BINS - _CEPSTRUM + 1] = 0.0
    envelope = np.exp(gaussian_filter1d(rfft(cepstrum, axis=1).real, 2.0, axis=0))
    carrier = analyse(_excitation(speech, seed), _BINS, STEP, _WINDOW)
    return _match(synthesise(carrier * envelope, len(speech.sound), STEP, _WINDOW), speech.sound, seed)


def mel_vocoder(speech: Speech, seed: list[int]) -> Array:
    """Mel vocoder: coarse mel bands, over-smoothed in time and quantised, inverted from a guessed phase (Griffin-Lim).

    Leaves blurred onsets, steps of level, and harmonics where breath should be, with phases that do not quite fit.
    """
    count, step, window, bins = len(speech.sound), 160, 640, 1024
    bands = mel_bands(bins, _MELS)
    spectra = analyse(speech.sound, bins, step, window)
    mel = np.log(np.abs(spectra) @ bands.T + 1e-4)
    mel = np.round(gaussian_filter1d(mel, 1.2, axis=0) / _LEVELS) * _LEVELS
    envelope = np.exp(mel) @ (bands / np.maximum(bands.sum(axis=0), 1e-6))
    sound = _excitation(speech, seed)
    carrier = analyse(sound, bins, step, window)
    # The bands lose the harmonics; the excitation brings them back, all the way up.
    loudness = np.sqrt(np.mean(np.abs(carrier) ** 2, axis=1, keepdims=True)) + 1e-6
    magnitude = envelope * np.abs(carrier) / loudness
    for _ in range(_ROUNDS):
        guess = analyse(sound, bins, step, window)
        sound = synthesise(magnitude * guess / np.maximum(np.abs(guess), 1e-6), count, step, window)
    return _match(sound, speech.sound, seed)


def flattened(pitch: Array) -> Array:
    """Pitch as both vocoders give it: less lively."""
    return np.asarray(0.6 * pitch + 0.4 * pitch.mean())


def _excitation(speech: Speech, seed: list[int]) -> Array:
    """Pulses at a flattened pitch where voiced, noise elsewhere (S,).

    A small share of noise, drawn per recording, is what the vocoder learnt of the breath above 3 kHz.
    """
    random = np.random.default_rng(seed)
    share = random.uniform(0.0, _BREATH)
    clock = np.arange(len(speech.sound)) / STEP
    steps = np.arange(len(speech.pitch))
    flat = np.interp(clock, steps, flattened(speech.pitch))
    pulses = np.diff(np.floor(np.cumsum(flat) / RATE), prepend=0.0) * np.sqrt(RATE / flat)
    voiced = np.interp(clock, steps, gaussian_filter1d((speech.voicing > 0.12).astype(float), 1.0))
    noise = random.standard_normal(len(clock))
    change = (np.sqrt(1.0 - share) - 1.0) * pulses + np.sqrt(share) * noise
    breathy = pulses + sosfilt(butter(2, 3000.0, "high", fs=RATE, output="sos"), change)
    return np.asarray(breathy * voiced + noise * (1.0 - voiced), np.float32)


def mel_bands(bins: int, mels: int) -> Array:
    """Triangular bands (mels, bins // 2 + 1), unit sum each."""
    top = 2595.0 * np.log10(1.0 + RATE / 2 / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, mels + 2) / 2595.0) - 1.0)
    hertz = frequencies(bins)[None]
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bands = np.maximum(0.0, np.minimum((hertz - low) / (mid - low), (high - hertz) / (high - mid)))
    return np.asarray(bands / np.maximum(bands.sum(axis=1, keepdims=True), 1e-6), np.float32)


def _match(sound: Array, like: Array, seed: list[int]) -> Array:
    """Give a sound the long-term spectrum and level of another, duller at high frequencies.

    Generators trained on mean errors say too little where speech is noisy. Plain pulses would stand out as peaks:
    higher frequencies come up to 2 ms later, somewhat as in a real glottis.
    """
    hertz = frequencies(_BINS)
    spectra = analyse(sound, _BINS, STEP, _WINDOW)
    power = [np.mean(np.abs(s) ** 2, axis=0) for s in (analyse(like, _BINS, STEP, _WINDOW), spectra)]
    wanted, given = (gaussian_filter1d(p, 6.0) + 1e-9 for p in power)
    lost = np.random.default_rng([*seed, 1]).uniform(*_DULL) / (1.0 + np.exp((_DULL_FROM - hertz) / _DULL_SLOPE))
    turn = 10.0 ** (-lost / 20.0) * np.exp(-1j * np.pi * 0.004 * hertz**2 / RATE)
    shaped = synthesise(spectra * (turn * np.sqrt(wanted / given)), len(sound), STEP, _WINDOW)
    level = np.sqrt((np.mean(like**2) + 1e-12) / (np.mean(shaped**2) + 1e-12))
    return np.asarray(level * shaped, np.float32)
