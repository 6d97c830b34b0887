"""Many runs in one command: each training made once, finished runs found again, a failed one stops nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from traceback import format_exc
from typing import Any

from avbench.bench import ensemble
from avbench.bench.backends import Backend
from avbench.bench.interruption import ending_in_order
from avbench.bench.run import found_before, run
from avbench.bench.spec import MLFLOW, Computing, RunSpec
from avbench.config import threads_of
from avbench.data import databases
from avbench.engine.devices import device_named
from avbench.errors import UserError
from avbench.own_line import PluginError, unexpected
from avbench.plugins.registry import Plugins, installed, register_named
from avbench.progress import Progress, made_with, silent
from avbench.records.card import now
from avbench.records.run import Run
from avbench.types import DetectorSpec

Group = tuple[RunSpec, ...]
Begun = Callable[[Sequence[RunSpec]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a spec: its run, or the reason why there is none; `new`: computed now, in so many seconds.

    `failed` is a run that had begun and came to no result. `said` are the lines of news on the way. `trace` says where
    an error came from that no user can mend.
    """

    spec: RunSpec
    run: Run | None = None
    failed: Run | None = None
    reason: str = ""
    trace: str = ""
    new: bool = False
    seconds: float = 0.0
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a process that is started is told: how to compute, and which plugins to load."""

    computing: Computing
    named: tuple[str, ...]
    declared: tuple[DetectorSpec, ...]


def fitting(spec: RunSpec, plugins: Plugins) -> RunSpec:
    """Return the spec without its preset where the detector has no choice of them, such as a control."""
    detector = plugins.detector(spec.detector)
    return replace(spec, preset=None) if len(detector.presets) == 1 and not detector.members else spec


def groups(specs: Sequence[RunSpec], plugins: Plugins) -> list[list[Group]]:
    """Return the runs in phases of groups: what shares a training is one group, computed in order by one process.

    Ensembles are the second phase. Members that nobody asked for are added to the first one, so that no two
    ensembles train the same member at once.
    """
    joined = [spec for spec in specs if plugins.detector(spec.detector).members]
    single = [spec for spec in specs if not plugins.detector(spec.detector).members]
    single += [member for spec in joined for member in ensemble.members_of(spec, plugins)]
    phases = []
    for phase in (single, joined):
        by_training: dict[Hashable, dict[str, RunSpec]] = {}
        for spec in phase:
            by_training.setdefault(spec.training_group, {}).setdefault(spec.fingerprint, spec)
        phases.append([tuple(group.values()) for group in by_training.values()])
    return [phase for phase in phases if phase]


def run_matrix(
    specs: Sequence[RunSpec],
    plugins: Plugins,
    *,
    computing: Computing | None = None,
    jobs: int = 1,
    backend: str = "loky",
    slurm: Mapping[str, str | int] | None = None,
    progress: Progress = silent,
    begun: Begun = lambda specs: None,
    done: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Compute every run and return what became of each, in the order in which they ended.

    Each of several `jobs` is a process of joblib's `backend`: loky, or ray or dask on a cluster; or, with the options
    `slurm`, a job of Slurm. `begun` is told the runs that are computed now, `done` each outcome; both are called in
    this process, as is the observer that logs to MLflow. Raises UserError for a backend that is not there; what ails a
    single run is its outcome's reason.
    """
    if jobs < 1:
        raise UserError(f"--jobs {jobs}: use 1 or more")
    computing = computing or Computing()
    options: dict[str, str | int] = dict(slurm or {})
    if backend == "slurm":  # a core for each thread, unless more is asked for
        options.setdefault("cpus_per_task", max((threads_of(spec.overrides) for spec in specs), default=1))
    place = Backend(name=backend, jobs=jobs, slurm=options, folder=computing.results_folder / "slurm")
    if backend == "loky":  # elsewhere are other devices
        device_named(computing.device)
    for spec in specs:
        for name in dict.fromkeys((spec.protocol.train, spec.protocol.test)):
            with suppress(UserError):  # what is missing is told by the runs that need it
                made = made_with(progress, "make demo data")
                base = plugins.dataset(name)
                databases.locate(base, spec.roots, plugins.datasets(), made, allow_demo=spec.allow_demo)
    outcomes: list[Outcome] = []
    for phase in groups(specs, plugins):
        computed = _alone(phase, plugins, computing, progress, begun)
        if not place.is_this_process:
            computed = _shared(phase, plugins, computing, place, begun)
        with closing(computed):
            for outcome in computed:
                outcomes.append(outcome)
                done(outcome)
    return outcomes


def _alone(
    phase: Sequence[Group], plugins: Plugins, computing: Computing, progress: Progress, begun: Begun
) -> Generator[Outcome, None, None]:
    for group in phase:
        for spec in group:
            begun([spec])
            yield _attempt(spec, plugins, computing, progress)


def _shared(
    phase: Sequence[Group], plugins: Plugins, computing: Computing, place: Backend, begun: Begun
) -> Generator[Outcome, None, None]:
    """Compute groups in processes of their own and log their runs to MLflow from this one: its store is one file."""
    told = _Told(
        computing=replace(computing, mlflow=False),
        named=tuple(plugins.named),
        declared=_importable(plugins.declared.values()),
    )
    chains = [[(group, told, number)] for number, group in enumerate(phase)]
    if place.name == "loky":  # a process that is killed costs the run that it computes, not its group
        chains = [[((spec,), told, number) for spec in group] for ((group, _, number),) in chains]
    made = place.computed(_work, chains, lost=partial(_lost, plugins=plugins), begun=lambda call: begun(call[0]))
    with closing(made):
        for outcome in (one for outcomes in made for one in outcomes):
            if computing.mlflow and outcome.new and (ended := outcome.run or outcome.failed) is not None:
                hook = "avbench_run_finished" if outcome.run is not None else "avbench_run_failed"
                plugins.notify(hook, only={MLFLOW}, card=ended.card, folder=ended.folder)
            yield outcome


def _lost(call: tuple[Any, ...], reason: str, plugins: Plugins) -> list[Outcome]:
    """Return what became of a group whose process was ended from outside: what it had finished is there."""
    outcomes, told = [], call[1]
    for spec in call[0]:
        run = None
        if len(call[0]) > 1:
            with suppress(UserError):  # which is why this run failed, or would have
                run = found_before(spec, plugins, computing=told.computing)
        outcomes.append(Outcome(spec=spec, run=run, reason="" if run else reason, new=True))
    return outcomes


def _importable(declared: Iterable[DetectorSpec]) -> tuple[DetectorSpec, ...]:
    """Return detectors that another process can load; UserError for one of the program that runs."""
    for spec in declared:
        if spec.load.startswith("__main__:"):
            raise UserError(
                f"detector {spec.name}: its class is in the program that runs, where another process does not find it; "
                "put it into a module of its own, or use jobs=1"
            )
    return tuple(declared)


def _work(group: Group, told: _Told, number: int) -> list[Outcome]:
    """Compute a group in a process of its own, which ends in order where a signal asks for it."""
    with ending_in_order(signal.SIGINT):
        return _computed(group, told, number)


def _computed(group: Group, told: _Told, number: int) -> list[Outcome]:
    import torch

    register_named(told.named)
    for spec in told.declared:
        installed().declare(spec)
    gpus, computing = torch.cuda.device_count(), told.computing
    if gpus and computing.device == "auto":
        computing = replace(computing, device=f"cuda:{number % gpus}")
    return [_attempt(spec, installed(), computing, silent) for spec in group]


def _attempt(spec: RunSpec, plugins: Plugins, computing: Computing, progress: Progress) -> Outcome:
    started, began = time.monotonic(), now()
    said: list[str] = []
    failed: list[Run] = []
    try:
        found = run(spec, plugins, computing=computing, progress=progress, say=said.append, failed=failed.append)
    except Exception as error:
        told = isinstance(error, UserError)
        return Outcome(
            spec=spec,
            failed=failed[0] if failed else None,
            reason=str(error) if told else unexpected(error),
            trace="" if told and not isinstance(error, PluginError) else format_exc(),
            new=True,
            seconds=time.monotonic() - started,
            said=tuple(said),
        )
    new = found.card.started >= began
    return Outcome(spec=spec, run=found, new=new, seconds=time.monotonic() - started, said=tuple(said))
