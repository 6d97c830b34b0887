"""Comparing two runs, and auditing data before any training, from Python."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avbench.auditing import subject
from avbench.auditing.report import Audit
from avbench.auditing.report import audit as judge
from avbench.data.lists import Say
from avbench.door.asking import Data, roots_of
from avbench.door.reading import run_of
from avbench.plugins.registry import installed
from avbench.progress import Progress, silent
from avbench.protocol import varied
from avbench.records.run import Run
from avbench.report.compare import Comparison, compare_runs

log = logging.getLogger("avbench")


def compare(first: Run | str | Path, second: Run | str | Path, *, results: str | Path | None = None) -> Comparison:
    """Compare two runs on the videos that both scored, as `avbench compare` does.

    The difference is paired: its interval draws the same people for both. Example:

        >>> found = avbench.compare(run, "avts-within_fakeav-binary-s0")
        >>> found.differences[["metric", "difference", "low", "high", "verdict"]]

    Args:
        first: A finished run, its folder, its id or the beginning of one.
        second: Another one.
        results: The folder in which ids are looked for (default: $AVBENCH_RESULTS or results).

    Returns:
        `differences`, first minus second, as shares of 1; `settings` that differ, and what of the `environment`;
        printed, it is all of them as tables.

    Raises:
        UserError: For runs that share no video or no clip placement, or that disagree about the class of a video.
    """
    return compare_runs(run_of(first, results), run_of(second, results))


def audit(
    name: str,
    *,
    data: Data = None,
    variant: Mapping[str, Any] | None = None,
    limit: int | None = None,
    seed: int = 0,
    resamples: int = 1000,
    workers: int | None = None,
    allow_demo: bool = False,
    say: Say = log.info,
    progress: Progress = silent,
) -> Audit:
    """Look for leaks, shortcuts and imbalance in a database or a protocol, as `avbench audit` does.

    Example:

        >>> found = avbench.audit("within_fakeav", data="/databases")
        >>> [(verdict.level, verdict.name, verdict.evidence) for verdict in found.verdicts]

    Args:
        name: A dataset, audited as a whole, or a protocol, audited on its test list.
        data: As of `run`.
        variant: As of `run`.
        limit: At most so many samples of each part, drawn by seed.
        seed: Of `limit`, of a balanced test list and of the bootstrap.
        resamples: Of the bootstrap.
        workers: Processes that read files (default: by cores).
        allow_demo: As of `run`.
        say: Called with each line of news.
        progress: Shows how far the work is.

    Returns:
        The verdicts, worst first, with what they rest on; `as_dict()` is everything, ready for JSON.

    Raises:
        UserError: For an unknown name, and for data that are not there.
    """
    plugins = installed()
    protocol, whole = subject.find(name, plugins)
    read = subject.read(
        name,
        varied(protocol, variant or {}),
        plugins,
        roots_of(data),
        whole=whole,
        limit=limit,
        seed=seed,
        workers=workers,
        allow_demo=allow_demo,
        progress=progress,
        say=say,
    )
    return judge(read, resamples=resamples, seed=seed, progress=progress)
