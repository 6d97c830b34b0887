"""An `avbench` command in a process of its own, to which something happens: a kill, a full disk, a limit.

What a command does to its results folder is seen through audit events of Python, so that "at its 17th touch of the
folder" is the same moment each time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot  # noqa: F401 what a command imports when it needs it is imported here, once for all forks
import torch

import avbench.bench.matrix
import avbench.report.figures
import avbench.report.tables  # noqa: F401
from avbench.cli import main
from avbench.plugins.registry import installed

Touched = Callable[[str, str, bool], None]  # (event, path, whether it makes the disk fuller)
BUG = 70  # exit code of a command that ended with a traceback
LIMIT = 600.0  # seconds; what takes longer hangs
LOOKS = 0.05  # seconds between two looks at a process
_PATHS = {"os.rename": (0, 1), "os.remove": (0,), "os.mkdir": (0,), "os.rmdir": (0,), "shutil.rmtree": (0,)}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code (minus the signal that killed it), what it said, its largest memory in kB."""

    code: int
    said: str
    memory: int
    seconds: float

    def require_clear(self) -> None:
        """Fail where the command showed a traceback, or failed without one clear line."""
        assert self.code != BUG and "Traceback" not in self.said, self.said
        assert self.code in (0, 1, 2), (self.code, self.said)
        assert self.code == 0 or "avbench: error: " in self.said or "failed: " in self.said, self.said


@dataclass(frozen=True, slots=True)
class Started:
    """A command that runs."""

    pid: int
    output: int
    since: float

    def ended(self, limit: float = LIMIT, *, kill_after: float | None = None) -> Ended:
        """Wait for the end, at most `limit` seconds, or kill the command after some."""
        said = b""
        while True:
            said += b"".join(_waiting(self.output))
            pid, status, used = os.wait4(self.pid, os.WNOHANG)
            spent = time.monotonic() - self.since
            if pid:
                break
            if kill_after is not None and spent >= kill_after:
                os.kill(self.pid, signal.SIGKILL)
            elif spent > limit:
                os.killpg(self.pid, signal.SIGKILL)
                os.wait4(self.pid, 0)
                raise AssertionError(f"still running after {limit:g} s:\n{said.decode()}")
            time.sleep(LOOKS)
        said += b"".join(_waiting(self.output))
        os.close(self.output)
        return Ended(os.waitstatus_to_exitcode(status), said.decode("utf-8", "replace"), used.ru_maxrss, spent)


def start(words: Sequence[str], before: Callable[[], None] = lambda: None) -> Started:
    """Start `avbench` with these words in a forked process in which `before` is called first."""
    installed()
    reading, writing = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 2**20)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        os.set_blocking(reading, False)
        return Started(pid, reading, time.monotonic())
    code = BUG
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(writing, stream)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 pytest has replaced it
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        torch.set_num_threads(1)  # threads of this process are not in its fork
        before()
        code = main(words)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(words: Sequence[str], before: Callable[[], None] = lambda: None, limit: float = LIMIT) -> Ended:
    """Run a command to its end."""
    return start(words, before).ended(limit)


def _waiting(output: int) -> Iterator[bytes]:
    """Yield what can be read without waiting; workers of a killed process may keep the pipe open."""
    try:
        while block := os.read(output, 65_536):
            yield block
    except BlockingIOError:
        return


def watch(folder: Path, touched: Touched) -> None:
    """Call `touched` before each change of a file or folder below `folder` in this process, which cannot be undone."""
    own, top = os.getpid(), str(folder)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            writing = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            paths = (path,) if writing else ()
        else:
            paths = tuple(arguments[place] for place in _PATHS.get(event, ()))
        for path in paths:
            text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
            if text.startswith(top) and os.getpid() == own:
                touched(event, text, event in ("open", "os.mkdir"))
                return

    sys.addaudithook(hook)


def counted(folder: Path, note: Path) -> Callable[[], None]:
    """Return what makes a command write the number of its touches of a folder into a file, one line each."""

    def begin() -> None:
        stream = os.open(note, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        watch(folder, lambda event, path, filling: os.write(stream, f"{event} {path}\n".encode()) and None)

    return begin


def killed_at(folder: Path, number: int) -> Callable[[], None]:
    """Return what kills a command right before its touch of that number, from 1."""
    count = 0

    def touched(event: str, path: str, filling: bool) -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return lambda: watch(folder, touched)


def refused_from(folder: Path, number: int, code: int) -> Callable[[], None]:
    """Return what refuses touches from that number on, as a full (ENOSPC) or read-only (EROFS) disk does."""
    count = 0

    def touched(event: str, path: str, filling: bool) -> None:
        nonlocal count
        count += 1
        if count >= number and (filling or code == errno.EROFS):
            raise OSError(code, os.strerror(code), path)

    return lambda: watch(folder, touched)


def files_at_most(size: int) -> Callable[[], None]:
    """Return what lets a command write no file beyond a size, by whatever library."""

    def begin() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return begin
