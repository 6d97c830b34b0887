"""What is added to a sound, and what becomes of one that is too loud. Sounds are (S,) float32 in [-1,1]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from avbench.types import Context

if TYPE_CHECKING:
    from avbench.media.sound import Sound


def white_noise(sound: Sound, snr: float, context: Context) -> Sound:
    """Add Gaussian noise, `snr` dB below the mean power of the whole sound."""
    return _mixed(sound, context.random.standard_normal(len(sound)), snr)


def babble(sound: Sound, snr: float, context: Context) -> Sound:
    """Add other people's speech, equally loud voices, `snr` dB below the mean power of the whole sound.

    Each voice begins at a drawn place and is repeated as often as is needed.
    """
    voices = [voice for voice in context.voices if _power(voice) > 0]
    if not voices:
        raise ValueError("babble needs other voices, and none of those drawn can be heard")
    crowd = np.zeros(len(sound))
    for voice in voices:
        from_there_on = np.roll(voice, -int(context.random.integers(len(voice))))
        crowd += np.resize(from_there_on, len(sound)) / _power(voice) ** 0.5
    return _mixed(sound, crowd, snr)


def clipping_gain(sound: Sound, gain: float, context: Context) -> Sound:
    """Amplify by `gain` dB and clip at full scale."""
    return np.asarray(np.clip(sound * 10 ** (gain / 20), -1, 1), np.float32)


def _mixed(sound: Sound, noise: np.ndarray, snr: float) -> Sound:
    wanted = _power(sound) / 10 ** (snr / 10)
    own = _power(noise)
    return (sound + noise * (wanted / own) ** 0.5).astype(np.float32) if own else sound


def _power(sound: np.ndarray) -> float:
    return float(np.mean(np.square(sound, dtype=np.float64))) if len(sound) else 0.0
