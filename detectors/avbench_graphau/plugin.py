"""ME-GraphAU as a network that avbench pretrain teaches action units."""

from __future__ import annotations

from collections.abc import Iterator

from avbench.hookspecs import hookimpl
from avbench.types import PretrainingSpec
from avbench_graphau.recipe import SPEC


@hookimpl
def avbench_pretrainings() -> Iterator[PretrainingSpec]:
    """Yield ME-GraphAU."""
    yield SPEC
