"""One action unit of a video from a CSV of OpenFace 2.0 (intensities 0 to 5, a row a frame)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from avbench.errors import UserError
from avbench.series import Series


def read_unit(path: Path, unit: str, fps: float) -> Series:
    """Return a unit's series (R,1), nan where OpenFace found no face; `fps` where the file tells no timestamps.

    Timestamps are the frames' starts. Raises UserError for what is no such file, or has no intensity of that unit.
    """
    try:
        table = pd.read_csv(path, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no CSV can be read: {str(error).splitlines()[0]}") from error
    table.columns = table.columns.str.strip()
    column = f"{unit}_r"
    if column not in table:
        units = [str(name) for name in table if str(name).startswith("AU") and str(name).endswith("_r")]
        raise UserError(f"{path}: no column {column}; intensities there are: {', '.join(units) or 'none'}")
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float32, copy=True)
    if "success" in table:
        values[table["success"].to_numpy() != 1] = np.nan
    if "timestamp" not in table:
        return Series.of_frames(values[:, None], fps)
    starts = table["timestamp"].to_numpy(np.float64)
    if len(starts) < 2 or np.any(np.diff(starts) <= 0):
        raise UserError(f"{path}: timestamps must rise, over two frames or more; one face a file")
    return Series(starts, np.append(np.diff(starts), np.median(np.diff(starts))), values[:, None])
