"""The manipulations: a word put into a sound, lips re-made for another sound, a face exchanged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from avbench_demo.canvas import touched
from avbench_demo.faces import head_matrix
from avbench_demo.performance import Performance, half_open, with_mouth
from avbench_demo.person import CENTRE_X, SIZE
from avbench_demo.spectra import RATE

Array = NDArray[Any]  # float32
Frames = NDArray[Any]  # uint8
_MARGIN = 14  # pixels that a head may carry a patch away from its place in the portrait


@dataclass(frozen=True, slots=True)
class Seam:
    """What a generator leaves behind: its resolution, and how its patch sits in the frame."""

    resolution: float = 1.0  # of the generated patch against the picture
    contrast: float = 1.0  # what is left of the picture's: generators trained on mean errors are pale
    tint: float = 0.0  # constant colour error, grey levels
    jitter: float = 0.0  # placement error from frame to frame, pixels
    flicker: float = 0.0  # brightness error from frame to frame, share

    def at(self, strength: float) -> Seam:
        """Return a seam of this kind that shows from 0, not at all, to 1, as here."""
        return Seam(
            resolution=1.0 - strength * (1.0 - self.resolution),
            contrast=1.0 - strength * (1.0 - self.contrast),
            tint=strength * self.tint,
            jitter=strength * self.jitter,
            flicker=strength * self.flicker,
        )


def splice(sound: Array, word: Array, start: float, end: float) -> Array:
    """Put the part of `word` from start to end (s) in the place of the same part of `sound`, 20 ms cross-fades."""
    fade = round(0.02 * RATE)
    first, last = round(start * RATE), round(end * RATE)
    weight = np.zeros(len(sound), np.float32)
    weight[first:last] = 1.0
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)).astype(np.float32)
    weight[first : first + fade] = ramp
    weight[last - fade : last] = ramp[::-1]
    old, new = sound[first:last], word[first:last]
    level = np.sqrt((np.mean(old**2) + 1e-12) / (np.mean(new**2) + 1e-12))
    return np.asarray(sound + weight * (level * word - sound), np.float32)


def oval_mask(centre_y: float, half_width: float, half_height: float, feather: float) -> Array:
    """Soft oval in portrait coordinates."""
    x, y = np.arange(SIZE, dtype=np.float32)[None], np.arange(SIZE, dtype=np.float32)[:, None]
    distance = np.sqrt(((x - CENTRE_X) / half_width) ** 2 + ((y - centre_y) / half_height) ** 2)
    return np.clip((1.0 - distance) * min(half_width, half_height) / feather + 0.5, 0.0, 1.0)


def box_mask(top: float, bottom: float, half_width: float, feather: float) -> Array:
    """Soft rectangle in portrait coordinates."""
    x, y = np.arange(SIZE, dtype=np.float32)[None], np.arange(SIZE, dtype=np.float32)[:, None]
    inside = np.minimum(half_width - abs(x - CENTRE_X), np.minimum(y - top, bottom - y))
    return np.asarray(np.clip(inside / feather + 0.5, 0.0, 1.0))


def paste(
    frames: Frames, patch: Frames, heads: Array, mask: Array, seam: Seam, seed: list[int], *, membrane: bool
) -> Frames:
    """Put generated pictures into frames where the mask, carried along by the head, says so.

    frames, patch (T, 224, 224, 3), heads (T,4) as in Performance, mask in portrait coordinates. With a membrane the
    patch takes on the slow colours of the frame around it, as face swapping does.
    """
    random = np.random.default_rng(seed)
    count = len(frames)
    tint = random.choice([-1.0, 1.0]) * seam.tint * random.uniform(0.6, 1.4, 3)
    jitter = seam.jitter * gaussian_filter1d(random.standard_normal((count, 2)), 0.6, axis=0) * 1.4
    flicker = 1.0 + seam.flicker * random.standard_normal(count)
    result = frames.copy()
    rows, columns = touched(mask)
    top, left = max(rows.start - _MARGIN, 0), max(columns.start - _MARGIN, 0)
    box = np.s_[top : rows.stop + _MARGIN, left : columns.stop + _MARGIN]
    high, wide = result[0][box].shape[:2]
    small = (round(wide * seam.resolution), round(high * seam.resolution))
    scale = np.array([wide / small[0], high / small[1]])
    for number in range(count):
        below = np.ascontiguousarray(frames[number][box])
        coarse = cv2.resize(patch[number][box], small, interpolation=cv2.INTER_AREA).astype(np.float32)
        middle = coarse.mean(axis=(0, 1))
        coarse = middle + np.float32(seam.contrast) * (coarse - middle)
        if membrane:
            coarse += _slow_difference(below, coarse, small)
        coarse = np.clip(coarse * flicker[number] + tint, 0.0, 255.0).round().astype(np.uint8)
        carry = head_matrix(heads[number])
        carry[:, 2] += jitter[number] - (left, top)
        weight = cv2.warpAffine(mask, carry, (wide, high))
        grow = np.column_stack([np.diag(scale), jitter[number] + (scale - 1.0) / 2])  # pixel centres meet
        fake = cv2.warpAffine(coarse, grow, (wide, high), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        result[number][box] = cv2.blendLinear(fake, below, weight, 1.0 - weight)
    return result


def _slow_difference(below: Frames, coarse: Array, small: tuple[int, int]) -> Array:
    """Slowly varying colour difference between frame and patch, at the patch's size."""
    grid = (6, 7)
    reduced = cv2.resize(below, grid, interpolation=cv2.INTER_AREA).astype(np.float32)
    difference = reduced - cv2.resize(coarse, grid, interpolation=cv2.INTER_AREA)
    result: Array = cv2.resize(0.9 * difference, small, interpolation=cv2.INTER_CUBIC)
    return result


def reenact(performance: Performance, lag: int, blur: float, mumbled: float) -> Performance:
    """The same face moved by a generator: expressions late by some frames, smoothed, and weakened above the mouth.

    mumbled: as of performance.mouth.
    """
    au = performance.au.copy()
    au[:, :6] = gaussian_filter1d(np.roll(au[:, :6], 5 * lag, axis=0), 4.0 * blur, axis=0) * 0.7
    au[:, 6:] = gaussian_filter1d(np.roll(au[:, 6:], lag, axis=0), blur, axis=0)
    rounding = gaussian_filter1d(np.roll(performance.rounding, lag), blur)
    lips = np.concatenate([au[:, 6:], rounding[:, None]], axis=1)
    return with_mouth(replace(performance, au=au), half_open(lips, mumbled))
