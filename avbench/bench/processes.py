"""Calls of a function in processes of this machine: one that is killed costs the call that it had, and no other."""

from __future__ import annotations

import os
import re
import signal
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from avbench.errors import UserError, in_one_line

if TYPE_CHECKING:
    from joblib.externals.loky import ProcessPoolExecutor

Call: TypeAlias = tuple[Any, ...]
Chain: TypeAlias = Sequence[Call]

# Seconds that processes which are asked to end have to note how far they came.
GRACE = 30.0
# What libraries take their number of threads from.
_THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMBA", "NUMEXPR")
_EXIT = re.compile(r"\{(.*?)\}")


def computed(
    work: Callable[..., Any],
    chains: Sequence[Chain],
    *,
    lost: Callable[[Call, str], Any],
    begun: Callable[[Call], None],
    jobs: int,
    threads: int,
) -> Generator[Any, None, None]:
    """Yield what `work` returns for each call, as they end; the calls of a chain are made one after the other.

    `jobs` processes with `threads` threads each make a call at a time; `begun` is told of each. Of a call whose process
    was killed, or that raised, what `lost` makes of it and the reason is yielded. Processes still at work when the
    caller gives up are asked to end, and killed after `GRACE` seconds. Raises UserError where a call does.
    """
    from concurrent.futures import FIRST_COMPLETED, wait

    waiting = deque(deque(chain) for chain in chains if chain)
    seats = [_Seat(work, threads) for _ in range(min(jobs, len(waiting)))]
    free, busy = list(seats), dict[Future[Any], _Seat]()
    try:
        while waiting or busy:
            while free and waiting:
                seat = free.pop()
                seat.chain = waiting.popleft()
                begun(seat.chain[0])
                busy[seat.start()] = seat
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                seat = busy.pop(future)
                call, reason = seat.chain.popleft(), seat.why_lost(future)
                yield future.result() if reason is None else lost(call, reason)
                if seat.chain:
                    begun(seat.chain[0])
                    busy[seat.start()] = seat
                else:
                    free.append(seat)
    finally:
        for seat in busy.values():
            seat.ask_to_end()
        with suppress(KeyboardInterrupt):  # asked once more: at once
            wait(busy, timeout=GRACE)
        for seat in seats:
            seat.close()


class _Seat:
    """A process that makes the calls of a chain one by one, and another in its place where it was killed."""

    def __init__(self, work: Callable[..., Any], threads: int) -> None:
        self.chain: deque[Call] = deque()
        self._work = work
        self._environment = {
            f"{name}_NUM_THREADS": os.environ.get(f"{name}_NUM_THREADS", str(threads)) for name in _THREADS
        }
        self._executor: ProcessPoolExecutor | None = None
        self._process: Future[int] | None = None

    def start(self) -> Future[Any]:
        """Begin the first call of the chain."""
        with suppress(BrokenExecutor):  # the process was killed while it had nothing to do
            return self._submit()
        self.close()
        return self._submit()

    def _submit(self) -> Future[Any]:
        from joblib.externals.loky import ProcessPoolExecutor

        if self._executor is None:
            self._executor = ProcessPoolExecutor(max_workers=1, env=self._environment)
            self._process = self._executor.submit(os.getpid)
        found: Future[Any] = self._executor.submit(self._work, *self.chain[0])
        return found

    def why_lost(self, future: Future[Any]) -> str | None:
        """Return why a call that ended has no result, None where it has one; raises UserError where it did."""
        error = future.exception()
        if error is None:
            return None
        if isinstance(error, BrokenExecutor):
            self.close()
            return _killed(error)
        if isinstance(error, UserError):
            raise error
        return in_one_line(error)

    def ask_to_end(self) -> None:
        """Ask the process to end in order."""
        with suppress(OSError):
            if self._process is not None and self._process.done() and self._process.exception() is None:
                os.kill(self._process.result(), signal.SIGTERM)

    def close(self) -> None:
        """End the process."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None


def _killed(error: BaseException) -> str:
    """Return in one line how a process ended from outside; loky names exit codes such as {SIGKILL(-9)}."""
    found = _EXIT.search(str(error))
    how = f" ({found[1]})" if found else ""
    why = ": this is what a system does that is short of memory" if found and "SIGKILL" in found[1] else ""
    return f"its process was killed from outside{how}{why}; repeat the command to try again"
