"""What is left of a sound's spectrum: low-pass, and a lower sampling rate."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal import resample_poly

from avbench.types import Context

if TYPE_CHECKING:
    from avbench.media.sound import Sound

ORDER = 6  # of the Butterworth filter, as in AVROBUSTBENCH (arXiv 2506.00358)


def low_pass(sound: Sound, cutoff: float, context: Context) -> Sound:
    """Filter with the magnitude of a 6th-order Butterworth low-pass, -3 dB at `cutoff` Hz.

    Departure: without phase, so that nothing is heard later; and defined beyond the Nyquist frequency.
    """
    length = next_fast_len(len(sound) + context.rate // 10, real=True)
    gain = 1 / np.sqrt(1 + (rfftfreq(length, 1 / context.rate) / cutoff) ** (2 * ORDER))
    filtered = irfft(rfft(sound.astype(np.float64), length) * gain, length)
    return np.asarray(filtered[: len(sound)], np.float32)


def resample_and_back(sound: Sound, rate: float, context: Context) -> Sound:
    """Keep what a lower sampling rate can hold; a sound that is sampled no faster stays as it is."""
    low = round(rate)
    if low >= context.rate:
        return sound
    shared = gcd(low, context.rate)
    up, down = context.rate // shared, low // shared
    back = resample_poly(resample_poly(sound.astype(np.float64), down, up), up, down)
    return np.asarray(back[: len(sound)], np.float32)
