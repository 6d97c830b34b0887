"""Many cells in one command: each training made once, finished cells found again, a failed one stops nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avbench.bench import ensemble
from avbench.bench.backends import Backend
from avbench.bench.cell import Cell
from avbench.data import databases
from avbench.errors import UserError
from avbench.plugins.registry import Plugins, installed, register_named
from avbench.progress import Progress, made_with, silent
from avbench.records.card import Card, now

Group = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a cell: its card and the run's folder, or the reason why there is none; `new`: computed now."""

    cell: Cell
    card: Card | None = None
    folder: Path | None = None
    reason: str = ""
    new: bool = False
    seconds: float = 0.0


def key_of(cell: Cell) -> Hashable:
    """Return what tells cells of one command apart."""
    return cell.detector, cell.overrides, cell.protocol.name, cell.protocol.digest(), cell.task, cell.seed


def groups(cells: Sequence[Cell], plugins: Plugins) -> list[list[Group]]:
    """Return the cells in phases of groups: what shares a training is one group, computed in order by one process.

    Ensembles are the second phase. Members that nobody asked for are added to the first one, so that no two
    ensembles train the same member at once.
    """
    joined = [cell for cell in cells if plugins.detector(cell.detector).members]
    single = [cell for cell in cells if not plugins.detector(cell.detector).members]
    single += [member for cell in joined for member in ensemble.members_of(cell, plugins)]
    phases = []
    for phase in (single, joined):
        by_training: dict[Hashable, dict[Hashable, Cell]] = {}
        for cell in phase:
            by_training.setdefault(_training(cell), {}).setdefault(key_of(cell), cell)
        phases.append([tuple(group.values()) for group in by_training.values()])
    return [phase for phase in phases if phase]


def _training(cell: Cell) -> Hashable:
    """Return what two cells have in common that need the same training."""
    protocol = cell.protocol
    shaping = (protocol.train, protocol.fold, protocol.select_on, protocol.strict_identity and protocol.test)
    return cell.detector, cell.overrides, cell.task, cell.seed, shaping


def run_matrix(
    cells: Sequence[Cell],
    plugins: Plugins,
    *,
    jobs: int = 1,
    backend: str = "loky",
    slurm: Mapping[str, str | int] | None = None,
    progress: Progress = silent,
    begun: Callable[[Sequence[Cell]], None] = lambda cells: None,
    done: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Compute every cell and return what became of each, in the order in which they ended.

    Each of several `jobs` is a process of joblib's `backend`: loky, or ray or dask on a cluster; or, with the options
    `slurm`, a job of Slurm. `begun` is told the cells that are computed now, `done` each outcome; both are called in
    this process.
    """
    place = Backend(name=backend, jobs=jobs, slurm=slurm or {}, folder=cells[0].results_folder / "slurm")
    for name in dict.fromkeys(name for cell in cells for name in (cell.protocol.train, cell.protocol.test)):
        with suppress(UserError):  # what is missing is told by the cells that need it
            made = made_with(progress, "make demo data")
            databases.locate(plugins.dataset(name), cells[0].roots, plugins.datasets(), made)
    outcomes: list[Outcome] = []
    for phase in groups(cells, plugins):
        computed = _alone(phase, plugins, progress, begun)
        if not place.is_this_process:
            computed = _shared(phase, plugins, place, begun)
        for outcome in computed:
            outcomes.append(outcome)
            done(outcome)
    return outcomes


def _alone(
    phase: Sequence[Group], plugins: Plugins, progress: Progress, begun: Callable[[Sequence[Cell]], None]
) -> Iterator[Outcome]:
    for group in phase:
        for cell in group:
            begun([cell])
            yield _attempt(cell, plugins, progress)


def _shared(
    phase: Sequence[Group], plugins: Plugins, place: Backend, begun: Callable[[Sequence[Cell]], None]
) -> Iterator[Outcome]:
    waiting = list(phase[place.jobs :])
    begun([cell for group in phase[: place.jobs] for cell in group])
    calls = [(group, tuple(plugins.named), place.threads, number) for number, group in enumerate(phase)]
    for outcomes in place.computed(_work, calls, _lost):
        yield from outcomes
        begun(waiting.pop(0) if waiting else [])


def _lost(call: tuple[Any, ...], reason: str) -> list[Outcome]:
    """Return what became of a group whose process was ended from outside."""
    return [Outcome(cell, reason=reason, new=True) for cell in call[0]]


def _work(group: Group, named: Sequence[str], threads: int, number: int) -> list[Outcome]:
    """Compute a group in a process of its own; the process that asked for it logs the runs."""
    import torch

    os.environ["AVBENCH_MLFLOW"] = "off"
    torch.set_num_threads(threads)
    register_named(named)
    gpus = torch.cuda.device_count()
    here = [replace(c, device=f"cuda:{number % gpus}") if gpus and c.device == "auto" else c for c in group]
    return [replace(_attempt(c, installed(), silent), cell=cell) for c, cell in zip(here, group, strict=True)]


def _attempt(cell: Cell, plugins: Plugins, progress: Progress) -> Outcome:
    from avbench.bench.run import run_cell

    started, began = time.monotonic(), now()
    try:
        card, folder = run_cell(cell, plugins, progress=progress)
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return Outcome(cell, reason=reason, new=True, seconds=time.monotonic() - started)
    return Outcome(cell, card, folder, new=card.started >= began, seconds=time.monotonic() - started)
