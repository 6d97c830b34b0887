"""A source-filter synthesiser: a timed sentence and a voice become sound with a known pitch curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from avbench_demo.phonemes import PHONEMES, Sentence
from avbench_demo.spectra import RATE, analyse, frequencies, synthesise

STEP = 80  # samples from one parameter frame to the next (5 ms)
_WINDOW, _BINS = 320, 512
_NEUTRAL = np.array([470.0, 1450.0, 2450.0], np.float32)  # Hz, formants of the tongue at rest
Array = NDArray[Any]  # float32


@dataclass(frozen=True, slots=True)
class Voice:
    """How somebody sounds: pitch in Hz, vocal-tract scale, share of breath, spectral tilt of the glottis, speed."""

    pitch: float
    tract: float
    breath: float
    open_quotient: float
    liveliness: float
    pace: float


@dataclass(frozen=True, slots=True)
class Speech:
    """Clean sound (S,) beside its pitch in Hz, voicing 0-1 and pitch accent, each (S / STEP + 1,)."""

    sound: Array
    pitch: Array
    voicing: Array
    accent: Array


def draw_voice(random: np.random.Generator, woman: bool) -> Voice:
    """Draw a voice."""
    return Voice(
        pitch=random.uniform(165, 235) if woman else random.uniform(92, 140),
        tract=random.uniform(1.08, 1.2) if woman else random.uniform(0.93, 1.05),
        breath=random.uniform(0.75, 1.25),
        open_quotient=random.uniform(0.55, 0.75),
        liveliness=random.uniform(0.7, 1.3),
        pace=random.uniform(1.0, 1.2),
    )


def speak(sentence: Sentence, voice: Voice, seed: list[int], mumbled: float = 0.0) -> Speech:
    """Synthesise a sentence at 16 kHz; the same seed gives the same noise and intonation whatever is said.

    mumbled: from 0, as people articulate, to 1, every sound coloured alike, as models that learn means do.
    """
    random = np.random.default_rng(seed)
    count = round(sentence.seconds * RATE)
    frames = count // STEP + 1
    formants, voicing, noise, centre, width = _targets(sentence, frames)
    accent = _accent(sentence, voice, frames, random)
    pitch = _pitch(voice, accent, frames, random)
    formants += np.float32(mumbled) * (_NEUTRAL - formants)

    glottis, openness = _glottis(pitch, voicing, voice, count, random)
    hiss = random.standard_normal(count, dtype=np.float32)
    tract = _tract(formants * voice.tract)
    pulses = analyse(glottis, _BINS, STEP, _WINDOW)
    breath = analyse(hiss * openness, _BINS, STEP, _WINDOW)
    friction = analyse(hiss, _BINS, STEP, _WINDOW)

    hertz = frequencies(_BINS)
    # Natural voices are periodic below some 3 to 4 kHz and noisy above: what vocoders find hard to keep.
    periodic = 1.0 / (1.0 + (hertz / 3200.0) ** 6)
    noisy = (0.03 + 0.5 / (1.0 + (2800.0 / np.maximum(hertz, 1.0)) ** 4)) * voice.breath
    band = np.exp(-0.5 * ((hertz[None] - centre[:, None]) / (0.6 * width[:, None])) ** 2)
    spectrum = tract * (pulses * periodic + breath * (noisy * voicing[:, None]))
    spectrum += friction * (0.09 * noise[:, None] * band)
    return Speech(synthesise(spectrum, count, STEP, _WINDOW), pitch, voicing, accent)


def _targets(sentence: Sentence, frames: int) -> tuple[Array, Array, Array, Array, Array]:
    """Formants (F,3), voicing, noise level, noise centre and width (F,), smoothed as a vocal tract would."""
    clock = np.arange(frames) * STEP / RATE
    ends = np.array([end for _, end in sentence.phoneme_times])
    index = np.minimum(np.searchsorted(ends, clock, side="right"), len(ends) - 1)
    spoken = [PHONEMES[name] for name in sentence.phonemes]
    starts = np.array([start for start, _ in sentence.phoneme_times])
    part = (clock - starts[index]) / np.maximum(ends[index] - starts[index], 1e-6)
    closed = np.array([p.stop for p in spoken])[index] & (part < 0.6)
    formants = np.array([p.formants for p in spoken], np.float32)[index]
    voicing = np.array([p.voice for p in spoken], np.float32)[index]
    noise = np.array([p.noise for p in spoken], np.float32)[index] * ~closed
    bands = np.array([p.band for p in spoken], np.float32)[index]
    return (
        gaussian_filter1d(formants, 5.0, axis=0),
        gaussian_filter1d(voicing, 2.0),
        gaussian_filter1d(noise, 1.2),
        gaussian_filter1d(bands[:, 0], 1.5),
        gaussian_filter1d(bands[:, 1], 1.5),
    )


def _accent(sentence: Sentence, voice: Voice, frames: int, random: np.random.Generator) -> Array:
    """Stress: a bump of 0-1 on some words; eyebrows follow it too."""
    clock = np.arange(frames) * STEP / RATE
    accent = np.zeros(frames)
    for start, end in sentence.word_times:
        height = random.uniform(0.5, 1.0) if random.random() < 0.45 else random.uniform(0.0, 0.15)
        accent += height * np.exp(-0.5 * ((clock - (start + end) / 2) / 0.13) ** 2)
    return (accent * voice.liveliness).astype(np.float32)


def _pitch(voice: Voice, accent: Array, frames: int, random: np.random.Generator) -> Array:
    """Pitch in Hz: declination, accents, a slow drift."""
    decline = np.linspace(1.06, 0.9, frames)
    drift = gaussian_filter1d(random.standard_normal(frames), 30.0) * 0.25
    return np.asarray(voice.pitch * decline * (1.0 + 0.3 * accent + drift), np.float32)


def _glottis(
    pitch: Array, voicing: Array, voice: Voice, count: int, random: np.random.Generator
) -> tuple[Array, Array]:
    """Differentiated glottal flow with jitter and shimmer (S,), and how far the glottis is open, 0.4-1 (S,)."""
    clock = np.arange(count) / STEP
    steps = np.arange(len(pitch))
    jitter = gaussian_filter1d(random.standard_normal(len(pitch)), 1.0) * 0.03
    shimmer = 1.0 + gaussian_filter1d(random.standard_normal(len(pitch)), 1.0) * 0.3
    phase = np.cumsum(np.interp(clock, steps, pitch * (1.0 + jitter))) / RATE
    position = (phase % 1.0).astype(np.float32)
    relative = position / np.float32(voice.open_quotient)
    opened = relative < 1.0
    flow = np.where(opened, 2.0 * relative - 3.0 * relative**2, 0.0)
    strength = np.interp(clock, steps, voicing * shimmer)
    openness = np.where(opened, 1.0, 0.4)
    return (flow * strength).astype(np.float32), openness.astype(np.float32)


def _tract(formants: Array) -> NDArray[np.complex64]:
    """Response (F, bins) of five resonators in a row; formants (F,3) in Hz."""
    fixed = np.broadcast_to(np.array([3500.0, 4500.0], np.float32), (len(formants), 2))
    centres = np.concatenate([formants, fixed * formants[:, 2:] / 2500.0], axis=1)
    centres = np.minimum(centres, 0.47 * RATE)
    radius = np.exp(-np.pi * np.array([70.0, 90.0, 140.0, 220.0, 300.0], np.float32) / RATE)
    delay = np.exp(-2j * np.pi * frequencies(_BINS) / RATE).astype(np.complex64)
    response = np.ones((len(formants), len(delay)), np.complex64)
    for number in range(5):
        cosine = (2.0 * radius[number] * np.cos(2 * np.pi * centres[:, number] / RATE)).astype(np.float32)
        square = np.float32(radius[number] ** 2)
        response *= (1.0 - cosine + square)[:, None] / (1.0 - cosine[:, None] * delay + square * delay**2)
    return response
