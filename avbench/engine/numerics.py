"""How torch computes while a run lasts: with so many threads, and on a GPU with deterministic kernels."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from avbench.config import Config
from avbench.engine.environment import environment
from avbench.records.card_parts import Environment

# Read when a library is loaded, by this process' later ones and by the processes it starts.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_WITHOUT = re.compile(r"(\S+) does not have a deterministic implementation")
_CUBLAS = re.compile(r"not deterministic because it uses (CuBLAS)")

Look = Callable[[], Environment]


@contextmanager
def computing_as(config: Config, device: torch.device) -> Iterator[Look]:
    """Compute with the configuration's threads and kernels, and as before afterwards.

    Yields a function that returns the environment so far, with the operations that had no deterministic kernel.
    """
    met: set[str] = set()
    with ExitStack() as stack:
        stack.enter_context(_threads(config.threads))
        if device.type == "cuda":
            stack.enter_context(_kernels(deterministic=config.deterministic))
            stack.enter_context(_noting(met))
        yield partial(_look, device, met)


def _look(device: torch.device, met: set[str]) -> Environment:
    return environment(device, met)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Share sums among so many threads, in torch, NumPy and whatever else is loaded, and in what is loaded later."""
    before = torch.get_num_threads()
    with _variables(dict.fromkeys(_THREADS, str(count))), threadpool_limits(limits=count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _kernels(*, deterministic: bool) -> Iterator[None]:
    """Have a GPU take deterministic kernels where there are any, or leave the choice to its libraries."""
    # Read by cuBLAS when it is first used; without it, its sums may differ from call to call.
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn: Any = torch.backends.cudnn
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
    )
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    cudnn.deterministic, cudnn.benchmark = deterministic, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = before[2:]


@contextmanager
def _noting(met: set[str]) -> Iterator[None]:
    """Put the operations of which torch warns that they have no deterministic kernel into `met`, and show them not."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def note(message: Warning | str, *arguments: Any, **named: Any) -> None:
            found = _WITHOUT.search(str(message)) or _CUBLAS.search(str(message))
            if found is None:
                shown(message, *arguments, **named)
            else:
                met.add(found[1])

        for pattern in (_WITHOUT, _CUBLAS):
            warnings.filterwarnings("always", message=f".*{pattern.pattern}")
        warnings.showwarning = note
        yield
