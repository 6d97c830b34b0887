"""Frame-level truth on a video's clock, such as action units over time: what a dataset's reader returns.

Letters: R rows of truth, T frames of a clip, N values a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

# Seconds by which a frame may come late and still count as shown: containers round their time stamps (WebM to 1 ms).
LATE = 1e-3


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
