"""What an audit says of one pitfall, and the lines above which a measured value is told.

Nothing is told because of a value alone: its whole 95 % interval must lie beyond the line. With few clusters an
interval is too narrow to be believed, so that the worst verdict there is a warning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from avbench.records.measured import Measured
from avbench.records.table import with_interval

Level = Literal["fail", "warning", "ok", "not checked", "not applicable"]
LEVELS: tuple[Level, ...] = ("fail", "warning", "ok", "not checked", "not applicable")
TELLS = 0.6  # an AUC of something that should tell nothing: a warning
GIVES_AWAY = 0.8  # a fail


@dataclass(frozen=True, slots=True)
class Verdict:
    """One pitfall: `numbers` are its rows in docs/audit.md; `evidence` is what was found, `advice` what to do."""

    name: str
    numbers: tuple[int, ...]
    level: Level
    evidence: str
    advice: str = ""
    value: float | None = None
    ci95: tuple[float, float] | None = None
    few_clusters: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Area:
    """An AUC with its 95 % interval, `n` rows and the clusters of the rarer class; above and below .5 tell as much.

    `value` is None where a class is missing, `ci95` where there is one cluster alone.
    """

    value: float | None
    ci95: tuple[float, float] | None
    n: int
    clusters: int
    few_clusters: bool

    @property
    def surely(self) -> float:
        """Return how far the nearer end of the interval is from .5, as an AUC; below .5 where .5 is inside."""
        if self.ci95 is None:
            return 0.5
        low, high = self.ci95
        return max(low, 1 - high)

    @property
    def level(self) -> Level:
        """Return what such an area of something that should tell nothing means."""
        if self.value is None:
            return "not applicable"
        if self.ci95 is None:
            return "not checked"
        if self.surely <= TELLS:
            return "ok"
        return "warning" if self.surely <= GIVES_AWAY or self.few_clusters else "fail"

    @property
    def shown(self) -> str:
        """Return the area in percent with its interval; a star says that there are few clusters."""
        return with_interval(Measured(self.value, self.ci95, few_clusters=self.few_clusters))

    def one_sided(self) -> Area:
        """Return an area that tells nothing where it lies below .5: a cross-validated guess is then only wrong."""
        if self.value is None or self.ci95 is None:
            return self
        low, high = self.ci95
        return replace(self, value=max(0.5, self.value), ci95=(max(0.5, low), max(0.5, high)))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def worst(levels: Iterable[Level]) -> Level:
    """Return the level that stands first in LEVELS."""
    return min(levels, key=LEVELS.index, default="not applicable")


def in_part(evidence: str, part: str) -> str:
    """Say in which part of the data something was found, where it was not looked for in all of them."""
    return evidence if part == "all" else f"{evidence} [{part}]"
