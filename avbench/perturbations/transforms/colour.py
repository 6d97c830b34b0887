"""What happens to the colours of a picture: saturation, contrast, Gaussian noise.

Formulas of DeeperForensics-1.0 (github.com/EndlessSora/DeeperForensics-1.0, perturbation/distortions.py, MIT).
Pictures are (H,W,3) uint8 RGB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from avbench.types import Context

if TYPE_CHECKING:
    from avbench.media.frames import Picture

Floats = NDArray[np.float32]
RANGES = np.array([219, 224, 224], np.float32)  # of Y, Cb and Cr, out of 255


def to_ycbcr(picture: Picture) -> Floats:
    """Return Y, Cb, Cr (H,W,3) of a picture, in that code's scale: (Y 219 + 16) / 255, (C 224 + 16) / 255.

    Y, Cb and Cr come from values of 0 to 255 that are not divided first, so that a neutral C is 0.5 + 0.5/255.
    """
    ycrcb = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2YCrCb)
    ycbcr: Floats = (ycrcb[:, :, (0, 2, 1)] * RANGES + 16) / np.float32(255)
    return ycbcr


def from_ycbcr(ycbcr: Floats) -> Floats:
    """Return RGB values of 0 to 255, neither rounded nor bounded."""
    ycbcr = (ycbcr * np.float32(255) - 16) / RANGES
    rgb: Floats = cv2.cvtColor(np.ascontiguousarray(ycbcr[:, :, (0, 2, 1)]), cv2.COLOR_YCrCb2RGB)
    return rgb


def saturation(picture: Picture, share: float, context: Context) -> Picture:
    """Keep a share of the chroma: C <- 0.5 + (C - 0.5) share."""
    ycbcr = to_ycbcr(picture)
    ycbcr[:, :, 1:] = 0.5 + (ycbcr[:, :, 1:] - 0.5) * np.float32(share)
    # Departure: bounded before the cast, which otherwise would be undefined beyond 0 to 255.
    return np.clip(from_ycbcr(ycbcr), 0, 255).astype(np.uint8)


def contrast(picture: Picture, factor: float, context: Context) -> Picture:
    """Multiply and truncate; this darkens, for the mean is not kept."""
    table = (np.arange(256, dtype=np.float32) * np.float32(factor)).astype(np.uint8)
    darker: Picture = cv2.LUT(picture, table)
    return darker


# What a unit of noise on Y, Cb, Cr (in the scale of `to_ycbcr`, times 255) adds to R, G, B: that conversion is linear.
NOISE_TO_RGB = np.array([[1, 1, 1], [0, -0.344, 1.773], [1.403, -0.714, 0]], np.float32) * (255 / RANGES)[:, None]


def gaussian_noise(picture: Picture, variance: float, context: Context) -> Picture:
    """Add white noise of a variance to Y/255, Cb/255 and Cr/255, independently; the published loop, done at once.

    To convert, add the noise and convert back is to add the converted noise.
    """
    noise = context.random.standard_normal(picture.shape, dtype=np.float32) * np.float32(255 * variance**0.5)
    noisy: Picture = np.clip(picture + noise @ NOISE_TO_RGB, 0, 255).astype(np.uint8)
    return noisy
