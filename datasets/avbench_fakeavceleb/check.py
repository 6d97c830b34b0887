"""Compares a copy of FakeAVCeleb with its table and with the official counts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal
from unicodedata import normalize

from avbench.errors import UserError
from avbench.types import Finding
from avbench_fakeavceleb.reader import (
    CATEGORIES,
    TYPES,
    Row,
    folder_finder,
    read_rows,
    table_file,
    train_identities,
)

METHODS = {"real", "rtvc", "wav2lip", "fsgan", "faceswap", "fsgan-wav2lip", "faceswap-wav2lip"}
OFFICIAL = dict(zip(TYPES, (500, 500, 9_709, 10_835), strict=True))
OFFICIAL_IDENTITIES = 500
FOLDS = range(1, 6)
SHOWN = 5


def check(root: Path) -> Iterator[Finding]:
    """Yield what is wrong or worth knowing about the copy of FakeAVCeleb at `root`."""
    try:
        source = table_file(root)
        rows = list(read_rows(source))
        lists = [fold for fold in FOLDS if train_identities(root, fold) is not None]
    except UserError as error:
        yield Finding("error", str(root), str(error))
        return
    yield from _files(root, rows)
    yield from _odd_rows(source.name, rows)
    yield from _counts(source.name, list({row.id: row for row in reversed(rows)}.values()))
    known = ", ".join(map(str, lists)) or "none, so avbench's own folds"
    yield Finding("note", str(root), f"official training lists of folds: {known}")


def _files(root: Path, rows: list[Row]) -> Iterator[Finding]:
    find = folder_finder(root)
    listed = {_composed(find(row.folder) / row.file) for row in rows}
    on_disk = (Path(folder, name) for folder, _, names in os.walk(find(()), followlinks=True) for name in names)
    present = {_composed(path): path for path in on_disk}
    unlisted = {path for path in present.keys() - listed if path.suffix == ".mp4"}
    empty = {path for path in present.keys() & listed if present[path].stat().st_size == 0}
    where = str(root)
    yield from _finding("error", where, "files are missing", _below(root, listed - present.keys()))
    yield from _finding("error", where, "files are empty", _below(root, empty))
    yield from _finding("warning", where, "videos are not in the table (ignored)", _below(root, unlisted))


def _composed(path: Path) -> Path:
    """Return a path with its accented letters as one sign each, however the disk writes them."""
    return Path(normalize("NFC", str(path)))


def _below(root: Path, paths: set[Path]) -> list[str]:
    top = _composed(root)
    return [path.relative_to(top).as_posix() for path in paths]


def _odd_rows(where: str, rows: list[Row]) -> Iterator[Finding]:
    methods: dict[str, list[str]] = {}
    for row in rows:
        methods.setdefault(row.id, []).append(row.method)
    for what, names in (
        ("files stand in several rows (the first counts)", [n for n, m in methods.items() if len(m) > 1]),
        ("files have several methods (the first counts)", [n for n, m in methods.items() if len(set(m)) > 1]),
        ("rows have an unknown method", [r.id for r in rows if r.method not in METHODS]),
        (
            "rows have a category that contradicts their type (the type counts)",
            [r.id for r in rows if CATEGORIES.get(r.category, r.forgery) != r.forgery],
        ),
        (
            "rows lie in the folder of another type (the type counts)",
            [r.id for r in rows if TYPES[r.folder[0]] != r.forgery],
        ),
        ("rows lie in the folder of another identity", [r.id for r in rows if r.source not in r.folder]),
    ):
        yield from _finding("warning", where, what, names)


def _counts(where: str, rows: list[Row]) -> Iterator[Finding]:
    found = Counter(row.forgery for row in rows)
    for name, official in OFFICIAL.items():
        yield Finding("note", where, f"{name}: {found[TYPES[name]]} videos, official {official}")
    identities = len({row.source for row in rows})
    yield Finding("note", where, f"{identities} identities, official {OFFICIAL_IDENTITIES}")


def _finding(level: Literal["error", "warning"], where: str, what: str, names: Collection[str]) -> Iterator[Finding]:
    """Yield one finding for a set of names: how many, and the first few."""
    if names:
        first = ", ".join(sorted(names)[:SHOWN])
        yield Finding(level, where, f"{len(names)} {what}: {first}{', ...' if len(names) > SHOWN else ''}")
