"""Measures many files in worker processes: cached, with a progress bar, whatever a broken file does to its process."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TypeAlias

from avbench.data.blame import blamed
from avbench.data.file_cache import FileCache, Measured
from avbench.data.memory import bounded
from avbench.data.workers import Fault, Work, Worker, begin_file
from avbench.progress import Progress, silent
from avbench.types import PASSING, Reason

log = logging.getLogger(__name__)
Outcomes: TypeAlias = list[Measured]

REASON = "reason"  # the key under which a file that could not be measured says why
A_TASK = 8  # files that a worker is asked for at a time
AHEAD = 2  # tasks that each worker has been asked for
SAVED_EACH = 256  # files after which the cache is written
NOT_KEPT = {*PASSING, Reason.BAD_MEDIA}  # reasons that another version of what reads may not find


def scan_files(
    paths: Iterable[Path],
    measure: Work,
    kind: str,
    *,
    workers: int | None = None,
    time_limit: float = 120.0,
    memory: float = 4.0,
    progress: Progress = silent,
    title: str = "read files",
) -> dict[Path, Measured]:
    """Return `measure(path)`, a dictionary of plain values, for each of `paths`, from the cache where it is there.

    A file for which `measure` raises, crashes or takes longer than `time_limit` seconds, or more than `memory` GiB,
    has {"reason": code, "error": text} alone.
    With 0 workers all is done in this process; None: one for each of at most eight cores.
    """
    wanted = list(dict.fromkeys(paths))
    cache = FileCache(kind)
    try:
        found = cache.find(wanted)
        todo = [path for path in wanted if path not in found]
        fresh: dict[Path, Measured] = {}
        with progress(title, len(wanted), len(found)) as bar:
            work = partial(_attempt_all, measure=measure, memory=0.0 if workers == 0 else memory)
            for path, value in _measured(todo, work, cores() if workers is None else workers, time_limit):
                found[path] = value
                if value.get(REASON) not in NOT_KEPT:
                    fresh[path] = value
                if len(fresh) >= SAVED_EACH:
                    cache.keep(fresh)
                    fresh = {}
                bar.advance()
        cache.keep(fresh)
    finally:
        cache.close()
    return {path: found[path] for path in wanted}


def cores() -> int:
    """Return how many processes read files by default: one for each of at most eight cores."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, 8))


def _measured(paths: Sequence[Path], work: Work, workers: int, time_limit: float) -> Iterator[tuple[Path, Measured]]:
    tasks = [tuple(paths[i : i + A_TASK]) for i in range(0, len(paths), A_TASK)]
    if workers == 0 or not tasks:
        for task in tasks:
            yield from zip(task, work(task), strict=True)
        return
    crew = [Worker(work, time_limit) for _ in range(min(workers, len(tasks)))]
    turns: deque[tuple[Worker, tuple[Path, ...]]] = deque()
    try:
        for worker, task in zip(cycle(crew), tasks, strict=False):
            worker.ask(task)
            turns.append((worker, task))
            if len(turns) == len(crew) * AHEAD:
                yield from _answered(*turns.popleft())
        while turns:
            yield from _answered(*turns.popleft())
    finally:
        for worker in crew:
            worker.stop()


def _answered(worker: Worker, task: tuple[Path, ...]) -> Iterator[tuple[Path, Measured]]:
    """Yield what a worker owes; where it fails, its files are measured one at a time, each in its own process."""
    try:
        values = worker.answer()
    except Fault as fault:
        log.warning("%s; its %d files are read one at a time", fault, len(task))
        worker.restart()
        values = [_apart(worker, path) for path in task]
    yield from zip(task, values, strict=True)


def _apart(worker: Worker, path: Path) -> Measured:
    alone = worker.again()
    alone.ask((path,))
    try:
        (value,) = alone.answer()
        found: Measured = value
        return found
    except Fault as fault:
        return {REASON: str(fault.reason), "error": str(fault)}
    finally:
        alone.stop()


def _attempt_all(paths: Sequence[Path], measure: Work, memory: float) -> Outcomes:
    return [_attempt(path, measure, memory) for path in paths]


def _attempt(path: Path, measure: Work, memory: float) -> Measured:
    begin_file()
    try:
        with bounded(memory):
            value: Measured = measure(path)
        return value
    except Exception as error:  # of a library over a broken file: it costs this file only
        log.debug("%s", path, exc_info=True)
        found, _ = blamed(error, path)
        return {REASON: str(found.reason), "error": str(found)}
