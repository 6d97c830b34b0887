"""How often a fault is tried: a few times in the default tests, the number of docs/reliability.md when asked for.

AVBENCH_FAULTS is a share of the long form: 1 is all of it, 0.1 a tenth, nothing (0) the short form.
"""

from __future__ import annotations

import os
from collections.abc import Callable

Tally = Callable[[str, int, str], None]  # the fixture `tally`: what was tried, how often, what was seen
SHARE = float(os.environ.get("AVBENCH_FAULTS") or 0)


def times(few: int, many: int) -> int:
    """Return how often a fault is tried that the long form tries `many` times and the short form `few` times."""
    return max(few, round(many * SHARE))
