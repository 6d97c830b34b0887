"""The settings of the controls; light, so that declaring them imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from avbench.types import Count, Range


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is kept of a large database, and the weight of the L2 penalty on standardised numbers."""

    kept: Count = 20_000  # clips
    penalty: Annotated[float, Range(above=0)] = 1.0
