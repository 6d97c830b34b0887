"""Looks at a database by what its samples say: files, ids, labels, identities and splits, and a few headers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from avbench.data import splits
from avbench.data.databases import Database
from avbench.data.lengths import probe_files
from avbench.errors import UserError
from avbench.references import load_object
from avbench.types import Finding, Forgery, MediaError, MediaInfo, Sample

SHOWN = 5
LATE = 0.1  # seconds by which a period or a header may differ before it is worth a word


def check_database(base: Database, *, opened: int = 8) -> Iterator[Finding]:
    """Yield what is wrong or worth knowing about a database, for any dataset: errors, warnings, then counts.

    All files must be there; the headers of at most `opened` are read, of each class and split in turn.
    """
    try:
        samples = base.samples()
    except UserError as error:
        yield Finding("error", str(base.root), str(error))
        return
    where = str(base.root)
    for level, what, ids in (*_files(samples, base.root), *_labels(samples), *_people(samples)):
        yield from _finding(level, where, what, ids)
    yield from _placements(base, samples, where)
    yield from _headers(samples, opened)
    yield from _splits(base, samples, where)
    yield from _counts(samples, where)


Odd = tuple[Literal["error", "warning", "note"], str, list[str]]


def _files(samples: Sequence[Sample], root: Path) -> Iterator[Odd]:
    top = os.path.abspath(root if root.is_dir() else root.parent)
    there = [s for s in samples if s.path.exists()]
    listed = Counter(os.path.abspath(s.path) for s in samples)
    yield (
        "error",
        "ids are given to several samples",
        [name for name, n in Counter(s.id for s in samples).items() if n > 1],
    )
    yield "error", "files are missing", [s.id for s in samples if not s.path.exists()]
    yield "error", "files are empty", [s.id for s in there if s.path.is_file() and not s.path.stat().st_size]
    yield (
        "warning",
        "files are listed by several samples",
        [os.path.relpath(p, top) for p, n in listed.items() if n > 1],
    )
    yield (
        "error",
        "samples name a file of frame-level truth that is missing",
        [s.id for s in samples if any(not path.exists() for _, path in s.annotations)],
    )


def _labels(samples: Sequence[Sample]) -> Iterator[Odd]:
    fakes = [s for s in samples if s.forgery != Forgery.RARV]
    yield (
        "error",
        "real videos (RARV) have fake periods",
        [s.id for s in samples if s.forgery == Forgery.RARV and s.fake_periods],
    )
    yield (
        "error",
        "fake periods end before they begin, or begin before the video",
        [s.id for s in samples if any(not 0 <= start < end for start, end in s.fake_periods)],
    )
    yield (
        "warning",
        "fake periods end behind the end of the video",
        [s.id for s in samples if s.duration and any(end > s.duration + LATE for _, end in s.fake_periods)],
    )
    local = sum(bool(s.fake_periods) for s in fakes)
    if local:
        yield (
            "note",
            "fakes name no fake period: all of such a video is taken as fake",
            [s.id for s in fakes if not s.fake_periods],
        )
    yield (
        "warning",
        "real videos (RARV) name a method of forgery",
        [s.id for s in samples if _is_real(s) and _forges(s.method)],
    )


def _is_real(sample: Sample) -> bool:
    return sample.forgery == Forgery.RARV


def _forges(method: str) -> bool:
    return method.lower() not in {"", "real", "none", "original"}


def _people(samples: Sequence[Sample]) -> Iterator[Odd]:
    nameless = [s.id for s in samples if s.identity in ("", s.id)]
    if len(nameless) == len(samples):
        yield "warning", "samples name no identity: a person may be trained on and tested", nameless
    else:
        yield "warning", "samples name no identity, though others do: each counts as a person of its own", nameless
    yield (
        "note",
        "samples name their own identity among the others",
        [s.id for s in samples if s.identity in s.other_identities],
    )


def _headers(samples: Sequence[Sample], most: int) -> Iterator[Finding]:
    """Read the headers of a few files, of each class and split in turn."""
    spread = _spread(samples, most)
    files = probe_files(sample.path for sample in spread)
    for sample in spread:
        info = files[sample.path]
        if isinstance(info, MediaError):
            if not sample.path.is_dir():  # which a plugin may decode
                yield Finding("error", sample.id, f"cannot be opened: {info}")
        elif odd := _odd_header(sample, info):
            yield Finding("warning", sample.id, odd)


def _spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    groups: dict[tuple[str, Forgery], list[Sample]] = {}
    for sample in samples:
        if sample.path.exists() and (sample.path.is_dir() or sample.path.stat().st_size):
            groups.setdefault((sample.split, sample.forgery), []).append(sample)
    rounds = max(map(len, groups.values()), default=0)
    return [group[k] for k in range(rounds) for group in groups.values() if k < len(group)][:most]


def _odd_header(sample: Sample, info: MediaInfo) -> str:
    if not info.has_video and sample.forgery & 1:
        return "has no pictures, though they are said to be fake"
    if not info.has_audio and sample.forgery & 2:
        return "has no sound, though its sound is said to be fake"
    if sample.fps and info.has_video and abs(info.fps - sample.fps) > 0.1:
        return f"runs at {info.fps:g} frames/s, its metadata say {sample.fps:g}"
    if sample.duration and abs(info.duration - sample.skip - sample.duration) > 2 * LATE:
        return f"lasts {info.duration:.2f} s, its metadata say {sample.duration:.2f}"
    if info.claims_too_much:
        return f"lasts {info.duration:.2f} s, its header says {info.duration + info.claims_too_much:.2f}"
    if any(end > info.duration + LATE for _, end in sample.fake_periods):
        return f"lasts {info.duration:.2f} s, a fake period ends behind that"
    return ""


def _placements(base: Database, samples: Sequence[Sample], where: str) -> Iterator[Finding]:
    local = sum(bool(sample.fake_periods) for sample in samples)
    if local and not base.spec.locally_forged:
        yield Finding(
            "warning", where, f"{local:,} videos name fake periods: say locally_forged=True in the DatasetSpec"
        )
    if base.spec.locally_forged and not local:
        yield Finding("warning", where, "locally_forged, but no video names a fake period")


def _splits(base: Database, samples: Sequence[Sample], where: str) -> Iterator[Finding]:
    official, fold = base.spec.train_identities, 1
    try:
        named = load_object(official, f"dataset {base.spec.name}")(base.root, fold) if official else None
        parts = splits.split(samples, fold=fold, train_identities=named)
    except UserError as error:
        yield Finding("error", where, f"cannot be split: {error}")
        return
    sizes = " / ".join(f"{len(getattr(parts, part)):,}" for part in splits.PARTS)
    yield Finding("note", where, f"training / validation / test: {sizes} ({'; '.join(parts.notes)})")
    try:
        parts.check_trainable()
    except UserError as error:
        yield Finding("warning", where, f"nothing can be trained on it: {error}")
    for part in ("train", "test") if base.spec.forgery_labels else ():
        missing = [f.name for f in Forgery if not any(s.forgery == f for s in getattr(parts, part))]
        if missing:
            yield Finding("warning", where, f"no {' and no '.join(missing)} in {part}: metrics of them are undefined")


def _counts(samples: Sequence[Sample], where: str) -> Iterator[Finding]:
    count = Counter(sample.forgery for sample in samples)
    yield Finding("note", where, f"{len(samples):,} videos: " + ", ".join(f"{count[f]:,} {f.name}" for f in Forgery))
    people, clusters = (len({getattr(s, name) for s in samples} - {""}) for name in ("identity", "cluster"))
    yield Finding("note", where, f"{people:,} identities, {clusters:,} clusters for intervals")
    if methods := Counter(s.method for s in samples if s.method):
        yield Finding("note", where, "methods: " + ", ".join(f"{name} {n:,}" for name, n in methods.most_common(12)))


def _finding(
    level: Literal["error", "warning", "note"], where: str, what: str, ids: Iterable[str]
) -> Iterator[Finding]:
    """Yield one finding for some samples: how many, and the first few."""
    if named := list(dict.fromkeys(ids)):
        more = ", ..." if len(named) > SHOWN else ""
        yield Finding(level, where, f"{len(named):,} {what}: {', '.join(named[:SHOWN])}{more}")
