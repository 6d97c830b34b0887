"""How each database records: camera noise and a microphone in a room; the last step before encoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from avbench_demo.canvas import Studio
from avbench_demo.person import SIZE

Array = NDArray[Any]  # float32
Frames = NDArray[Any]  # uint8


@dataclass(frozen=True, slots=True)
class Style:
    """One database's way of painting, filming and encoding; `number` keeps their random draws apart."""

    number: int
    studio: Studio
    crf: int
    preset: str
    grain: tuple[float, float]  # sensor noise in grey levels, drawn per video
    hum: float  # colour of the room noise, 0 white to 1 brown


LOCAL_STYLE = Style(1, Studio(0.34, 0.15, 0.18, 0.5, False, 0.0, 1.0), 22, "veryfast", (2.0, 3.5), 0.5)
WHOLE_STYLE = Style(2, Studio(0.45, 0.5, 0.06, -0.6, True, 0.55, 1.2), 23, "veryfast", (2.5, 4.0), 0.8)


def film(frames: Frames, style: Style, seed: list[int]) -> Frames:
    """Add sensor noise: (T, 224, 224, 3) BGR becomes (T, 336, 224) planar YUV 4:2:0.

    The same seed gives the same noise, so frames that two videos share stay identical.
    """
    random = np.random.default_rng(seed)
    level = random.uniform(*style.grain)
    tile = random.standard_normal((2 * SIZE, 2 * SIZE), dtype=np.float32) * level
    brighter, darker = np.clip(tile, 0, 255).round().astype(np.uint8), np.clip(-tile, 0, 255).round().astype(np.uint8)
    places = random.integers(0, SIZE, (len(frames), 2))
    filmed = np.empty((len(frames), SIZE * 3 // 2, SIZE), np.uint8)
    for picture, frame, (row, column) in zip(filmed, frames, places, strict=True):
        cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420, dst=picture)
        part = np.s_[row : row + SIZE, column : column + SIZE]
        luma = cv2.subtract(cv2.add(picture[:SIZE], brighter[part]), darker[part])
        picture[:SIZE] = luma
    return filmed


def loudness_gain(clean: Array, seed: list[int]) -> float:
    """Gain that brings a clean sound to -26 dB with an offset of up to 3 dB either way, drawn per video."""
    offset = np.random.default_rng(seed).uniform(-3.0, 3.0)
    return float(10.0 ** ((-26.0 + offset) / 20.0) / np.sqrt(np.mean(clean**2) + 1e-12))


def hear(clean: Array, gain: float, style: Style, seed: list[int]) -> Array:
    """Scale a clean sound and add the noise of the room; the same seed gives the same noise."""
    random = np.random.default_rng(seed)
    noise = lfilter([1.0 - style.hum], [1.0, -style.hum], random.standard_normal(len(clean))) * (1.0 + style.hum)
    level = 10.0 ** (random.uniform(-68.0, -58.0) / 20.0)
    return np.asarray(np.clip(gain * clean + level * noise, -1.0, 1.0), np.float32)
