"""Where a matrix' cells are computed: processes of this machine, a Ray or Dask cluster, or jobs of a Slurm cluster."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from avbench.bench import processes, slurm
from avbench.bench.processes import Call, Chain
from avbench.engine.ranks import is_alone
from avbench.errors import UserError, in_one_line

log = logging.getLogger(__name__)

BACKENDS = ("loky", "ray", "dask", "slurm")
_INSTALL = "pip install 'avbench[cluster]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Where calls of a function are computed, how many at a time, and what a job of Slurm asks for.

    `slurm` are options of slurm.OPTIONS, `folder` is where its jobs leave scripts, logs and results. Raises UserError
    for a backend or option that is not known, and where submitit is not installed.
    """

    name: str = "loky"
    jobs: int = 1
    slurm: Mapping[str, str | int] = field(default_factory=dict)
    folder: Path = Path("slurm")

    def __post_init__(self) -> None:
        if self.name not in BACKENDS:
            raise UserError(f"--backend {self.name}: use one of {', '.join(BACKENDS)}")
        if self.slurm and self.name != "slurm":
            raise UserError(f"--slurm: says what jobs of --backend slurm ask for, and this is --backend {self.name}")
        if self.name == "slurm" and find_spec("submitit") is None:
            raise UserError(f"--backend slurm: submitit is not installed; {_INSTALL}")
        slurm.checked(self.slurm)

    @property
    def is_this_process(self) -> bool:
        """Whether calls are made one after the other, in the process that asks."""
        return self.jobs == 1 and self.name != "slurm"

    def computed(
        self,
        work: Callable[..., Any],
        chains: Sequence[Chain],
        *,
        lost: Callable[[Call, str], Any],
        begun: Callable[[Call], None] = lambda call: None,
    ) -> Generator[Any, None, None]:
        """Yield what `work` returns for each call, as they end; of Ray, all at the end.

        The calls of a chain are made one after the other. `begun` is told of calls that begin, as far as it is known
        when they do. Of a call whose process or job was ended from outside, what `lost` makes of it and the reason is
        yielded. Closing the generator ends what is under way. Raises UserError for a backend that is not installed or
        does not answer.
        """
        if self.name == "loky":
            threads = max(1, cores() // self.jobs)
            yield from processes.computed(work, chains, lost=lost, begun=begun, jobs=self.jobs, threads=threads)
            return
        calls = [call for chain in chains for call in chain]
        for call in calls[: self.jobs]:
            begun(call)
        later = deque(calls[self.jobs :])
        for found in self._on_cluster(work, calls, lost):
            yield found
            if later:
                begun(later.popleft())

    def _on_cluster(
        self, work: Callable[..., Any], calls: Sequence[Call], lost: Callable[[Call, str], Any]
    ) -> Iterator[Any]:
        if self.name == "slurm":
            options = slurm.checked(self.slurm)
            yield from slurm.computed(work, calls, lost=lost, jobs=self.jobs, options=options, folder=self.folder)
            return
        import joblib

        with _joblib(self.name, self.jobs) as return_as:
            parallel = joblib.Parallel(n_jobs=self.jobs, return_as=return_as, batch_size=1)
            waiting = dict(enumerate(calls))
            try:
                tasks = (joblib.delayed(_numbered)(number, work, call) for number, call in waiting.copy().items())
                for number, found in parallel(tasks):
                    del waiting[number]
                    yield found
            except UserError:
                raise
            except Exception as error:  # a process of the cluster that dies takes with it what the others were asked
                log.warning("a process of --backend %s was lost (%s); one call at a time now", self.name, error)
            for number, call in waiting.items():
                try:
                    ((_, found),) = list(parallel([joblib.delayed(_numbered)(number, work, call)]))
                except UserError:
                    raise
                except Exception as error:
                    found = lost(call, f"its process was lost: {in_one_line(error)}; repeat the command to try again")
                yield found


def _numbered(number: int, work: Callable[..., Any], call: Call) -> tuple[int, Any]:
    return number, work(*call)


def jobs_borne(backend: str, device: str, threads: int) -> int:
    """Return how many runs of so many threads this machine bears at a time: one a GPU, else as many as fit its cores.

    One where several processes share a run or a GPU is named; of Slurm, as many as its queue is given.
    """
    if backend == "slurm":
        return slurm.AT_ONCE
    if not is_alone() or device.startswith("cuda"):
        return 1
    import torch

    if device == "auto" and (gpus := torch.cuda.device_count()):
        return gpus
    return max(1, cores() // threads)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _joblib(name: str, jobs: int) -> Iterator[str]:
    """Make joblib compute on a cluster; yield its `return_as`: of Ray, results come all at once, at the end.

    Ray's cluster is the one of RAY_ADDRESS, Dask's scheduler that of DASK_SCHEDULER_ADDRESS; without them either starts
    `jobs` workers on this machine.
    """
    import joblib

    with ExitStack() as stack:
        try:
            if name == "ray":
                _ray(stack, jobs)
            else:
                _dask(stack, jobs)
            stack.enter_context(joblib.parallel_config(backend=name))
        except ImportError as error:
            raise UserError(f"--backend {name}: {error}; {_INSTALL}") from error
        except OSError as error:  # of which timeouts and connection errors are
            raise UserError(f"--backend {name}: its cluster does not answer: {error}") from error
        yield "list" if name == "ray" else "generator_unordered"


def _ray(stack: ExitStack, jobs: int) -> None:
    import ray
    from ray.util.joblib import register_ray

    if not ray.is_initialized():
        own = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": jobs}
        ray.init(log_to_driver=False, include_dashboard=False, **own)
        stack.callback(ray.shutdown)
    register_ray()


def _dask(stack: ExitStack, jobs: int) -> None:
    import dask
    from distributed import Client

    for name in ("distributed", "distributed.scheduler", "distributed.nanny", "distributed.core"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # a worker decodes videos in processes of its own, which a daemon may not have
    stack.enter_context(dask.config.set({"distributed.worker.daemon": False}))
    stack.enter_context(Client(n_workers=jobs, threads_per_worker=1, dashboard_address=None))
