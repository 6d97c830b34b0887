"""Compares a copy of a database of action units with what was published of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from avbench.errors import UserError
from avbench.types import Finding, Sample
from avbench_au import bp4d, disfa, disfa_plus
from avbench_au.pictures import files_of

PEOPLE = {"DISFA": 27, "DISFA+": 9, "BP4D": 41}
FRAMES = {"DISFA": 130_814, "BP4D": 146_847}


def check_disfa(root: Path) -> Iterator[Finding]:
    """Yield what is wrong or worth knowing about the copy of DISFA at `root`."""
    yield from _check("DISFA", disfa.scan, root)


def check_disfa_plus(root: Path) -> Iterator[Finding]:
    """Yield what is wrong or worth knowing about the copy of DISFA+ at `root`."""
    yield from _check("DISFA+", disfa_plus.scan, root)


def check_bp4d(root: Path) -> Iterator[Finding]:
    """Yield what is wrong or worth knowing about the copy of BP4D at `root`."""
    yield from _check("BP4D", bp4d.scan, root)


def _check(title: str, scan: Callable[[Path], list[Sample]], root: Path) -> Iterator[Finding]:
    try:
        samples = scan(root)
    except UserError as error:
        yield Finding("error", str(root), str(error))
        return
    for sample in samples:
        yield from _pictures(sample)
    people, frames = len({sample.identity for sample in samples}), sum(sample.frames or 0 for sample in samples)
    if people != PEOPLE[title]:
        yield Finding("warning", str(root), f"{people} people, {PEOPLE[title]} were published")
    if title in FRAMES and frames != FRAMES[title]:
        yield Finding("warning", str(root), f"{frames:,} labelled frames, {FRAMES[title]:,} were published")


def _pictures(sample: Sample) -> Iterator[Finding]:
    """Compare a folder of pictures with its labels."""
    if not sample.path.is_dir():
        yield Finding("note", sample.id, "the video as it is; ME-GraphAU is trained on faces cut out into img/")
        return
    files = files_of(sample.path)
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        yield Finding("error", sample.id, f"{len(missing)} pictures are missing, first {missing[0]}")
    if len(files) != sample.frames:
        yield Finding("error", sample.id, f"{len(files)} pictures for {sample.frames} rows of labels")
