"""A bound on what a process may take while it reads one media file.

Held by the limit on a process' own data (RLIMIT_DATA), which counts what is allocated and not, as one on its address
space would, what libraries and threads merely map. Linux counts so; elsewhere nothing is bounded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

if sys.platform == "linux":
    import resource

GIB = 1 << 30
_STATUS = Path("/proc/self/status")


@contextmanager
def bounded(most: float) -> Iterator[None]:
    """Let this process take `most` GiB beyond what it holds; what asks for more fails. 0 sets no bound."""
    if sys.platform != "linux" or not most or (held := _held()) is None:
        yield
        return
    before, ceiling = resource.getrlimit(resource.RLIMIT_DATA)
    bound = held + round(most * GIB)
    if ceiling != resource.RLIM_INFINITY:
        bound = min(bound, ceiling)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, ceiling))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, ceiling))


def ran_out(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that there was no memory."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem):
            return True
        if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):  # of torch
            return True
        error = error.__cause__ or error.__context__
    return False


def _held() -> int | None:
    """Return the bytes of data that this process holds, None where the system does not tell."""
    try:
        lines = _STATUS.read_text("ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), None)
