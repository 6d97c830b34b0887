"""How strongly a clip was changed: noise in its pictures and in its sound."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log10

import cv2
import numpy as np

from avbench.media.frames import Picture
from avbench.media.sound import Sound

LOUDNESS_ALONE = 200.0  # dB, where nothing but the loudness of a sound changed


def psnr(pictures: Sequence[Picture], changed: Sequence[Picture]) -> float:
    """Return the peak signal-to-noise ratio of changed pictures in dB; infinity where nothing changed."""
    error = float(np.mean([_squared_error(*pair) for pair in zip(pictures, changed, strict=True)]))
    return 10 * log10(255**2 / error) if error else inf


def _squared_error(picture: Picture, changed: Picture) -> float:
    left, right = np.ascontiguousarray(picture), np.ascontiguousarray(changed)
    return float(cv2.norm(left, right, cv2.NORM_L2SQR)) / picture.size


def snr(sound: Sound, changed: Sound) -> float:
    """Return the power of what the changed sound has of the original one, over that of the rest, in dB."""
    if np.array_equal(sound, changed):
        return inf
    x, y = sound.astype(np.float64), changed.astype(np.float64)
    kept = x * (x @ y / (x @ x)) if x @ x else x
    rest = float(np.sum((y - kept) ** 2))
    own = float(np.sum(kept**2))
    if not rest:
        return LOUDNESS_ALONE
    return 10 * log10(own / rest) if own else -inf
