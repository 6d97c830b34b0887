"""Where and when a sound is heard: a synthetic room, and sound that is early or late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import fftconvolve

from avbench.types import Context

if TYPE_CHECKING:
    from avbench.media.sound import Sound

FIRST_REFLECTION = 0.0025  # seconds after the direct sound
DIRECT_TO_REVERBERANT = 0.0  # dB


def room(seconds: float, rate: int, random: np.random.Generator) -> np.ndarray:
    """Return an impulse response: the direct sound at once, then noise that has fallen by 60 dB after `seconds`.

    The noise as a whole is as strong as the direct sound.
    """
    time = np.arange(round(seconds * rate)) / rate
    tail = random.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    tail[: round(FIRST_REFLECTION * rate)] = 0
    response = tail * (10 ** (-DIRECT_TO_REVERBERANT / 10) / np.sum(tail**2)) ** 0.5
    response[0] = 1
    return response


def reverberation(sound: Sound, seconds: float, context: Context) -> Sound:
    """Hear the sound in a drawn room of that reverberation time (RT60), as loud as before and not later."""
    heard = fftconvolve(sound, room(seconds, context.rate, context.random))[: len(sound)]
    power = np.mean(heard**2)
    level = (np.mean(sound.astype(np.float64) ** 2) / power) ** 0.5 if power else 1.0
    return np.asarray(heard * level, np.float32)


def desync(sound: Sound, milliseconds: float, context: Context) -> Sound:
    """Move the sound against the pictures, early or late by a draw.

    What leaves at one end comes back at the other, so that no silence gives the shift away.
    """
    steps = round(milliseconds / 1000 * context.rate)
    return np.roll(sound, steps if context.random.integers(2) else -steps)
