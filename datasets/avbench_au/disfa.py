"""Reads DISFA: `ActionUnit_Labels/SN001/SN001_au1.txt`, faces cut out as `img/SN001/0.png`, else the videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avbench.errors import UserError
from avbench.series import Series
from avbench.types import Forgery, Sample
from avbench_au.folds import training_people
from avbench_au.units import DISFA_UNITS

FPS = 20.0
LABELS, PICTURES = "ActionUnit_Labels", "img"
VIDEOS = ("Video_LeftCamera/LeftVideo{}_comp.avi", "Video_LeftCamera/LeftVideo{}_Comp.avi")
# ME-GraphAU's thirds, each tested in one fold.
PARTS = (
    ("SN002", "SN010", "SN001", "SN026", "SN027", "SN032", "SN030", "SN009", "SN016"),
    ("SN013", "SN018", "SN011", "SN028", "SN012", "SN006", "SN031", "SN021", "SN024"),
    ("SN003", "SN029", "SN023", "SN025", "SN008", "SN005", "SN007", "SN017", "SN004"),
)


def scan(root: Path) -> list[Sample]:
    """Return a sample for each person; UserError names what has labels and no pictures."""
    if not (root / LABELS).is_dir():
        raise UserError(f"DISFA: no {LABELS}/ in {root}; name the folder that holds it")
    people = sorted(path.name for path in (root / LABELS).iterdir() if path.is_dir() and path.name.startswith("SN"))
    return [_sample(root, person) for person in people]


def _sample(root: Path, person: str) -> Sample:
    path = place_of(root, person)
    labels = root / LABELS / person
    return Sample(
        id=path.relative_to(root).as_posix(),
        path=path,
        forgery=Forgery.RARV,
        identity=person,
        fps=FPS,
        frames=len(read_units(labels).values),
        annotations=(("au", labels),),
    )


def place_of(root: Path, person: str) -> Path:
    """Return the folder of a person's faces, else the video of the left camera."""
    places = [root / PICTURES / person, *(root / name.format(person) for name in VIDEOS)]
    for path in places:
        if path.exists():
            return path
    raise UserError(f"DISFA: {person} has labels, but neither {places[0]}/ nor {places[1]} is there")


def read_units(folder: Path) -> Series:
    """Read the eight action units of a person, intensity 0 to 5, a row a frame.

    Rows count, not the frame numbers in them, as in ME-GraphAU: row i, from 0, belongs to i.png. A unit without a file
    is unknown (Departure: ME-GraphAU takes it as never shown).
    """
    columns = {unit: _column(folder / f"{folder.name}_{unit.lower()}.txt") for unit in DISFA_UNITS}
    known = {unit: column for unit, column in columns.items() if column is not None}
    if not known or len({len(column) for column in known.values()}) > 1:
        sizes = ", ".join(f"{unit} {len(column)}" for unit, column in known.items())
        raise UserError(f"{folder}: files of action units must be there and of one length; found {sizes or 'none'}")
    values = np.full((len(next(iter(known.values()))), len(DISFA_UNITS)), np.nan, np.float32)
    for unit, column in known.items():
        values[:, DISFA_UNITS.index(unit)] = column
    return Series.of_frames(values, FPS)


def train_identities(root: Path, fold: int) -> frozenset[str]:
    """Return the people who are trained on in ME-GraphAU's fold 1, 2 or 3."""
    return training_people("DISFA", PARTS, fold)


def _column(path: Path) -> list[float] | None:
    if not path.is_file():
        return None
    try:
        return [float(line.split(",")[1]) for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (IndexError, ValueError) as error:
        raise UserError(f"{path}: a line is not of the form frame,intensity ({error})") from None
