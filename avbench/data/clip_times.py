"""When the clips begin and end that the placement `oracle` cuts, for lists that other frameworks read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avbench.data.file_cache import Measured
from avbench.data.placement import oracle
from avbench.data.scanning import scan_files
from avbench.media.reading import probe
from avbench.progress import Progress, silent
from avbench.types import ClipSpec, Sample

FRAMES = 25  # of the clip that stands for a length


def clip_times(
    samples: Sequence[Sample], seconds: float, seed: int, *, progress: Progress = silent
) -> list[tuple[float, float] | None]:
    """Return start and end (s) of the clip of each sample that a detector of such clips is judged on with this seed.

    `samples` are a whole list: where clips of real videos lie depends on the fakes in it. Files whose metadata name no
    length are opened; None for those that cannot be. A video shorter than a clip ends it.
    """
    unknown = [sample.path for sample in samples if sample.duration is None]
    lengths = scan_files(unknown, length, "length-1", progress=progress, title="measure files")
    found: list[tuple[float, float] | None] = []
    for request in oracle(samples, ClipSpec(frames=FRAMES, fps=FRAMES / seconds), seed):
        sample = request.sample
        duration = sample.duration
        if duration is None and "seconds" in lengths[sample.path]:
            duration = lengths[sample.path]["seconds"] - sample.skip
        if duration is None:
            found.append(None)
            continue
        start = sample.skip + request.where.begin(duration, seconds)
        found.append((start, min(start + seconds, sample.skip + duration)))
    return found


def length(path: Path) -> Measured:
    """Return how long a file lasts by its header, in seconds; MediaError where it cannot be opened."""
    return {"seconds": probe(path).duration}
