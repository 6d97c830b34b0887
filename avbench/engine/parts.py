"""Scores that are measured piece by piece: each piece a file whose name tells what it was made of and what is in it."""

from __future__ import annotations

import io
import logging
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from avbench.data.requests import ClipRequest
from avbench.hashing import digest_of
from avbench.paths import atomic_write
from avbench.records import scores
from avbench.types import PASSING, Reason

log = logging.getLogger(__name__)
PARTS = "parts"  # the folder of a run that is not finished, or in which clips failed
_DIGITS = 16  # of a hash in a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What scores are made of beside the requests: `made_by`, a hash of weights, code and settings, and the videos.

    `videos` are what is known of each, by its id and by the path of its file. `elsewhere` are folders in which earlier
    runs of the same command left parts; those made of the same are taken over. A part with a clip that failed for one
    of the reasons in `again` is made again, as soon as a file that was missing is there.
    """

    made_by: str = ""
    videos: Mapping[Any, str] = field(default_factory=dict)
    elsewhere: tuple[Path, ...] = ()
    again: Collection[Reason] = PASSING

    def key(self, requests: Sequence[Sequence[ClipRequest]]) -> str:
        """Return the hash of all that the scores of these batches come from."""
        return digest_of([self.made_by, [[self._of(request) for request in batch] for batch in requests]])

    def _of(self, request: ClipRequest) -> tuple[object, ...]:
        condition = request.condition
        under = () if condition is None else (condition.name, condition.level, condition.parameter)
        voices = () if condition is None else tuple(self._video(path) for path in condition.voices)
        where = (request.placement, request.start, request.fraction, request.centre, request.seed)
        return (self._video(request.sample.id), int(request.forgery), *where, *under, *voices)

    def _video(self, key: str | Path) -> str:
        return self.videos.get(key, str(key))


class Parts:
    """The parts of one run, in a folder of their own; `groups` are the batches of each."""

    def __init__(self, folder: Path, groups: Sequence[Sequence[Sequence[ClipRequest]]], cause: Cause) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.groups, self.cause = folder, groups, cause
        self._starts = [f"{k:06d}-{cause.key(group)[:_DIGITS]}-" for k, group in enumerate(groups)]

    def find(self, index: int) -> pd.DataFrame | None:
        """Return the rows of a part that need not be made again, None where there are none."""
        self._take_over(self._starts[index])
        rows = self.read(index)
        return None if rows is None or self._may_be_better(index, rows) else rows

    def read(self, index: int) -> pd.DataFrame | None:
        """Return the rows of a part, None where there are none; damaged files go."""
        for path in self.folder.glob(f"{self._starts[index]}*.parquet"):
            content = path.read_bytes()
            if sha256(content).hexdigest()[:_DIGITS] == path.stem.rpartition("-")[2]:
                return pd.read_parquet(io.BytesIO(content))
            log.warning("%s is damaged and is made again", path)
            path.unlink()
        return None

    def write(self, index: int, rows: list[dict[str, Any]]) -> None:
        """Write the rows of a part, in place of what was there."""
        buffer = io.BytesIO()
        scores.coerce(pd.DataFrame(rows)).to_parquet(buffer, index=False, write_page_checksum=True)
        content = buffer.getvalue()
        written = self.folder / f"{self._starts[index]}{sha256(content).hexdigest()[:_DIGITS]}.parquet"
        with atomic_write(written) as temporary:
            temporary.write_bytes(content)
        for path in self.folder.glob(f"{index:06d}-*.parquet"):
            if path != written:
                path.unlink()

    def _take_over(self, start: str) -> None:
        """Copy what an earlier run measured of the same; an interrupted copy has a wrong hash and is made again."""
        if any(self.folder.glob(f"{start}*.parquet")):
            return
        found = (path for folder in self.cause.elsewhere for path in folder.glob(f"*-{start[7:]}*.parquet"))
        for path in found:
            shutil.copyfile(path, self.folder / f"{start}{path.stem.rpartition('-')[2]}.parquet")

    def _may_be_better(self, index: int, rows: pd.DataFrame) -> bool:
        samples = (request.sample for batch in self.groups[index] for request in batch)
        return may_be_better(rows, {sample.id: sample.path for sample in samples}, self.cause.again)


def left(below: Path, beginning: str, own: str) -> Iterator[Path]:
    """Yield the folders of parts that other runs, whose ids begin so, left below a folder of runs."""
    for folder in sorted(below.glob(f"{beginning}*/{PARTS}")):
        if folder.parent.name != own:
            yield folder


def may_be_better(rows: pd.DataFrame, paths: Mapping[str, Path], again: Collection[Reason]) -> bool:
    """Whether a clip among these rows failed for one of these reasons, and its file, if it was missing, is there now.

    `paths` are files by id.
    """
    failed = rows[rows["reason"].isin([str(reason) for reason in again])]
    missing = failed["reason"] == Reason.MISSING_FILE
    return bool((~missing).any()) or any(os.path.exists(paths[name]) for name in set(failed.loc[missing, "id"]))
