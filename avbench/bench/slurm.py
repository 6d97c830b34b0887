"""Calls of a function as jobs of a Slurm cluster, through submitit: each ends in its result or the reason why not."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avbench.errors import UserError, unknown

if TYPE_CHECKING:
    import submitit

AT_ONCE = 256  # jobs, unless --jobs says otherwise
OPTIONS: dict[str, type[str] | type[int]] = {
    "partition": str,
    "account": str,
    "qos": str,
    "constraint": str,
    "time": int,  # minutes
    "mem_gb": int,
    "cpus_per_task": int,
    "gpus_per_task": int,
}
DAY = 24 * 60
_CLUSTER = "slurm"
_SECONDS = 1.0  # between two looks at the results folder
_TRACE = re.compile(r"^-{10,}$(.*?)^-{10,}$", re.DOTALL | re.MULTILINE)


class _Resumed:
    """A function that may be called again with the same arguments where a job was preempted or ran out of time."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.work = work

    def __call__(self, *arguments: Any) -> Any:
        return self.work(*arguments)

    def checkpoint(self, *arguments: Any) -> Any:
        """Return what submitit submits anew: the same call, since a run goes on where it was."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *arguments)


def pairs(words: Sequence[str]) -> dict[str, str | int]:
    """Return KEY=VALUE words as options; UserError for a word that is none."""
    found: dict[str, str | int] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise UserError(f"--slurm {word}: use KEY=VALUE, such as --slurm partition=gpu")
        found[name] = value
    return found


def checked(options: Mapping[str, str | int]) -> dict[str, str | int]:
    """Return options of a job with whole numbers where Slurm wants them; UserError for one that is not known."""
    found: dict[str, str | int] = {}
    for name, value in options.items():
        if name not in OPTIONS:
            raise unknown("option of --slurm", name, OPTIONS)
        kind = OPTIONS[name]
        try:
            found[name] = kind(value)
        except ValueError as error:
            unit = " of minutes" if name == "time" else ""
            raise UserError(f"--slurm {name}={value}: use a whole number{unit}") from error
        if kind is int and int(value) < 1:
            raise UserError(f"--slurm {name}={value}: use 1 or more")
    return found


def computed(
    work: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    *,
    lost: Callable[[tuple[Any, ...], str], Any],
    jobs: int,
    options: Mapping[str, str | int],
    folder: Path,
) -> Iterator[Any]:
    """Yield the result of `work` for each call as its job ends, of those without one what `lost` makes of the reason.

    The calls are one array of which `jobs` run at a time. Scripts, logs and results are in `folder`, which every node
    must see. Jobs that are preempted or run out of time are queued again. Those still there are cancelled when the
    caller gives up. Raises UserError where Slurm is not there or refuses the jobs.
    """
    waiting = dict(enumerate(_submitted(work, calls, jobs, options, folder)))
    try:
        while waiting:
            for number in [number for number, job in waiting.items() if job.done()]:
                job = waiting.pop(number)
                error = job.exception()
                yield job.result() if error is None else lost(calls[number], _reason(job, error))
            if waiting:
                time.sleep(_SECONDS)
    finally:
        for job in waiting.values():
            job.cancel(check=False)


def _submitted(
    work: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    jobs: int,
    options: Mapping[str, str | int],
    folder: Path,
) -> list[submitit.Job[Any]]:
    import submitit

    own = {"time": "timeout_min", "mem_gb": "mem_gb", "cpus_per_task": "cpus_per_task"}
    parameters = {own.get(name, f"slurm_{name}"): value for name, value in ({"time": DAY} | dict(options)).items()}
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=_CLUSTER)
        executor.update_parameters(name="avbench", slurm_array_parallelism=jobs, **parameters)
        return executor.map_array(_Resumed(work), *zip(*calls, strict=True))
    except (RuntimeError, OSError) as error:  # of which a failed submission is
        said = " ".join(str(error).split())
        raise UserError(f"--backend slurm: {said}; run the command where sbatch and srun are") from error


def _reason(job: submitit.Job[Any], error: BaseException) -> str:
    """Return in one line why a job has no result: the exception in it, or how Slurm ended it."""
    trace = _TRACE.search(str(error))
    said = trace[1].strip().splitlines()[-1] if trace else f"ended without a result, {job.state}"
    return f"Slurm job {job.job_id}: {said}; its log is {job.paths.stderr}"
