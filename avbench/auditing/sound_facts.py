"""How the sound of a file sounds, in a few numbers: silence, loudness, and the level of sixteen bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from avbench.data.silence import LOUD, RATE, first_loud
from avbench.media.frames import picture_stream, start_of
from avbench.media.sound import Sound, read_sound, sound_stream

if TYPE_CHECKING:
    from av.container import InputContainer

SECONDS = 60  # of sound that are listened to
BANDS = 16  # of equal width up to 8 kHz
BAND_NAMES = tuple(f"band_{k:02d}" for k in range(BANDS))
_FRAME = 320  # samples, 20 ms: silent where none of them is loud
_WINDOW = 1024  # samples of a spectrum
_FLOOR = 1e-12


def sound_facts(container: InputContainer) -> dict[str, Any]:
    """Return numbers of the first minute of sound at 16 kHz; nothing without sound. The container must be fresh.

    leading_silence and trailing_silence in seconds (the latter only where the end was heard), silence_fraction of 20 ms
    frames, loudness in dB of full scale, band_00 to band_15 in dB of the whole.
    """
    stream = sound_stream(container)
    if stream is None:
        return {}
    zero = start_of(picture_stream(container) or stream)
    sound, valid = read_sound(container, stream, zero, 0, SECONDS * RATE, RATE)
    if not valid:
        return {}
    heard = sound[:valid]
    first = first_loud(heard)
    facts: dict[str, Any] = {
        "leading_silence": (valid if first is None else first) / RATE,
        "silence_fraction": _silence_fraction(heard),
        "silent": first is None,
    }
    if valid < len(sound):
        last = first_loud(heard[::-1])
        facts["trailing_silence"] = (valid if last is None else last) / RATE
    if first is not None:
        facts["loudness"] = 10 * float(np.log10(np.mean(np.square(heard, dtype=np.float64)) + _FLOOR))
        facts |= dict(zip(BAND_NAMES, map(float, _bands(heard)), strict=True))
    return facts


def _silence_fraction(sound: Sound) -> float:
    frames = sound[: len(sound) // _FRAME * _FRAME].reshape(-1, _FRAME) if len(sound) >= _FRAME else sound[None]
    return float((np.abs(frames).max(axis=1) <= LOUD).mean())


def _bands(sound: Sound) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the mean power of each band in dB of that of all bands together."""
    padded = np.pad(sound, (0, max(0, _WINDOW - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[:: _WINDOW // 2]
    power = np.zeros(_WINDOW // 2)
    for some in np.array_split(frames, max(1, len(frames) // 256)):
        spectrum = np.fft.rfft(some * np.hanning(_WINDOW), axis=1)[:, : _WINDOW // 2]
        power += np.square(np.abs(spectrum)).sum(axis=0)
    bands = power.reshape(BANDS, -1).sum(axis=1)
    return np.asarray(10 * np.log10(bands / max(bands.sum(), _FLOOR) + 1e-9), np.float64)
