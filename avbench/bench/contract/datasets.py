"""What a dataset promises, checked on its own files: a listing that repeats, ids of their own, splits by identity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from avbench.bench.contract.results import Result
from avbench.data import splits
from avbench.data.databases import Database
from avbench.media.placing import Place
from avbench.perturbations.open_clip import OpenClip
from avbench.types import ClipSpec, MediaError


def check_dataset(database: Database) -> Iterator[Result]:
    """Check a dataset's listing, its splits and its first file."""
    try:
        samples = database.samples()
    except Exception as error:
        yield Result("lists its samples", False, f"{type(error).__name__}: {error}")
        return
    yield Result("lists its samples", True, f"{len(samples):,} at {database.root}")
    again = [replace(s) for s in database.samples()]
    yield Result("lists the same twice", again == samples)
    ids = {s.id for s in samples}
    yield Result("gives each sample its own id", len(ids) == len(samples))
    try:
        parts = splits.split(samples)
        yield Result("splits by identity", True, f"{len(parts.train)} / {len(parts.validation)} / {len(parts.test)}")
    except Exception as error:
        yield Result("splits by identity", False, str(error))
    try:
        clip = OpenClip(samples[0].path, ClipSpec(), Place.fraction(0.5)).clean()
        yield Result("its first file can be read", clip.has_video or clip.has_audio, samples[0].id)
    except MediaError as error:
        yield Result("its first file can be read", False, f"{samples[0].id}: {error}")
