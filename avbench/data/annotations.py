"""Frame-level truth beside a video (action units, phonemes, landmarks): read by a plugin, brought to a clip's frames.

Letters: R rows of truth, T frames of a clip, N values a frame.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avbench.plugins.registry import installed
from avbench.references import load_object
from avbench.series import Series
from avbench.types import ClipSpec, Sample

Values = NDArray[np.float32]
FILES_KEPT = 128  # of truth, read, in each process


def annotations_of(sample: Sample, spec: ClipSpec, start: float, frames: int) -> dict[str, Values]:
    """Return what `spec.annotations` asks for, (T,N) by name, for `frames` frames from `start` seconds on.

    All nan for a sample that has no file of that name. Raises ValueError where the dataset declares no such target or
    its reader gives other columns; whatever the reader raises.
    """
    if not spec.annotations:
        return {}
    times = start + (np.arange(frames, dtype=np.float64) + 0.5) / spec.fps
    declared = {target.name: target for target in installed().dataset(sample.dataset).annotations}
    files = dict(sample.annotations)
    found: dict[str, Values] = {}
    for name in spec.annotations:
        if name not in declared:
            raise ValueError(f"dataset {sample.dataset} declares no target {name!r}")
        columns = len(declared[name].columns)
        found[name] = np.full((frames, columns), np.nan, np.float32)
        if name in files:
            series = read(declared[name].read, files[name])
            if series.values.shape[1] != columns:
                raise ValueError(f"{files[name]}: {series.values.shape[1]} columns of {name}, not {columns}")
            found[name] = series.at(times)
    return found


@lru_cache(maxsize=FILES_KEPT)
def read(reference: str, path: Path) -> Series:
    """Read a file of truth by its "module:function"."""
    series = load_object(reference, "target")(path)
    assert isinstance(series, Series)
    return series
