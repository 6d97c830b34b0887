"""Squares of mouth and face by 68 landmarks and a mean face, as lip readers and RealForensics were trained on.

Facts of LipForensics' `crop_mouths.py` and RealForensics' `extract_faces.py` (both MIT), whose mean face this is.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

from avbench.media.frames import Picture, Region, resized

CANVAS = 256  # pixels of the square that holds the mean face
SIDE = {"mouth": 96, "face": 150}
STABLE = {"mouth": (33, 36, 39, 42, 45), "face": (28, 33, 36, 39, 42, 45, 48, 54)}  # landmarks that move little
MIDDLE = {"mouth": slice(48, 68), "face": slice(15, 68)}  # whose mean is the middle of the square
WINDOW = 12  # frames over which landmarks are averaged


@cache
def mean_face() -> NDArray[np.float64]:
    """Return the mean face, (68,2) x and y in a square of `CANVAS` pixels."""
    with (files("avbench.media") / "mean_face_68.npy").open("rb") as file:
        face: NDArray[np.float64] = np.load(file)
    return face


def squares(landmarks: NDArray[np.float64], region: Region) -> NDArray[np.float64]:
    """Return for each frame's landmarks (T,68,2) the map (T,2,3) from its picture to the square of `region`.

    Each frame is turned, scaled and moved so that smoothed landmarks lie on the mean face. A mouth's landmarks are
    averaged over a frame and the eleven after it, a face's over six on both sides.
    Departure: windows end with the clip; similarities are least squares for faces too.
    """
    smoothed = _ahead(landmarks) if region == "mouth" else _around(landmarks)
    stable = list(STABLE[region])
    maps = np.stack([similarity(frame[stable], mean_face()[stable]) for frame in smoothed])
    seen = landmarks if region == "mouth" else smoothed
    middle = seen[:, MIDDLE[region]].mean(axis=1)
    centre = np.einsum("tij,tj->ti", maps[:, :, :2], middle) + maps[:, :, 2]
    half = SIDE[region] // 2
    maps[:, :, 2] -= np.clip(np.round(centre), half, CANVAS - half) - half
    return maps


def cut_square(picture: Picture, mapping: NDArray[np.float64], region: Region, size: int) -> Picture:
    """Return the (size,size,3) square that a map of `squares` takes out of a picture; black beyond its border."""
    side = SIDE[region]
    square: Picture = cv2.warpAffine(np.ascontiguousarray(picture), mapping, (side, side), flags=cv2.INTER_LINEAR)
    return resized(square, size)


def similarity(points: NDArray[np.float64], onto: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the map (2,3) that turns, scales and moves points (N,2) onto others with the least squared error."""
    z, w = (p[:, 0] + 1j * p[:, 1] for p in (points, onto))
    spread = z - z.mean()
    turn = np.vdot(spread, w - w.mean()) / max(np.vdot(spread, spread).real, 1e-12)
    shift = w.mean() - turn * z.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _ahead(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average each frame with those after it; the last frames share the last full window."""
    last = max(len(landmarks) - WINDOW, 0)
    return np.stack([landmarks[min(i, last) :][:WINDOW].mean(axis=0) for i in range(len(landmarks))])


def _around(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average each frame with as many before as after it, and move the result to where that frame's landmarks are."""
    smoothed = []
    for i, frame in enumerate(landmarks):
        reach = min(WINDOW // 2, i, len(landmarks) - 1 - i)
        mean = landmarks[i - reach : i + reach + 1].mean(axis=0)
        smoothed.append(mean + frame.mean(axis=0) - mean.mean(axis=0))
    return np.stack(smoothed)
