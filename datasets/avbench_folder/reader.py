"""Reads a user's own files: a folder with real/ and fake/, or a CSV with the columns path and label.

`labels` says how a label may be spelt, `people` how people are named. A fake that does not say which stream is forged
counts as FAFV: its binary label is true, its four-class and one-stream labels are guesses; `check` says so.
"""

from __future__ import annotations

import csv
import logging
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from avbench.errors import UserError, shortened, unknown
from avbench.types import Forgery, Sample
from avbench_folder import people
from avbench_folder.class_folders import SOUND, VIDEO, find
from avbench_folder.labels import KNOWN, forgery_called, is_fake, is_vague

log = logging.getLogger(__name__)

TABLE = "labels.csv"
SPLITS = {"": "", "train": "train", "training": "train", "dev": "validation", "val": "validation"}
SPLITS |= {"valid": "validation", "validation": "validation", "test": "test", "testing": "test"}
REQUIRED = ("path", "label")
OPTIONAL = ("identity", "target", "cluster", "stratum", "split", "method", "video_fake", "audio_fake")
PERIODS = ("fake_start", "fake_end")
ABSENT = {"n/a", "nan", "none", "null"}  # what tables write into a cell that says nothing


def scan(root: Path) -> list[Sample]:
    """Return the samples of a CSV (`root` itself or labels.csv in it), else of the class folders in it."""
    table = table_of(root)
    if table is not None:
        samples = _listed(table)
    else:
        samples, left = find(root)
        for line in left.lines():
            log.warning("%s: %s", root, line)
    if not samples:
        where = table or f"the folders of {root} that are called {KNOWN}"
        raise UserError(f"no sample in {where}; looked for {' '.join(sorted(VIDEO | SOUND))}")
    return samples


def table_of(root: Path) -> Path | None:
    """Return the CSV that lists the files, or None where class folders do."""
    if root.is_file():
        return root
    if (root / TABLE).is_file():
        return root / TABLE
    if not root.is_dir():
        raise UserError(f"{root} is neither a folder nor a CSV file; name the folder of real/ and fake/")
    return None


def read_table(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield row number and cells by column, a path as it stands; the header is row 1, as in a spreadsheet."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            header = [name.strip().lower() for name in next(reader, [])]
            _check_header(table, header)
            for cells in reader:
                if not any(cells):
                    continue
                if len(cells) != len(header):
                    raise _broken(table, reader.line_num, f"{len(cells)} cells, expected {len(header)}")
                yield (
                    reader.line_num,
                    {name: cell if name == "path" else cell.strip() for name, cell in zip(header, cells, strict=True)},
                )
    except OSError as error:
        raise UserError(f"{table}: {error.strerror}; it must be a file that can be read") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table} is not a CSV file in UTF-8 ({error}); save it as one") from None


def _check_header(table: Path, header: list[str]) -> None:
    if len(header) == 1 and (other := next((c for c in ";\t|" if c in header[0]), None)):
        raise UserError(f"{table}, row 1: columns are separated by {other!r}; save the table with commas")
    if twice := [name for name, times in Counter(header).items() if times > 1]:
        raise UserError(f"{table}, row 1: column {shortened(twice[0])!r} stands there twice; remove one")
    for name in REQUIRED:
        if name not in header:
            raise UserError(f"{table}, row 1: {unknown('column', name, filter(None, header))}; use commas")
    known = (*REQUIRED, *OPTIONAL, *PERIODS)
    if ignored := [name for name in header if name not in known]:
        log.warning("%s: ignored columns: %s; known: %s", table, ", ".join(ignored), ", ".join(known))


def _listed(table: Path) -> list[Sample]:
    samples: dict[int, Sample] = {}
    first: dict[str, int] = {}
    for number, cells in read_table(table):
        try:
            sample = _sample(table.parent, cells)
        except ValueError as error:
            raise _broken(table, number, str(error)) from None
        if first.setdefault(sample.id, number) != number:
            raise _broken(table, number, f"{sample.id!r} stands in row {first[sample.id]} already")
        samples[number] = sample
    identities = {people.loosely(sample.identity): sample.identity for sample in samples.values()}
    for number, sample in samples.items():
        try:
            people.require_matching(sample.other_identities, identities)
        except ValueError as error:
            raise _broken(table, number, str(error)) from None
    for line in alike(samples.values()):
        log.warning("%s: %s", table, line)
    return list(samples.values())


def alike(samples: Iterable[Sample]) -> list[str]:
    """Return in sentences which identities differ in spelling alone: one person would be trained on and tested."""
    spelled: dict[str, set[str]] = {}
    for sample in samples:
        if sample.identity != sample.id:
            spelled.setdefault(people.loosely(sample.identity), set()).add(sample.identity)
    found = [" and ".join(map(repr, sorted(names))) for names in spelled.values() if len(names) > 1]
    return [f"identities {found[0]} count as different people, {len(found)} such in all"] if found else []


def _broken(table: Path, number: int, what: str) -> UserError:
    return UserError(f"{table}, row {number}: {shortened(what)}; correct the row or remove it")


def _sample(folder: Path, cells: dict[str, str]) -> Sample:
    name = _place(folder, cells["path"])
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"path {cells['path']!r} must lie below the folder of the CSV")
    name = Path(name).as_posix()
    split = cells.get("split", "").lower()
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(filter(None, SPLITS))}")
    forgery, periods = _forgery(cells), _periods(cells)
    if periods and forgery is Forgery.RARV:
        raise ValueError("a real file has no fake_start and fake_end")
    identity = people.identity_named(_said(cells, "identity"), name) or name
    return Sample(
        id=name,
        path=folder / name,
        forgery=forgery,
        split=SPLITS[split],
        identity=identity,
        other_identities=people.targets_named(_said(cells, "target")),
        cluster=_said(cells, "cluster") or identity,
        stratum=cells.get("stratum", ""),
        method=cells.get("method", ""),
        fake_periods=periods,
    )


def _place(folder: Path, cell: str) -> str:
    """Return a path as it stands, or without blanks around it, or with / for \\, whichever is there."""
    spellings = list(dict.fromkeys((cell, cell.strip(), cell.strip().replace("\\", "/"))))
    there = (name for name in spellings if name and len(spellings) > 1 and os.path.lexists(folder / name))
    return next(there, cell.strip())


def _said(cells: Mapping[str, str], column: str) -> str:
    """Return a cell, empty where it says that there is nothing."""
    text = cells.get(column, "")
    return "" if text.lower() in ABSENT else text


def _forgery(cells: dict[str, str]) -> Forgery:
    """Return the class of a row: its label, made precise by video_fake and audio_fake where given."""
    label = forgery_called(cells["label"])
    flags = [_said(cells, name) for name in ("video_fake", "audio_fake")]
    if flags == ["", ""]:
        return label
    try:
        said = Forgery.of(video_fake=is_fake(flags[0]), audio_fake=is_fake(flags[1]))
    except ValueError:
        raise ValueError(f"video_fake and audio_fake are {flags}; give both as 0 or 1, or neither") from None
    agrees = bool(said) if is_vague(cells["label"]) else said is label
    if not agrees:
        raise ValueError(f"label {cells['label']!r} contradicts video_fake and audio_fake ({said.name})")
    return said


def _periods(cells: dict[str, str]) -> tuple[tuple[float, float], ...]:
    """Return the forged periods in seconds; several starts, and as many ends, are separated by spaces."""
    try:
        starts, ends = ([float(text) for text in _said(cells, name).split()] for name in PERIODS)
        periods = tuple(zip(starts, ends, strict=True))
    except ValueError:
        raise ValueError("fake_start and fake_end must hold equally many numbers of seconds") from None
    if not all(0 <= start < end < math.inf for start, end in periods):
        raise ValueError(f"forged periods {periods} must have 0 <= start < end")
    return periods
