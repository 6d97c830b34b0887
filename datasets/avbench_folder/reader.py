"""Reads a user's own files: a folder with real/ and fake/, or a CSV with the columns path and label.

A label is real or 0, fake or 1, or RARV, RAFV, FARV, FAFV. A fake that does not say which stream is forged
counts as FAFV: its binary label is true, its four-class and one-stream labels are guesses; `check` says so.
"""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from avbench.errors import UserError, unknown
from avbench.types import Forgery, Sample

log = logging.getLogger(__name__)

TABLE = "labels.csv"
LABELS = {"0": Forgery.RARV, "real": Forgery.RARV, "1": Forgery.FAFV, "fake": Forgery.FAFV}
LABELS |= {forgery.name.lower(): forgery for forgery in Forgery}
VAGUE = {"1", "fake"}
FLAGS = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
SPLITS = {"": "", "train": "train", "dev": "validation", "val": "validation"}
SPLITS |= {"valid": "validation", "validation": "validation", "test": "test"}
REQUIRED = ("path", "label")
OPTIONAL = ("identity", "target", "cluster", "stratum", "split", "method", "video_fake", "audio_fake")
PERIODS = ("fake_start", "fake_end")
VIDEO = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".3gp"}
SOUND = {".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".wma"}


def scan(root: Path) -> list[Sample]:
    """Return the samples of a CSV (`root` itself or labels.csv in it), else of the class folders in it."""
    table = table_of(root)
    samples = list(_listed(table) if table else _found(root))
    if not samples:
        where = table or f"the folders {', '.join(sorted(LABELS))} of {root}"
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
    """Yield row number and cells by column; the header is row 1, as in a spreadsheet."""
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
                yield reader.line_num, {n: c.strip() for n, c in zip(header, cells, strict=True)}
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table} is not a CSV file in UTF-8 ({error}); save it as one") from None


def _check_header(table: Path, header: list[str]) -> None:
    for name in REQUIRED:
        if name not in header:
            raise UserError(f"{table}, row 1: {unknown('column', name, filter(None, header))}; use commas")
    known = (*REQUIRED, *OPTIONAL, *PERIODS)
    if ignored := [name for name in header if name not in known]:
        log.warning("%s: ignored columns: %s; known: %s", table, ", ".join(ignored), ", ".join(known))


def _listed(table: Path) -> Iterator[Sample]:
    first: dict[str, int] = {}
    for number, cells in read_table(table):
        try:
            sample = _sample(table.parent, cells)
        except ValueError as error:
            raise _broken(table, number, str(error)) from None
        if first.setdefault(sample.id, number) != number:
            raise _broken(table, number, f"{sample.id!r} stands in row {first[sample.id]} already")
        yield sample


def _broken(table: Path, number: int, what: str) -> UserError:
    return UserError(f"{table}, row {number}: {what}; correct the row or remove it")


def _sample(folder: Path, cells: dict[str, str]) -> Sample:
    name = Path(cells["path"]).as_posix()
    if not cells["path"] or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"path {cells['path']!r} must lie below the folder of the CSV")
    split = cells.get("split", "").lower()
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(filter(None, SPLITS))}")
    forgery, periods = _forgery(cells), _periods(cells)
    if periods and forgery is Forgery.RARV:
        raise ValueError("a real file has no fake_start and fake_end")
    identity = cells.get("identity") or name
    return Sample(
        id=name,
        path=folder / name,
        forgery=forgery,
        split=SPLITS[split],
        identity=identity,
        other_identities=tuple(cells.get("target", "").split()),
        cluster=cells.get("cluster") or identity,
        stratum=cells.get("stratum", ""),
        method=cells.get("method", ""),
        fake_periods=periods,
    )


def _forgery(cells: dict[str, str]) -> Forgery:
    """Return the class of a row: its label, made precise by video_fake and audio_fake where given."""
    label = cells["label"].lower()
    if label not in LABELS:
        raise ValueError(f"label {cells['label']!r} is none of {', '.join(LABELS)}")
    texts = [cells.get(name, "").lower() for name in ("video_fake", "audio_fake")]
    if texts == ["", ""]:
        return LABELS[label]
    if not all(text in FLAGS for text in texts):
        raise ValueError(f"video_fake and audio_fake are {texts}; give both as 0 or 1, or neither")
    said = Forgery.of(video_fake=FLAGS[texts[0]], audio_fake=FLAGS[texts[1]])
    agrees = bool(said) if label in VAGUE else said is LABELS[label]
    if not agrees:
        raise ValueError(f"label {cells['label']!r} contradicts video_fake and audio_fake ({said.name})")
    return said


def _periods(cells: dict[str, str]) -> tuple[tuple[float, float], ...]:
    """Return the forged periods in seconds; several starts, and as many ends, are separated by spaces."""
    try:
        starts, ends = ([float(text) for text in cells.get(name, "").split()] for name in PERIODS)
        periods = tuple(zip(starts, ends, strict=True))
    except ValueError:
        raise ValueError("fake_start and fake_end must hold equally many numbers of seconds") from None
    if not all(0 <= start < end for start, end in periods):
        raise ValueError(f"forged periods {periods} must have 0 <= start < end")
    return periods


def _found(root: Path) -> Iterator[Sample]:
    for top in sorted(root.iterdir()):
        if top.is_dir() and top.name.lower() in LABELS:
            for folder, below, names in os.walk(top):
                below.sort()
                for name in sorted(names):
                    path = Path(folder, name)
                    if path.suffix.lower() in VIDEO | SOUND and not name.startswith("."):
                        own = path.relative_to(root).as_posix()
                        yield Sample(own, path, LABELS[top.name.lower()], identity=own, cluster=own)
