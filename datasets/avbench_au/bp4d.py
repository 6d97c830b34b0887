"""Reads BP4D: `AUCoding/AU_OCC/F001_T1.csv` and pictures `img/F001/T1/2440.jpg`; a video is its coded frames."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np

from avbench.errors import UserError
from avbench.series import Series
from avbench.types import Forgery, Sample
from avbench_au.folds import training_people
from avbench_au.units import BP4D_UNITS

FPS = 25.0
CODING, PICTURES = "AUCoding/AU_OCC", "img"
UNKNOWN = 9
# ME-GraphAU's thirds, each tested in one fold.
PARTS = (
    ("F001", "M007", "F018", "F008", "F002", "M004", "F010", "F009", "M012", "M001", "F016", "M014", "F023", "M008"),
    ("M011", "F003", "M010", "M002", "F005", "F022", "M018", "M017", "F013", "M016", "F020", "F011", "M013", "M005"),
    ("F007", "F015", "F006", "F019", "M006", "M009", "F012", "M003", "F004", "F021", "F017", "M015", "F014"),
)


def scan(root: Path) -> list[Sample]:
    """Return a sample for each task of each person; UserError names one that is coded and has no pictures."""
    if not (root / CODING).is_dir():
        raise UserError(f"BP4D: no {CODING}/ in {root}; name the folder that holds AUCoding/ and {PICTURES}/")
    return [_sample(root, path) for path in sorted((root / CODING).glob("*_T*.csv"))]


def _sample(root: Path, coding: Path) -> Sample:
    person, task = coding.stem.split("_", 1)
    path = root / PICTURES / person / task
    if not path.is_dir():
        raise UserError(f"BP4D: {coding} is there, but {path}/ is not")
    return Sample(
        id=path.relative_to(root).as_posix(),
        path=path,
        forgery=Forgery.RARV,
        identity=person,
        fps=FPS,
        frames=len(coded_frames(coding)),
        annotations=(("au", coding),),
    )


def labels_of(folder: Path) -> Path | None:
    """Return the coding of a folder of pictures, None if it is not BP4D's."""
    root, person, task = folder.parents[2], folder.parent.name, folder.name
    coding = root / CODING / f"{person}_{task}.csv"
    return coding if coding.is_file() else None


def coded_frames(coding: Path) -> list[int]:
    """Return the numbers of the coded frames."""
    return [number for number, _ in _rows(coding)]


def read_units(coding: Path) -> Series:
    """Read the twelve action units, 1 shown, 0 not, nan unknown, a row a coded frame.

    Departure: ME-GraphAU has no unknown ones; OpenGraphAU leaves them out of the loss, as here.
    """
    values = np.array([units for _, units in _rows(coding)], np.float32)
    values[values == UNKNOWN] = np.nan
    return Series.of_frames(values, FPS)


def train_identities(root: Path, fold: int) -> frozenset[str]:
    """Return the people who are trained on in ME-GraphAU's fold 1, 2 or 3."""
    return training_people("BP4D", PARTS, fold)


@lru_cache(maxsize=64)
def _rows(coding: Path) -> list[tuple[int, list[float]]]:
    """Return each coded frame's number and units, in order; the heading names the units by number."""
    with coding.open(newline="") as file:
        heading, *lines = [row for row in csv.reader(file) if row]
    try:
        columns = [heading.index(unit.removeprefix("AU")) for unit in BP4D_UNITS]
        return sorted((int(row[0]), [float(row[column]) for column in columns]) for row in lines)
    except (IndexError, ValueError) as error:
        raise UserError(f"{coding}: not a coding of BP4D: {error}") from None
