"""Which demo data are made: whose people and words they have, and how much their forgeries give themselves away."""

from __future__ import annotations

from dataclasses import dataclass

from avbench.errors import unknown
from avbench_demo.difficulty import DIFFICULTIES, Difficulty


@dataclass(frozen=True, slots=True)
class Edition:
    """Whose people and words demo data have: every draw begins with `seed`, so that no two editions share anybody."""

    name: str
    seed: int


# Presets are tuned on one edition; results are published on another, at which nobody looked before.
EDITIONS = {edition.name: edition for edition in (Edition("published", 4711), Edition("tuning", 2024))}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides every byte of the demo data: difficulty and edition."""

    difficulty: Difficulty
    edition: Edition

    @classmethod
    def named(cls, difficulty: str, edition: str) -> Recipe:
        """Return the recipe with these names; UserError for a name that there is not."""
        if difficulty not in DIFFICULTIES:
            raise unknown("difficulty", difficulty, DIFFICULTIES)
        if edition not in EDITIONS:
            raise unknown("edition", edition, EDITIONS)
        return cls(DIFFICULTIES[difficulty], EDITIONS[edition])
