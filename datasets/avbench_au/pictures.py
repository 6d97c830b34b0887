"""A folder of numbered pictures as a video: which pictures, in which order, at which rate; and one clip of it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avbench.media.numbered_pictures import clip_of_pictures
from avbench.types import Clip, ClipSpec, MediaError, Reason
from avbench_au import bp4d, disfa

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
FOLDERS_KEPT = 64  # listed, in each process


@lru_cache(maxsize=FOLDERS_KEPT)
def files_of(folder: Path) -> tuple[Path, ...]:
    """Return the pictures of a folder by number; of BP4D those that are coded. One that is missing keeps its place."""
    numbered = {int(path.stem): path for path in folder.iterdir() if is_numbered(path)}
    coded = bp4d.labels_of(folder)
    if coded is None:
        return tuple(numbered[number] for number in sorted(numbered))
    return tuple(numbered.get(number, folder / f"{number}.jpg") for number in bp4d.coded_frames(coded))


def is_numbered(path: Path) -> bool:
    """Whether a file is a picture that is called by a number."""
    return path.suffix.lower() in SUFFIXES and path.stem.isdigit()


def rate_of(folder: Path) -> float:
    """Return the frames a second of a folder of pictures."""
    return disfa.FPS if bp4d.labels_of(folder) is None else bp4d.FPS


def read_pictures(folder: Path, start: float, spec: ClipSpec) -> Clip:
    """Read the clip that begins at `start` seconds, as a video of these pictures would give it; without sound.

    Raises MediaError: `missing_file`, `unreadable`, `too_short`.
    """
    files, fps = files_of(folder), rate_of(folder)
    if not files:
        raise MediaError(Reason.UNREADABLE, f"{folder}: no numbered picture in it")
    return clip_of_pictures(folder, start, spec, count=len(files), fps=fps, read=lambda number: read(files[number]))


def read(path: Path) -> NDArray[np.uint8]:
    """Read a picture, (H,W,3) uint8 RGB."""
    if not path.is_file():
        raise MediaError(Reason.MISSING_FILE, f"{path}: no such file")
    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if found is None:
        raise MediaError(Reason.UNREADABLE, f"{path}: not a picture")
    return np.ascontiguousarray(found[:, :, ::-1])
