"""ME-GraphAU's folds: three parts of people; fold 1 tests the third, fold 2 the second, fold 3 the first."""

from __future__ import annotations

from collections.abc import Sequence

from avbench.errors import UserError


def training_people(title: str, parts: Sequence[Sequence[str]], fold: int) -> frozenset[str]:
    """Return the people of the parts that a fold does not test; UserError for a fold there is not."""
    if not 1 <= fold <= len(parts):
        raise UserError(f"{title}: fold {fold} does not exist; use 1 to {len(parts)}")
    tested = len(parts) - fold
    return frozenset(person for number, part in enumerate(parts) if number != tested for person in part)
