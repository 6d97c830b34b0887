"""A process that does what it is asked, in order, and may die or hang while doing it."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import RawValue
from multiprocessing.util import get_temp_dir
from typing import Any, TypeAlias

import cv2
import torch

from avbench.errors import UserError
from avbench.types import Reason

Work: TypeAlias = Callable[[Any], Any]
Setup: TypeAlias = Callable[[], None]

# Seconds after a file's time limit when a worker ends itself, in case its parent was killed and nobody else does.
ORPHAN_SECONDS = 30
# What a worker may take to start: to import libraries takes long where many processes do.
START_SECONDS = 600.0

# In a worker: the second at which it began the file that it works on, which its parent reads, and that file's limit.
_began: Any = None
_limit = 0.0


class Fault(Exception):
    """A worker died over its task (`decoder_crash`) or took too long (`decoder_timeout`)."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Worker:
    """A process that answers `work(task)` to each task, in order, within `time_limit` seconds for each file of it.

    `work` calls `begin_file` where a task is of several files. `setup` runs in it first. Tensors come back through
    shared memory.
    """

    def __init__(self, work: Work, time_limit: float, setup: Setup | None = None) -> None:
        self.time_limit = time_limit
        self._arguments = work, time_limit, setup
        self._asked: deque[Any] = deque()
        self._start()

    def ask(self, task: Any) -> None:
        """Queue a task."""
        if not self._asked:
            self._since = time.monotonic()
        self._asked.append(task)
        with suppress(OSError):  # that the worker is dead is noticed when its answer is due
            self._connection.send(task)

    def answer(self) -> Any:
        """Wait for the answer to the oldest task.

        Raises Fault, after which only `restart` and `stop` make sense; the UserError that `work` raised; RuntimeError
        if `setup` failed or does not end, or `work` by another error.
        """
        while not self._connection.poll(self._left()):
            if self._left():
                continue
            if not self._began.value:
                raise RuntimeError(f"a loading process was not ready within {START_SECONDS:g} s")
            raise Fault(Reason.DECODER_TIMEOUT, f"loading took longer than {self.time_limit:g} s")
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(1.0)
            if hasattr(signal, "SIGALRM") and self._process.exitcode == -signal.SIGALRM:  # long before anybody asked
                raise Fault(Reason.DECODER_TIMEOUT, f"loading took longer than {self.time_limit:g} s") from None
            raise Fault(Reason.DECODER_CRASH, f"the loading process {_ending(self._process.exitcode)}") from None
        if isinstance(answer, _Failed):
            raise RuntimeError(f"a loading process {answer.during}: {answer.traceback}")
        if isinstance(answer, _Refused):
            raise UserError(answer.message)
        self._asked.popleft()
        self._since = time.monotonic()
        return answer

    def _left(self) -> float:
        """Return the seconds that are left for the file that is worked on, or for the process to be ready."""
        began: float = self._began.value
        end: float = max(self._since, began) + self.time_limit if began else self._started + START_SECONDS
        return max(0.0, end - time.monotonic())

    def restart(self, revised: Callable[[Any], Any] = lambda task: task) -> Any:
        """Return the task that a fault was about; a new process has the tasks behind it, `revised`."""
        self.stop()
        culprit, *others = self._asked
        self._asked.clear()
        self._start()
        for task in others:
            self.ask(revised(task))
        return culprit

    def fresh(self, work: Work) -> Worker:
        """Return another worker for other work, of the same limit and setup."""
        return Worker(work, *self._arguments[1:])

    def again(self) -> Worker:
        """Return another worker for the same work, of the same limit and setup."""
        return Worker(*self._arguments)

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _start(self) -> None:
        get_temp_dir()  # this process makes and removes it; a worker that is killed could not remove its own
        self._connection, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        process = context.Process  # type: ignore[attr-defined]
        self._began, self._started = RawValue("d", 0.0), time.monotonic()
        self._process = process(target=_serve, args=(theirs, self._began, *self._arguments), daemon=True)
        # A forked process has this one's garbage, decoders among it, but not their threads: to collect it is to wait
        # for those threads for ever. Frozen objects are never collected.
        gc.freeze()
        self._process.start()
        gc.unfreeze()
        theirs.close()
        self._since = time.monotonic()


@dataclass(frozen=True, slots=True)
class _Failed:
    during: str
    traceback: str


@dataclass(frozen=True, slots=True)
class _Refused:
    message: str


def begin_file() -> None:
    """Tell that the work on a file, or on a part of one that takes long, begins: its time counts from now.

    In a process that is no worker nobody asks.
    """
    if _began is not None:
        _began.value = time.monotonic()
        _end_after(_limit + ORPHAN_SECONDS)


def _serve(connection: Connection, began: Any, work: Work, time_limit: float, setup: Setup | None) -> None:
    """Do tasks until the parent is gone."""
    global _began, _limit
    _began, _limit = began, time_limit
    for name in ("SIGINT", "SIGHUP"):  # which a terminal sends to all: the parent decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    try:
        if setup is not None:
            setup()
    except Exception:
        connection.send(_Failed("could not be set up", traceback.format_exc()))
        return
    parent = multiprocessing.parent_process()
    assert parent is not None
    began.value = time.monotonic()
    while connection in wait([connection, parent.sentinel]):
        task = connection.recv()
        begin_file()
        connection.send(_answer(work, task))
        _end_after(0)


def _answer(work: Work, task: Any) -> Any:
    try:
        return work(task)
    except UserError as error:
        return _Refused(str(error))
    except Exception:  # no file's: those are the work's to tell of
        return _Failed("failed", traceback.format_exc())


def _end_after(seconds: float) -> None:
    """Have the system end this process after so many seconds, even if it hangs in a library; 0 calls it off."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _ending(exitcode: int | None) -> str:
    if exitcode is None:
        return "closed its connection"
    return f"was ended by {signal.Signals(-exitcode).name}" if exitcode < 0 else f"ended with exit code {exitcode}"
