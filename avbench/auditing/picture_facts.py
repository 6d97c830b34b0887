"""How the pictures of a file look, in a few numbers: level, contrast, sharpness, coding blocks, change."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avbench.media.decoding import frames_from
from avbench.media.frames import picture_stream

if TYPE_CHECKING:
    from av.container import InputContainer

PICTURES = 8  # the first of a file, from its first key frame on
LOOK_NAMES = ("brightness", "contrast", "sharpness", "blockiness", "flicker", "smoothness")
_BLOCK = 8  # pixels, of the transforms of most codecs


def picture_facts(container: InputContainer) -> dict[str, Any]:
    """Return numbers of the first grey pictures; nothing where there are none. Sharpness and flicker are logarithms."""
    stream = picture_stream(container)
    if stream is None:
        return {}
    grey = [frame.to_ndarray(format="gray") for frame in islice(frames_from(container, stream, 0.0), PICTURES)]
    if not grey:
        return {"has_video": False}
    return dict(zip(LOOK_NAMES, _looks(grey), strict=True))


def _looks(grey: list[NDArray[np.uint8]]) -> list[float]:
    values = [picture.astype(np.float32) for picture in grey]
    detail = [float(cv2.Laplacian(picture, cv2.CV_32F).var()) for picture in values]
    moved = [float(np.abs(b - a).mean()) for a, b in pairwise(values) if a.shape == b.shape]
    still = [float((np.abs(np.diff(picture, axis=1)) < 1).mean()) for picture in values]
    return [
        float(np.mean([picture.mean() for picture in values])),
        float(np.mean([picture.std() for picture in values])),
        float(np.log(np.mean(detail) + 1e-2)),
        float(np.mean([_blockiness(picture) for picture in values])),
        float(np.log(np.mean(moved) + 1e-2)) if moved else float(np.log(1e-2)),
        float(np.mean(still)),
    ]


def _blockiness(picture: NDArray[np.float32]) -> float:
    """Return how much larger steps between columns are at the edges of coding blocks than elsewhere, as a logarithm."""
    step = np.abs(np.diff(picture, axis=1)).mean(axis=0)
    edge = np.arange(1, len(step) + 1) % _BLOCK == 0
    if not edge.any() or edge.all():
        return 0.0
    return float(np.log((step[edge].mean() + 1e-2) / (step[~edge].mean() + 1e-2)))
