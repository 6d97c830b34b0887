"""The canvas on which a portrait is painted, and how one database paints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avbench_demo.person import SIZE, Colour

Array = NDArray[Any]  # float32


@dataclass(frozen=True, slots=True)
class Studio:
    """How one database paints: light, shading, background, sharpness of the lens."""

    ambient: float
    wrap: float  # 0 Lambert, 1 light that reaches round corners
    shine: float
    warmth: float  # colour temperature of the light, -1 cold to 1 warm
    curtain: bool  # background of folds, else of soft shapes
    lens: float  # blur in pixels
    texture: float  # contrast of skin


class Canvas:
    """A picture under painting with pixel coordinates X, Y of the 224 px portrait."""

    def __init__(self, random: np.random.Generator) -> None:
        axis = np.arange(SIZE, dtype=np.float32)
        self.x, self.y = axis[None, :], axis[:, None]
        self.picture: Array = np.zeros((SIZE, SIZE, 3), np.float32)
        self.random = random

    def paint(self, mask: Array, colour: Colour | Array) -> None:
        """Lay a colour, or a picture, over the canvas where the mask is 1."""
        part = touched(mask)
        layer = np.asarray(colour, np.float32)
        layer = layer[part] if layer.ndim == 3 else layer
        self.picture[part] += mask[part][..., None] * (layer - self.picture[part])

    def grain(self, horizontal: float, vertical: float) -> Array:
        """Smooth noise of unit deviation; blur in portrait pixels."""
        noise = self.random.standard_normal((SIZE, SIZE), dtype=np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), horizontal, sigmaY=vertical)
        result: Array = noise / noise.std()
        return result

    def bump(self, x: float, y: float, wide: float, high: float) -> Array:
        """A Gaussian hill of height 1."""
        result: Array = np.exp(-0.5 * ((self.x - x) / wide) ** 2) * np.exp(-0.5 * ((self.y - y) / high) ** 2)
        return result


def step(distance: Array, soft: float) -> Array:
    """1 where distance (pixels inside an edge) is positive, 0 outside, smooth over `soft` pixels."""
    part = np.clip(distance / soft + 0.5, 0.0, 1.0)
    result: Array = part * part * (3.0 - 2.0 * part)
    return result


def touched(mask: Array) -> tuple[slice, slice]:
    """Rows and columns outside which a mask is as good as 0."""
    rows, columns = (np.flatnonzero(mask.max(axis=axis) > 0.005) for axis in (1, 0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
