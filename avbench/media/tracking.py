"""What cuts a detector's region out of a clip's pictures, once the face in them has been tracked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from avbench.media.frames import Picture, cut_region, cut_tracked, fill_gaps
from avbench.media.landmarks import cut_square, squares
from avbench.media.placing import Window
from avbench.types import MediaError, Reason

# (path=, frames= (T,H,W,3) uint8, times= (T,) seconds) -> face boxes (T,4) x0 y0 x1 y1 or landmarks (T,68,2) x y, nan
# where no face is, or None
Track: TypeAlias = Callable[..., "NDArray[np.float64] | None"]
Cut: TypeAlias = Callable[[int, Picture], Picture]


def looks_for_faces(window: Window, track: Track | None) -> bool:
    """Whether whole pictures are needed, in which the face is tracked before anything is cut."""
    return track is not None and window.spec.region != "frame"


def cutter(pictures: list[Picture], window: Window, track: Track | None) -> Cut:
    """Return what cuts the region out of the k-th of a clip's whole pictures.

    Without a track the database is taken as cropped to the face. Raises MediaError `no_face`.
    """
    spec, times = window.spec, window.times
    boxes = None
    if track is not None and looks_for_faces(window, track) and pictures:
        boxes = track(path=window.path, frames=np.stack(pictures), times=times[: len(pictures)])
    if boxes is None:
        return lambda k, picture: cut_region(picture, spec.region, spec.size)
    filled = fill_gaps(boxes)
    if filled is None:
        raise MediaError(Reason.NO_FACE, f"{window.path}: no face from {times[0] - 0.5 / spec.fps:.3f} s on")
    if filled.ndim == 3:
        maps = squares(filled, spec.region)
        return lambda k, picture: cut_square(picture, maps[k], spec.region, spec.size)
    return lambda k, picture: cut_tracked(picture, filled[k], spec.region, spec.size)
