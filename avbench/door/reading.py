"""What is there: runs of a results folder, and further plugins, from Python."""

from __future__ import annotations

from pathlib import Path

from avbench.paths import results_folder
from avbench.plugins.registry import register_named
from avbench.records.run import Run
from avbench.records.runs import Runs


def runs(results: str | Path | None = None) -> Runs:
    """Return the runs of a results folder (default: $AVBENCH_RESULTS or results), by id; cards are read when asked for.

    Example:

        >>> for run in avbench.runs("results"):
        ...     print(run.id, run.card.status)
        >>> avbench.runs("results").one("fauforensics-within_fakeav").metrics

    `one(name)` takes an id, the beginning of one, or a folder, and raises UserError for none and for several.
    """
    return Runs(Path(results) if results is not None else results_folder())


def run_of(run: Run | str | Path, results: str | Path | None) -> Run:
    """Return a run that is given as it is, by its folder, its id or the beginning of one; UserError for none."""
    return run if isinstance(run, Run) else runs(results).one(str(run))


def register(*plugins: str | Path) -> None:
    """Register plugins for this process, as `--plugin` does: files such as "mine.py", or names of modules.

    Processes that this one starts register them too. Raises UserError for a plugin that cannot be loaded.
    """
    register_named([str(name) for name in plugins])
