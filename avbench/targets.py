"""Frame-level truth beside a video (action units, phonemes, landmarks): read by a plugin, brought to a clip's frames.

Letters: R rows of truth, T frames of a clip, N values a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avbench.frames import LATE
from avbench.plugins import installed, load_object
from avbench.types import ClipSpec, Sample

Values = NDArray[np.float32]
FILES_KEPT = 128  # of truth, read, in each process


@dataclass(frozen=True, slots=True)
class Series:
    """Truth on a video's clock: row i holds from `starts`[i] for `lasts`[i] seconds.

    starts and lasts (R,) float64, starts ascending; values (R,N) float32, nan where unknown.
    """

    starts: NDArray[np.float64]
    lasts: NDArray[np.float64]
    values: Values

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not len(self.starts) == len(self.lasts) == len(self.values):
            raise ValueError(
                f"{self.values.shape} values for {self.starts.shape} starts and {self.lasts.shape} lengths"
            )

    @classmethod
    def of_frames(cls, values: NDArray[Any], fps: float) -> Series:
        """Return the series of a video of `fps` frames a second that has one row (N,) of values for every frame."""
        count = len(values)
        return cls(np.arange(count) / fps, np.full(count, 1 / fps), np.asarray(values, np.float32))

    def at(self, times: NDArray[np.float64]) -> Values:
        """Return the values (T,N) that hold at `times` (T,) seconds; nan where none does."""
        found = np.full((len(times), self.values.shape[1]), np.nan, np.float32)
        asked = times + LATE  # as the frames are chosen
        row = np.searchsorted(self.starts, asked, side="right") - 1
        held = row >= 0
        held[held] = asked[held] < self.starts[row[held]] + self.lasts[row[held]] + LATE / 2
        found[held] = self.values[row[held]]
        return found


def targets_of(sample: Sample, spec: ClipSpec, start: float, frames: int) -> dict[str, Values]:
    """Return what `spec.targets` asks for, (T,N) by name, for `frames` frames from `start` seconds on.

    All nan for a sample that has no file of that name. Raises ValueError where the dataset declares no such target or
    its reader gives other columns; whatever the reader raises.
    """
    if not spec.targets:
        return {}
    times = start + (np.arange(frames, dtype=np.float64) + 0.5) / spec.fps
    declared = {target.name: target for target in installed().dataset(sample.dataset).targets}
    files = dict(sample.targets)
    found: dict[str, Values] = {}
    for name in spec.targets:
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
