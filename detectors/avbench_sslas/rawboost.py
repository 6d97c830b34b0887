"""RawBoost: noise of channels and devices, added to raw speech in training.

Paper: H. Tak et al., "RawBoost: a raw data boosting and augmentation method applied to automatic speaker verification
anti-spoofing", ICASSP 2022, arXiv 2111.04433. Source: TakHemlata/SSL_Anti-spoofing (MIT). Letters: S samples, J taps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, freqz, oaconvolve

Wave = NDArray[np.float64]
Random = np.random.Generator

ALGORITHMS = range(9)  # 0: none


@dataclass(frozen=True, slots=True)
class Boost:
    """Parameters, as published: ranges of random draws; Hz, taps, decibels, per cent."""

    rate: int = 16_000
    bands: int = 5
    centre: tuple[float, float] = (20.0, 8000.0)
    width: tuple[float, float] = (100.0, 1000.0)
    taps: tuple[int, int] = (10, 100)
    gain: tuple[float, float] = (0.0, 0.0)
    bias: tuple[float, float] = (5.0, 20.0)  # by which powers of the wave are weaker than itself
    powers: int = 5
    share: float = 10.0  # of samples that impulses meet, at most
    impulse: float = 2.0
    snr: tuple[float, float] = (10.0, 40.0)


BOOST = Boost()


def rawboost(wave_S: Wave, algorithm: int, random: Random, boost: Boost = BOOST) -> Wave:
    """Return a boosted copy of a wave in [-1,1] by one of the eight published algorithms; 0 changes nothing.

    1 convolutive, 2 impulsive, 3 stationary noise; 4 all three in series, 5 = 1 + 2, 6 = 1 + 3, 7 = 2 + 3 in series;
    8 the sum of 1 and 2, each of the wave itself.
    """
    if algorithm == 8:
        return peak_limited(convolutive(wave_S, random, boost) + impulsive(wave_S, random, boost))
    series = {0: "", 1: "L", 2: "I", 3: "S", 4: "LIS", 5: "LI", 6: "LS", 7: "IS"}[algorithm]
    step = {"L": convolutive, "I": impulsive, "S": stationary}
    for letter in series:
        wave_S = step[letter](wave_S, random, boost)
    return wave_S


def convolutive(wave_S: Wave, random: Random, boost: Boost = BOOST) -> Wave:
    """Sum powers of the wave, each through its own notch filter (linear and non-linear convolutive noise)."""
    total_S = np.zeros_like(wave_S)
    for power in range(1, boost.powers + 1):
        weaker = boost.bias if power > 1 else (0.0, 0.0)
        gain = (boost.gain[0] - weaker[0], boost.gain[1] - weaker[1])
        total_S = total_S + filtered(wave_S**power, notch_filter(random, boost, gain))
    return peak_limited(total_S - total_S.mean())


def impulsive(wave_S: Wave, random: Random, boost: Boost = BOOST) -> Wave:
    """Change a random share of the samples in proportion to themselves (impulsive signal-dependent noise)."""
    count = int(len(wave_S) * random.uniform(0, boost.share) / 100)
    chosen = random.permutation(len(wave_S))[:count]
    factor = random.uniform(-1, 1, count) * random.uniform(-1, 1, count)
    changed_S = wave_S.copy()
    changed_S[chosen] += boost.impulse * wave_S[chosen] * factor
    return peak_limited(changed_S)


def stationary(wave_S: Wave, random: Random, boost: Boost = BOOST) -> Wave:
    """Add white noise through a notch filter at a random ratio of energies (stationary signal-independent noise)."""
    noise_S = filtered(random.standard_normal(len(wave_S)), notch_filter(random, boost, boost.gain))
    decibels = random.uniform(*boost.snr)
    loudness = np.linalg.norm(noise_S)
    return np.asarray(wave_S + noise_S / (loudness or 1.0) * np.linalg.norm(wave_S) / 10 ** (0.05 * decibels))


def notch_filter(random: Random, boost: Boost, gain: tuple[float, float]) -> Wave:
    """Draw a filter (J,) that stops some bands; its strongest response is a gain drawn in decibels."""
    taps_J = np.ones(1)
    for _ in range(boost.bands):
        centre, width = random.uniform(*boost.centre), random.uniform(*boost.width)
        count = int(random.uniform(*boost.taps))
        low = max(centre - width / 2, 0.001)
        high = min(centre + width / 2, boost.rate / 2 - 0.001)
        band = firwin(count + 1 - count % 2, [low, high], window="hamming", fs=boost.rate)
        taps_J = np.convolve(band, taps_J)
    response = np.abs(freqz(taps_J, 1, fs=boost.rate)[1]).max()
    decibels = random.uniform(min(gain), max(gain))
    return np.asarray(10 ** (decibels / 20) * taps_J / response)


def filtered(wave_S: Wave, taps_J: Wave) -> Wave:
    """Filter a wave and put it back to its place: half of J + 1 samples, rounded down, are cut off its beginning."""
    first = (len(taps_J) + 1) // 2
    longer = oaconvolve(np.pad(wave_S, (0, 1)), taps_J)
    return np.asarray(longer[first : first + len(wave_S)])


def peak_limited(wave_S: Wave) -> Wave:
    """Scale a wave that leaves [-1,1] back into it."""
    peak = np.abs(wave_S).max(initial=0.0)
    return wave_S / peak if peak > 1 else wave_S
