"""Which seeds a command trains where nobody says: three on demo data, which show their spread, and one on real data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from avbench.data import databases
from avbench.errors import UserError
from avbench.progress import Progress, made_with

if TYPE_CHECKING:
    from collections.abc import Mapping

    from avbench.plugins.registry import Plugins
    from avbench.types import Protocol

DEMO, REAL = (0, 1, 2), (0,)


def usual_seeds(
    protocol: Protocol, plugins: Plugins, roots: Mapping[str, Path], progress: Progress, *, allow_demo: bool = False
) -> tuple[int, ...]:
    """Return the seeds of a protocol; where demo data stand in for its databases, they are made first.

    What is wrong with the data is told by the runs that need them.
    """
    made = made_with(progress, "make demo data")
    try:
        for name in dict.fromkeys((protocol.test, protocol.train)):
            found = databases.locate(plugins.dataset(name), roots, plugins.datasets(), made, allow_demo=allow_demo)
            if found.demo:
                return DEMO
    except UserError:
        return REAL
    return REAL
