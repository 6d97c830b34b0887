"""Numbers of a figure as CSV beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from avbench.paths import atomic_write


def keep(table: pd.DataFrame, drawn: Sequence[Path]) -> list[Path]:
    """Write the numbers beside a figure's first file; return every file, the CSV last."""
    path = drawn[0].with_suffix(".csv")
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False)
    paths = [*drawn, path]
    return paths
