"""A perturbation that changes nothing makes a flat curve that looks like robustness; this ends the work instead."""

from __future__ import annotations

from collections import Counter
from math import inf

import pandas as pd

from avbench.data.loading import LoadedBatch
from avbench.errors import UserError

ENOUGH = 10  # clips that a condition may leave as they are before it is held to do nothing


class Effects:
    """Counts, by condition, the clips that it left as they are, until it changes one."""

    def __init__(self) -> None:
        self._unchanged: Counter[tuple[str, int]] = Counter()
        self._works: set[tuple[str, int]] = set()

    def note(self, loaded: LoadedBatch) -> None:
        """Raise UserError for a condition that left the first `ENOUGH` clips as they are."""
        for request, change in zip(loaded.requests, loaded.changes, strict=True):
            if request.condition is None or change is None:
                continue
            key = request.condition.name, request.condition.level
            if not _nothing(change.psnr, change.snr):
                self._works.add(key)
            elif key not in self._works:
                self._unchanged[key] += 1
                if self._unchanged[key] >= ENOUGH:
                    raise without_effect(*key, self._unchanged[key])


def require_effects(table: pd.DataFrame) -> None:
    """Raise UserError for a condition of a scores table that changed not one clip."""
    scored = table[(table["level"] > 0) & table["score"].notna()]
    for _, rows in scored.groupby(["perturbation", "level"]):
        if all(_nothing(psnr, snr) for psnr, snr in zip(rows["psnr"], rows["snr"], strict=True)):
            raise without_effect(str(rows["perturbation"].iloc[0]), int(rows["level"].iloc[0]), len(rows))


def without_effect(name: str, level: int, clips: int) -> UserError:
    """Return the error about a condition that changed none of so many clips."""
    return UserError(
        f"{name} at level {level} changed nothing in {clips} clips, so that its scores would say nothing about "
        "robustness; leave it out with --types (blockwise needs pictures of 256 px: use blockwise_adapted)"
    )


def _nothing(psnr: float, snr: float) -> bool:
    """Whether nothing that can be measured changed: inf where a stream is as before, nan where it was not touched."""
    return all(value == inf for value in (psnr, snr) if value == value)
