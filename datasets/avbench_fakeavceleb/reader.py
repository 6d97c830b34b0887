"""Reads meta_data.csv of FakeAVCeleb v1.2, official or re-headed; videos are not touched.

In the official table the column `path` holds the file name and a tenth one, without a name, the folder.
"""

from __future__ import annotations

import csv
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from avbench.errors import UserError, shortened, unknown
from avbench.types import Forgery, Sample

log = logging.getLogger(__name__)

TABLE = "meta_data.csv"
COLUMNS = ("source", "target1", "target2", "method", "category", "type", "race", "gender")
WRAPPINGS = ("", "FakeAVCeleb", "videos", "FakeAVCeleb/videos")
TYPES = {
    "RealVideo-RealAudio": Forgery.RARV,
    "RealVideo-FakeAudio": Forgery.FARV,
    "FakeVideo-RealAudio": Forgery.RAFV,
    "FakeVideo-FakeAudio": Forgery.FAFV,
}
CATEGORIES = dict(zip("ABCD", TYPES.values(), strict=True))
RACES = ("African", "Asian (East)", "Asian (South)", "Caucasian (American)", "Caucasian (European)")
_IDENTITY = re.compile(r"id\d+")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; `folder` holds the official names of type, race, gender and identity."""

    number: int
    source: str
    targets: tuple[str, ...]
    method: str
    category: str
    forgery: Forgery
    stratum: str
    folder: tuple[str, ...]
    file: str

    @property
    def id(self) -> str:
        """Return the path below the root of an official copy, the same for every copy."""
        return "/".join((*self.folder, self.file))


def scan(root: Path) -> list[Sample]:
    """Return the samples that the table lists; the first of several rows of one file counts.

    UserError names the table, the row and the column of a broken row.
    """
    find = folder_finder(root)
    samples: dict[str, Sample] = {}
    repeated = 0
    for row in read_rows(table_file(root)):
        if row.id in samples:
            repeated += 1
            continue
        samples[row.id] = Sample(
            id=row.id,
            path=find(row.folder) / row.file,
            forgery=row.forgery,
            identity=row.source,
            other_identities=row.targets,
            stratum=row.stratum,
            method=row.method,
        )
    if repeated:
        log.warning("%s: %d rows name the file of an earlier row; they are ignored", root / TABLE, repeated)
    return list(samples.values())


def train_identities(root: Path, fold: int) -> frozenset[str] | None:
    """Return the identities of the official list train_<fold>.txt, or None if it is not there.

    As its authors' reader does, skip the first line and keep the first seven characters where they hold "id".
    """
    path = root / f"train_{fold}.txt"
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()[1:]
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a list in UTF-8 ({error}); download it again") from None
    found = frozenset(line[:7] for line in lines if "id" in line[:7])
    if not found:
        raise UserError(f"{path} names no identity like id00076 after its first line; download it again")
    return found


def table_file(root: Path) -> Path:
    """Return the table below `root`, also where a copy wraps everything in one more folder."""
    for wrapping in WRAPPINGS:
        if (root / wrapping / TABLE).is_file():
            return root / wrapping / TABLE
    raise UserError(f"FakeAVCeleb: no {TABLE} in {root}; name the folder of it and the four type folders")


def read_rows(source: Path) -> Iterator[Row]:
    """Yield every row of the table, repeated ones too; the header is row 1, as in a spreadsheet."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            column = _columns(source, next(reader, []))
            for cells in reader:
                if any(cells):
                    yield _row(source, reader.line_num, [cell.strip() for cell in cells], column)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{source} is not a CSV file in UTF-8 ({error}); download it again") from None


def folder_finder(root: Path) -> Callable[[tuple[str, ...]], Path]:
    """Return a function from official folder names to the folder of this copy, however it spells them."""

    @cache
    def listing(folder: Path) -> dict[str, str]:
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []  # False for a name that cannot be
        return {_plain(name): name for name in names} | {name: name for name in names}

    @cache
    def find(folder: tuple[str, ...]) -> Path:
        if not folder:
            return base
        above, name = find(folder[:-1]), folder[-1]
        names = listing(above)
        return above / (names.get(name) or names.get(_plain(name)) or name)

    plain_types = set(map(_plain, TYPES))
    bases = [root / wrapping for wrapping in WRAPPINGS if plain_types & listing(root / wrapping).keys()]
    base = bases[0] if bases else root
    return find


def _columns(source: Path, header: list[str]) -> dict[str, int]:
    """Return where each column stands; "folder" is the unnamed one after the file's in an official table."""
    column = {name.strip().lower(): place for place, name in enumerate(header)}
    for name in (*COLUMNS, "path"):
        if name not in column:
            raise UserError(f"{source}, row 1: {unknown('column', name, filter(None, column))}")
    path = column["path"]
    renamed = column.get("vid", column.get("filename"))
    file, folder = (path, path + 1) if renamed is None else (renamed, path)
    return {name: column[name] for name in COLUMNS} | {"file": file, "folder": folder}


def _row(source: Path, number: int, cells: list[str], column: dict[str, int]) -> Row:
    def broken(name: str, what: str) -> UserError:
        return UserError(f"{source}, row {number}, column {name!r}: {shortened(what)}; download it again or mend it")

    if len(cells) <= max(column.values()):
        raise broken("folder", f"{len(cells)} cells, expected {max(column.values()) + 1}")
    cell = {name: cells[place] for name, place in column.items()}
    forgery = TYPES.get(_official(cell["type"]), CATEGORIES.get(cell["category"]))
    if forgery is None:
        raise broken("type", f"{cell['type']!r} is none of {', '.join(TYPES)}; category not A to D")
    if not _IDENTITY.fullmatch(cell["source"]):
        raise broken("source", f"{cell['source']!r} is not an identity like id00076")
    folder = _official_folder(cell["folder"])
    if not folder:
        raise broken("folder", f"{cell['folder']!r} does not lie in one of {', '.join(TYPES)}")
    file = cell["file"]
    if file in {"", ".", ".."} or "/" in file or "\\" in file:
        raise broken("file", f"{file!r} is not a file name")
    targets = dict.fromkeys(t for t in (cell["target1"], cell["target2"]) if _IDENTITY.fullmatch(t))
    return Row(
        number,
        cell["source"],
        tuple(target for target in targets if target != cell["source"]),
        cell["method"].lower(),
        cell["category"],
        forgery,
        f"{_official(cell['race'])}/{_official(cell['gender'])}",
        folder,
        file,
    )


@cache
def _official_folder(text: str) -> tuple[str, ...]:
    """Return the official names from the type folder on, or nothing for a folder outside the dataset."""
    names = [_official(name) for name in text.replace("\\", "/").split("/") if name]
    first = next((place for place, name in enumerate(names) if name in TYPES), len(names))
    return tuple(names[first:]) if ".." not in names[first:] else ()


def _plain(name: str) -> str:
    """Return what every copy keeps of a name: `Asian (East)`, `Asian_East` and `asian-east` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def _official(name: str) -> str:
    return _OFFICIAL.get(_plain(name), name)


_OFFICIAL = {_plain(name): name for name in (*TYPES, *RACES, "men", "women")}
