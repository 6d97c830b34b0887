"""A command that is killed right after a function returned for the n-th time: no clock, nothing to wait for."""

from __future__ import annotations

import functools
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def kill_after(function: str, calls: int, words: Sequence[str]) -> None:
    """Run `avbench` with these words in a process of its own, which kill -9 ends after so many calls of a function.

    The function is named "module:name", by the module that calls it. Fails where the command ends before.
    """
    command = [sys.executable, str(Path(__file__)), function, str(calls), *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, f"not killed: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"


def _die_after(function: str, calls: int) -> None:
    """Wrap the function of this process; its last call ends it."""
    module, _, name = function.partition(":")
    wrapped, count = getattr(importlib.import_module(module), name), 0

    @functools.wraps(wrapped)
    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        found = wrapped(*arguments, **named)
        count += 1
        if count == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(importlib.import_module(module), name, counted)


if __name__ == "__main__":
    from avbench.cli import main

    _die_after(sys.argv[1], int(sys.argv[2]))
    main(sys.argv[3:])
