"""How a face moves while it speaks: action-unit curves, lips, blinks, gaze and head, one value a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from avbench_demo.phonemes import PHONEMES, Sentence

FPS = 25
AU_NAMES = ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26")
Array = NDArray[Any]  # float32

_HALF_OPEN = (2.0, 1.3, 0.2)  # AU25, AU26 and rounding of a mouth at rest in speech


@dataclass(frozen=True, slots=True)
class Performance:
    """Curves of T frames: au (T,8) intensity 0-5; rounding, blink (T,) 0-1; gaze (T,2) px; head (T,4); light (T,) gain.

    The head columns are shift x and y in pixels, turn in degrees, and scale.
    """

    au: Array
    rounding: Array
    blink: Array
    gaze: Array
    head: Array
    light: Array


def frame_count(seconds: float) -> int:
    """Number of frames of a video this long."""
    return round(seconds * FPS)


def mouth(sentence: Sentence, strength: float = 1.0, lag: float = 0.0, mumbled: float = 0.0) -> Array:
    """Lips that say a sentence: (T,3) of AU25, AU26 (0-5) and rounding (0-1).

    Targets of neighbouring phonemes mix, weighted by how firmly each must be reached (coarticulation); strength scales
    the movement, lag delays it (s), and mumbled lips move less, see `half_open`.
    """
    rate = 200
    clock = (np.arange(round(sentence.seconds * rate)) + 0.5) / rate
    ends = np.array([end for _, end in sentence.phoneme_times])
    index = np.minimum(np.searchsorted(ends, clock - lag + 0.03), len(ends) - 1)  # lips run 30 ms ahead of the sound
    spoken = [PHONEMES[name] for name in sentence.phonemes]
    targets = np.array([(p.part, p.jaw, p.rounding) for p in spoken])[index]
    firmness = np.array([p.firmness for p in spoken])[index][:, None]
    width = 0.035 * rate
    mixed = gaussian_filter1d(targets * firmness, width, axis=0) / gaussian_filter1d(firmness, width, axis=0)
    places = (np.arange(frame_count(sentence.seconds)) + 0.5) / FPS
    curves = np.stack([np.interp(places, clock, mixed[:, k]) for k in range(3)], axis=1)
    curves = half_open(curves, mumbled)
    curves[:, :2] *= strength
    return np.asarray(np.clip(curves, 0.0, (5.0, 5.0, 1.0)), np.float32)


def half_open(lips: Array, mumbled: float) -> Array:
    """Lips (T,3) that move less about a mouth half open: from 0, as they are, to 1, not at all."""
    return np.asarray(lips + np.float32(mumbled) * (np.array(_HALF_OPEN, np.float32) - lips), np.float32)


def perform(
    sentence: Sentence, accent: Array, seed: list[int], expressive: float = 1.0, mumbled: float = 0.0
) -> Performance:
    """Move a face to a sentence; accent is the pitch accent at 200 Hz, which brows and nods follow loosely."""
    random = np.random.default_rng(seed)
    count = frame_count(sentence.seconds)
    clock = (np.arange(count) + 0.5) / FPS
    stress = np.interp(clock, np.arange(len(accent)) / 200.0, gaussian_filter1d(accent, 12.0))
    lips = mouth(sentence, random.uniform(0.85, 1.15), mumbled=mumbled)
    smile = _episode(random, clock, 1.2, 0.5)
    au = np.zeros((count, len(AU_NAMES)), np.float32)
    raising = random.uniform(1.8, 3.4) * expressive
    au[:, 0] = raising * stress + 0.5 * _drift(random, count, 12.0)
    au[:, 1] = 0.85 * raising * stress + 0.5 * _drift(random, count, 12.0)
    au[:, 2] = 3.0 * _episode(random, clock, 0.5, 0.5) + 0.3 * _drift(random, count, 12.0) - 0.3 * stress
    au[:, 3] = 2.5 * smile + 0.3 * _drift(random, count, 12.0)
    au[:, 4] = 3.0 * _episode(random, clock, 0.3, 0.3)
    au[:, 5] = 3.0 * smile + 0.4 * _drift(random, count, 12.0)
    au[:, 6:8] = lips[:, :2]
    head = np.stack(
        [
            4.0 * _drift(random, count, 14.0),
            3.0 * _drift(random, count, 14.0) + 2.0 * stress,
            2.2 * _drift(random, count, 16.0),
            1.0 + 0.015 * _drift(random, count, 18.0),
        ],
        axis=1,
    )
    return Performance(
        au=np.clip(au, 0.0, 5.0),
        rounding=lips[:, 2],
        blink=_blinks(random, clock),
        gaze=np.stack([_glances(random, clock, 1.6), _glances(random, clock, 0.6)], axis=1),
        head=head.astype(np.float32),
        light=(1.0 + 0.012 * _drift(random, count, 10.0)).astype(np.float32),
    )


def with_mouth(performance: Performance, lips: Array) -> Performance:
    """Give a performance other lips (T,3)."""
    au = performance.au.copy()
    au[:, 6:8] = lips[:, :2]
    return replace(performance, au=au, rounding=lips[:, 2])


def mouth_of(performance: Performance) -> Array:
    """The lips (T,3) of a performance, as `mouth` gives them."""
    return np.concatenate([performance.au[:, 6:8], performance.rounding[:, None]], axis=1)


def _drift(random: np.random.Generator, count: int, width: float) -> Array:
    """Slow random movement of about unit deviation."""
    noise = gaussian_filter1d(random.standard_normal(count + 200), width)[100 : 100 + count]
    return np.asarray(noise * np.sqrt(2.0 * width * np.sqrt(np.pi)), np.float32)


def _episode(random: np.random.Generator, clock: NDArray[np.float64], width: float, chance: float) -> Array:
    """One smooth rise and fall to 0-1 somewhere in the video, or none."""
    height = random.uniform(0.4, 1.0) if random.random() < chance else random.uniform(0.0, 0.1)
    centre = random.uniform(0.0, clock[-1])
    return np.asarray(height * np.exp(-0.5 * ((clock - centre) / (width * random.uniform(0.4, 0.8))) ** 2), np.float32)


def _blinks(random: np.random.Generator, clock: NDArray[np.float64]) -> Array:
    blink = np.zeros(len(clock), np.float32)
    moment = random.uniform(0.2, 2.5)
    while moment < clock[-1]:
        blink = np.maximum(blink, np.exp(-0.5 * ((clock - moment) / 0.055) ** 2).astype(np.float32))
        moment += random.uniform(1.2, 3.5)
    return blink


def _glances(random: np.random.Generator, clock: NDArray[np.float64], reach: float) -> Array:
    """Gaze that rests, then jumps."""
    gaze = np.zeros(len(clock), np.float32)
    moment = 0.0
    while moment < clock[-1]:
        gaze[clock >= moment] = random.uniform(-reach, reach) * random.integers(0, 2)
        moment += random.uniform(0.5, 1.8)
    return np.asarray(gaussian_filter1d(gaze, 0.6))
