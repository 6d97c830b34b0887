"""Reads the metadata of LAV-DF; files are not touched.

`duration` in these metadata is that of the sound plus 0.128 s: the length here is `video_frames` at 25 fps.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from avbench.errors import UserError, shortened
from avbench.types import Forgery, Sample

log = logging.getLogger(__name__)

FPS = 25.0
MOST_FRAMES = 90_000  # an hour; the longest video has 20 s
METADATA = ("metadata.min.json", "metadata.json")
SPLITS = {"train": "train", "dev": "validation", "test": "test"}
Row = dict[str, Any]


def scan(root: Path) -> list[Sample]:
    """Return the samples that the metadata list; UserError names file, row and key of a broken row."""
    source = metadata_file(root)
    rows = read_rows(source)
    originals = {row["file"]: row["original"] for row in rows.values()}
    samples = []
    for number, row in rows.items():
        try:
            samples.append(_sample(root, row, _root_of(row["file"], originals)))
        except ValueError as error:
            raise _broken(source, number, str(error)) from None
    return samples


def metadata_file(root: Path) -> Path:
    """Return the metadata file below `root`."""
    for name in METADATA:
        if (root / name).is_file():
            return root / name
    raise UserError(f"LAV-DF: neither {' nor '.join(METADATA)} in {root}; name the folder above train/")


def read_rows(source: Path) -> dict[int, Row]:
    """Return the rows of a metadata file by their number, from 1, each checked, repeated rows left out."""
    try:
        table = json.loads(source.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source} is not valid JSON ({error}); download it again") from None
    if not isinstance(table, list):
        raise UserError(f"{source} holds a {type(table).__name__}, not a list of videos; download it again")
    kept: dict[int, Row] = {}
    first: dict[str, int] = {}
    for number, row in enumerate(table, start=1):
        try:
            _check(row)
        except ValueError as error:
            raise _broken(source, number, str(error)) from None
        earlier = first.setdefault(row["file"], number)
        if earlier == number:
            kept[number] = row
        elif row != kept[earlier]:
            raise _broken(source, number, f"key 'file': row {earlier} has {row['file']!r} with other values")
    if len(kept) < len(table):
        log.warning("%s: %d rows stand there twice; the first ones are kept", source, len(table) - len(kept))
    return kept


def _broken(source: Path, number: int, what: str) -> UserError:
    return UserError(
        f"{source}, row {number}: {shortened(what)}; download the file again, or correct or remove the row"
    )


def _check(row: Any) -> None:
    """Raise ValueError where a key that is read is missing or has a wrong type or value."""
    if type(row) is not dict:
        raise ValueError(f"a {type(row).__name__} instead of an object")
    for key, kind in _KINDS.items():
        if key not in row:
            raise ValueError(f"key {key!r} is missing")
        if type(row[key]) is not kind and not (key == "original" and row[key] is None):
            raise ValueError(f"key {key!r} is {row[key]!r}, expected {kind.__name__}")
    for name in (row["file"], row["original"] or row["file"]):
        if not _stays_below(name):
            raise ValueError(f"path {name!r} leaves the folder of the dataset")
    if row["split"] not in SPLITS:
        raise ValueError(f"key 'split' is {row['split']!r}, expected one of {', '.join(SPLITS)}")
    if not 1 <= row["video_frames"] <= MOST_FRAMES:
        raise ValueError(f"key 'video_frames' is {row['video_frames']}, expected 1 to {MOST_FRAMES}")
    fake = row["modify_video"] or row["modify_audio"]
    if fake != (row["n_fakes"] > 0) or fake != bool(row["fake_periods"]):
        raise ValueError("keys 'modify_video', 'modify_audio', 'n_fakes', 'fake_periods' disagree")


_KINDS = {
    "file": str,
    "n_fakes": int,
    "fake_periods": list,
    "original": str,
    "modify_video": bool,
    "modify_audio": bool,
    "split": str,
    "video_frames": int,
}


def _stays_below(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return parts[0] != "" and ".." not in parts and ":" not in name


def _sample(root: Path, row: Row, original: str) -> Sample:
    seconds = row["video_frames"] / FPS
    return Sample(
        id=row["file"],
        path=root.joinpath(row["file"]),
        forgery=Forgery.of(video_fake=row["modify_video"], audio_fake=row["modify_audio"]),
        split=SPLITS[row["split"]],
        identity=original,
        cluster=original,
        fake_periods=tuple(_clipped(period, seconds) for period in row["fake_periods"]),
        fps=FPS,
        frames=row["video_frames"],
    )


def _clipped(period: Any, seconds: float) -> tuple[float, float]:
    """Return a period inside the video; four official ones reach beyond it. The last frame is always left."""
    if type(period) is not list or len(period) != 2 or not {*map(type, period)} <= {int, float}:
        raise ValueError(f"key 'fake_periods' holds {period!r}, expected [start, end] in seconds")
    start, end = period
    if not 0 <= start <= end:  # nan is neither
        raise ValueError(f"key 'fake_periods' holds {period!r}, expected 0 <= start <= end")
    return float(min(start, seconds - 1 / FPS)), float(min(end, seconds))


def _root_of(name: str, originals: dict[str, str | None]) -> str:
    """Follow `original` to the real video that a video was made from."""
    passed = {name}
    while (above := originals.get(name)) is not None:
        if above in passed:
            raise ValueError(f"key 'original': {name!r} is its own origin")
        passed.add(above)
        name = above
    return name
