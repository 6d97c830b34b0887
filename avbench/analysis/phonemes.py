"""Lips against phonemes: AU25 along time for the four classes of one speaker (FauForensics, Figure 8).

/p/, /b/ and /m/ need closed lips: a face whose AU25 (lips part) stays up while one is heard was not seen saying it.
Paper: arXiv 2505.08294. Letters: R rows of truth, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avbench.analysis.openface import read_unit
from avbench.analysis.phoneme_files import Spoken, beside, read_phonemes
from avbench.data.annotations import read
from avbench.errors import UserError
from avbench.plugins.registry import installed
from avbench.series import Series
from avbench.types import Forgery, Sample

UNIT = "AU25"
BEFORE = 0.35  # seconds drawn before the first closing phoneme


@dataclass(frozen=True, slots=True)
class Track:
    """One video: its phonemes as heard, and AU25 (T,) 0 to 5 at the middle of each frame, `times` (T,) seconds."""

    sample: Sample
    phonemes: list[Spoken]
    times: NDArray[np.float64]
    lips: NDArray[np.float32]

    def during(self, spoken: Spoken) -> NDArray[np.float32]:
        """Return the known values of the frames whose middle lies in a phoneme."""
        held = self.lips[(self.times >= spoken.start) & (self.times < spoken.end)]
        known: NDArray[np.float32] = held[~np.isnan(held)]
        return known

    def openings(self, closing: Sequence[str]) -> list[float]:
        """Return the smallest AU25 during each closing phoneme in which a frame lies: near 0 where lips close."""
        return [float(self.during(s).min()) for s in self.phonemes if s.name in closing and len(self.during(s))]


def siblings(sample: Sample, samples: Sequence[Sample]) -> list[Sample]:
    """Return one video of each class of the same identity, in the order of classes: `sample` and its likes.

    Preferred are those whose file name begins like that of `sample`, as a forgery's with its source's does.
    """
    chosen = {sample.forgery: sample}
    for forgery in Forgery:
        others = [s for s in samples if s.forgery == forgery and s.identity == sample.identity]
        if forgery not in chosen and others:
            chosen[forgery] = min(others, key=lambda s: (_begins(s) != _begins(sample), s.id))
    return [chosen[forgery] for forgery in Forgery if forgery in chosen]


def _begins(sample: Sample) -> str:
    return sample.id.rsplit("/", 1)[-1].rsplit(".", 1)[0].split("_")[0]


def track(sample: Sample, phonemes: Path | None, units: Path | None, fps: float) -> Track:
    """Return a video's phonemes and AU25, from the given files or folders, else from what its dataset brings.

    Raises UserError where either is nowhere.
    """
    fps = sample.fps or fps
    series = read_unit(beside(units, sample.id, (".csv",)), UNIT, fps) if units else _own_unit(sample)
    end = float(series.starts[-1] + series.lasts[-1])
    times = np.asarray((np.arange(round(end * fps)) + 0.5) / fps, np.float64)
    return Track(
        sample, _own_phonemes(sample) if phonemes is None else _given(phonemes, sample), times, series.at(times)[:, 0]
    )


def _given(phonemes: Path, sample: Sample) -> list[Spoken]:
    return read_phonemes(beside(phonemes, sample.id), sample.id)


def _own_phonemes(sample: Sample) -> list[Spoken]:
    for path in dict(sample.annotations).values():
        if path.suffix == ".npz" and path.is_file():
            return read_phonemes(path)
    raise UserError(f"{sample.id}: its dataset brings no phonemes; give --phonemes with TextGrid or CTM files")


def _own_unit(sample: Sample) -> Series:
    files = dict(sample.annotations)
    for target in installed().dataset(sample.dataset).annotations:
        if UNIT in target.columns and target.name in files:
            whole = read(target.read, files[target.name])
            column = target.columns.index(UNIT)
            return Series(whole.starts, whole.lasts, whole.values[:, column : column + 1])
    raise UserError(f"{sample.id}: its dataset brings no {UNIT}; give --units with CSV files of OpenFace")


def window(tracks: Sequence[Track], closing: Sequence[str], start: float | None, seconds: float) -> tuple[float, float]:
    """Return the stretch to draw: from `start`, else from shortly before the first video's first closing phoneme."""
    if start is None:
        first = next((s.start for s in tracks[0].phonemes if s.name in closing), 0.0)
        start = max(0.0, first - BEFORE)
    last = max(float(one.times[-1]) for one in tracks)
    if start >= last:
        raise UserError(f"--start {start:g}: the videos end at {last:.2f} s")
    return start, start + seconds


def table_of(tracks: Sequence[Track]) -> pd.DataFrame:
    """Return a row a frame: id, class, seconds, phoneme ("" for silence), AU25."""
    tables = []
    for one in tracks:
        names = [next((s.name for s in one.phonemes if s.start <= t < s.end), "") for t in one.times]
        columns = {"seconds": one.times.round(4), "phoneme": names, UNIT: one.lips}
        tables.append(pd.DataFrame(columns).assign(id=one.sample.id, **{"class": one.sample.forgery.name}))
    return pd.concat(tables, ignore_index=True)[["id", "class", "seconds", "phoneme", UNIT]]
