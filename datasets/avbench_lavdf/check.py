"""Compares a copy of LAV-DF with its metadata and with the official counts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from unicodedata import normalize

from avbench.errors import UserError
from avbench.types import Finding
from avbench_lavdf.reader import FPS, METADATA, Row, metadata_file, read_rows, scan

OFFICIAL = {"train": 78_703, "dev": 31_501, "test": 26_100}
OFFICIAL_REAL, OFFICIAL_FAKE = 36_431, 99_873
SOUND_RATE = 16_000
SHOWN = 5


def check(root: Path) -> Iterator[Finding]:
    """Yield what is wrong or worth knowing about the copy of LAV-DF at `root`."""
    try:
        scan(root)
        source = metadata_file(root)
        rows = list(read_rows(source).values())
    except UserError as error:
        yield Finding("error", str(root), str(error))
        return
    yield from _files(root, {row["file"] for row in rows})
    yield from _odd_rows(source.name, rows)
    yield from _counts(source.name, rows)


def _files(root: Path, named: set[str]) -> Iterator[Finding]:
    listed = {normalize("NFC", name) for name in named}
    present, empty = set(), []
    for folder, _, names in os.walk(root, followlinks=True):
        for name in names:
            path = Path(folder, name)
            found = normalize("NFC", path.relative_to(root).as_posix())
            present.add(found)
            if found in listed and path.stat().st_size == 0:
                empty.append(found)
    unlisted = present - listed - {*METADATA, "README.md"}
    yield from _finding("error", str(root), "files are missing", listed - present)
    yield from _finding("error", str(root), "files are empty", empty)
    yield from _finding("warning", str(root), "files are not in the metadata and are ignored", unlisted)


def _odd_rows(where: str, rows: list[Row]) -> Iterator[Finding]:
    split_of = {row["file"]: row["split"] for row in rows}
    odd: dict[str, list[str]] = {
        "rows name an original that is not listed": [],
        "rows name an original of another split": [],
        "rows lie in another folder than their split's": [],
        "rows have more or fewer periods than n_fakes": [],
        "rows have a period beyond the end of the video (it is cut there)": [],
        "rows have sound that differs from the video by over 3 frames": [],
    }
    unlisted, crossing, misplaced, miscounted, beyond, unequal = odd.values()
    for row in rows:
        name, original, seconds = row["file"], row["original"], row["video_frames"] / FPS
        if original is not None and original not in split_of:
            unlisted.append(name)
        elif original is not None and split_of[original] != row["split"]:
            crossing.append(name)
        if not name.startswith(f"{row['split']}/"):
            misplaced.append(name)
        if row["n_fakes"] != len(row["fake_periods"]):
            miscounted.append(name)
        if any(end > seconds for _, end in row["fake_periods"]):
            beyond.append(name)
        sound = row.get("audio_frames")
        if isinstance(sound, int) and abs(sound / SOUND_RATE - seconds) > 3.5 / FPS:
            unequal.append(name)
    for what, names in odd.items():
        yield from _finding("warning", where, what, names)


def _counts(where: str, rows: list[Row]) -> Iterator[Finding]:
    splits = Counter(row["split"] for row in rows)
    fakes = sum(row["n_fakes"] > 0 for row in rows)
    for split, official in OFFICIAL.items():
        yield Finding("note", where, f"{split}: {splits[split]} videos, official {official}")
    yield Finding("note", where, f"real: {len(rows) - fakes} videos, official {OFFICIAL_REAL}")
    yield Finding("note", where, f"fake: {fakes} videos, official {OFFICIAL_FAKE}")


def _finding(
    level: Literal["error", "warning"], where: str, what: str, names: set[str] | list[str]
) -> Iterator[Finding]:
    """Yield one finding for a set of names: how many, and the first few."""
    if names:
        first = ", ".join(sorted(names)[:SHOWN])
        yield Finding(level, where, f"{len(names)} {what}: {first}{', ...' if len(names) > SHOWN else ''}")
