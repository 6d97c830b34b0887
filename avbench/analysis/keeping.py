"""Numbers of a figure as CSV beside it, and both told to MLflow where it is up."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from avbench.analysis.subject import Subject
from avbench.places import written_whole

log = logging.getLogger(__name__)


def keep(subject: Subject, table: pd.DataFrame, drawn: Sequence[Path]) -> list[Path]:
    """Write the numbers beside a figure's first file, log all to MLflow; return every file, the CSV last."""
    path = drawn[0].with_suffix(".csv")
    with written_whole(path) as temporary:
        table.to_csv(temporary, index=False)
    paths = [*drawn, path]
    if os.environ.get("AVBENCH_MLFLOW", "on") != "off":
        from avbench.tracking import log_figures

        try:
            log_figures(subject.card["id"], subject.folder, paths)
        except Exception as error:  # what was drawn is there, whatever becomes of the server
            log.warning("not logged to MLflow (%s)", str(error).splitlines()[0] if str(error) else type(error).__name__)
    return paths
