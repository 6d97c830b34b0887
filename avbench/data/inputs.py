"""What a list of videos is made of: all that is known of each, and of its file size and time of change, or its hash."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from avbench.data.scanning import REASON, scan_files
from avbench.data.workers import begin_file
from avbench.hashing import digest_of, sha256
from avbench.progress import Progress, silent
from avbench.records.inputs import InputList, Row, text
from avbench.types import Sample

# How a file is told from another of its name: not at all, by size and time of change, by its content.
Told = Literal["no", "stat", "content"]
MISSING = "missing"
HASH_SECONDS = 60.0  # that a MiB of a file may take


def inputs_of(samples: Sequence[Sample], stamp: Callable[[Path], str]) -> InputList:
    """Return a list as what it is made of; `stamp` tells a file from another of its name."""
    return InputList(tuple(_row(sample, stamp) for sample in samples))


def unstamped(path: Path) -> str:
    """Return nothing: the list counts and not its files."""
    return ""


def by_stat(path: Path) -> str:
    """Return size and time of change of a file; of a folder of pictures, those of all that is in it."""
    try:
        about = os.stat(path)
        if stat.S_ISDIR(about.st_mode):
            entries = sorted((one.name, one.stat()) for one in os.scandir(path) if one.is_file())
            return digest_of([(name, found.st_size, found.st_mtime_ns) for name, found in entries])
    except (OSError, ValueError):
        return MISSING
    return f"{about.st_size} {about.st_mtime_ns}"


def by_content(paths: Iterable[Path], progress: Progress = silent) -> Callable[[Path], str]:
    """Return what gives the sha256 of each of these files; they are read now, those that did not change from the cache.

    A file that cannot be read counts by size and time of change.
    """
    there = [path for path in dict.fromkeys(paths) if path.is_file() or path.is_dir()]
    found = scan_files(there, _content, "sha256", time_limit=HASH_SECONDS, progress=progress, title="hash files")
    hashes = {path: f"sha256 {value['sha256']}" for path, value in found.items() if REASON not in value}
    return lambda path: hashes.get(path) or by_stat(path)


def of_demo(version: str, made_at: int | None) -> Callable[[Path], str]:
    """Return what gives the version of demo data for each of their files, the same on every machine.

    A file that was changed after `made_at` (ns) is one's own.
    """

    def stamp(path: Path) -> str:
        try:
            changed = os.stat(path).st_mtime_ns
        except (OSError, ValueError):
            return MISSING
        return f"demo data {version}" if made_at is None or changed <= made_at else by_stat(path)

    return stamp


def files_of(samples: Iterable[Sample]) -> Iterable[Path]:
    """Yield the files of samples: the videos, and the frame-level truth beside them."""
    for sample in samples:
        yield sample.path
        yield from (path for _, path in sample.annotations)


def by_path(samples: Sequence[Sample], inputs: InputList) -> Mapping[Path, str]:
    """Return what is known of each video, as one text, by the path of its file."""
    return {sample.path: text(row) for sample, row in zip(samples, inputs.rows, strict=True)}


def by_id(samples: Sequence[Sample], inputs: InputList) -> Mapping[str, str]:
    """Return the same by id."""
    return {sample.id: text(row) for sample, row in zip(samples, inputs.rows, strict=True)}


def _content(path: Path) -> dict[str, str]:
    if path.is_dir():
        names = sorted(one for one in path.iterdir() if one.is_file())
        return {"sha256": digest_of([(one.name, sha256(one, at_block=begin_file)) for one in names])}
    return {"sha256": sha256(path, at_block=begin_file)}


def _row(sample: Sample, stamp: Callable[[Path], str]) -> Row:
    return (
        sample.id,
        sample.dataset,
        str(int(sample.forgery)),
        str(sample.fake_periods),
        sample.identity,
        text(sample.other_identities) if sample.other_identities else "",
        sample.cluster,
        sample.stratum,
        sample.method,
        sample.split,
        f"{sample.fps} {sample.frames} {sample.skip}",
        text((name, stamp(path)) for name, path in sample.annotations) if sample.annotations else "",
        stamp(sample.path),
    )
