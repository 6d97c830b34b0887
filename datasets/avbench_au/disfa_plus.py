"""Reads DISFA+: `Images/SN001/A1_AU1_TrailNo_1/000.jpg` and `Labels/SN001/A1_AU1_TrailNo_1/AU1.txt`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avbench.errors import UserError
from avbench.series import Series
from avbench.types import Forgery, Sample
from avbench_au.disfa import FPS
from avbench_au.units import DISFA_UNITS

IMAGES, LABELS = "Images", "Labels"


def scan(root: Path) -> list[Sample]:
    """Return a sample for each trial of each person; UserError names a trial that has labels and no pictures."""
    if not (root / LABELS).is_dir():
        raise UserError(f"DISFA+: no {LABELS}/ in {root}; name the folder that holds it and {IMAGES}/")
    return [_sample(root, folder) for folder in sorted((root / LABELS).glob("*/*")) if folder.is_dir()]


def _sample(root: Path, labels: Path) -> Sample:
    trial = labels.relative_to(root / LABELS)
    path = root / IMAGES / trial
    if not path.is_dir():
        raise UserError(f"DISFA+: {labels} has labels, but {path}/ is not there")
    return Sample(
        id=path.relative_to(root).as_posix(),
        path=path,
        forgery=Forgery.RARV,
        identity=trial.parts[0],
        fps=FPS,
        frames=len(read_units(labels).values),
        annotations=(("au", labels),),
    )


def read_units(folder: Path) -> Series:
    """Read the eight units that DISFA has of the twelve, intensity 0 to 5, a row a picture in the order of its number.

    A unit without a file, or without a line for a picture, is unknown.
    """
    coded = {unit: _lines(folder / f"{unit}.txt") for unit in DISFA_UNITS}
    numbers = sorted({number for lines in coded.values() for number in lines})
    if not numbers:
        raise UserError(f"{folder}: no file of action units, such as AU1.txt, with a line a picture")
    values = [[coded[unit].get(number, np.nan) for unit in DISFA_UNITS] for number in numbers]
    return Series.of_frames(np.array(values, np.float32), FPS)


def _lines(path: Path) -> dict[int, float]:
    """Return intensities by the number of the picture; lines that name none are headings."""
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text("utf-8").splitlines():
        name, _, value = line.strip().partition(" ")
        stem, dot, _ = name.partition(".")
        if dot and stem.isdigit():
            try:
                found[int(stem)] = float(value)
            except ValueError:
                raise UserError(f"{path}: {line.strip()!r} is not of the form 000.jpg intensity") from None
    return found
