"""Where a matrix' cells are computed: processes of this machine, or a Ray or Dask cluster, through joblib."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from avbench.errors import UserError

BACKENDS = ("loky", "ray", "dask")


@contextmanager
def backend(name: str, jobs: int) -> Iterator[str]:
    """Make joblib compute on a backend; yield its `return_as`: of Ray, results come all at once, at the end.

    Ray's cluster is the one of RAY_ADDRESS, Dask's scheduler that of DASK_SCHEDULER_ADDRESS; without them either starts
    `jobs` workers on this machine. Raises a UserError for a backend that is not known, not installed or not reachable.
    """
    import joblib

    if name not in BACKENDS:
        raise UserError(f"--backend {name}: use one of {', '.join(BACKENDS)}")
    with ExitStack() as stack:
        try:
            if name == "ray":
                _ray(stack, jobs)
            elif name == "dask":
                _dask(stack, jobs)
            if name != "loky":
                stack.enter_context(joblib.parallel_config(backend=name))
        except ImportError as error:
            raise UserError(f"--backend {name}: {error}; pip install 'avbench[cluster]'") from error
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
