"""A command that is killed right after a function returned for the n-th time: no clock, nothing to wait for."""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def kill_after(function: str, calls: int, words: Sequence[str], constants: Mapping[str, float] | None = None) -> None:
    """Run `avbench` with these words in a process of its own, which kill -9 ends after so many calls of a function.

    The function is "module:name", by the module that calls it, or "module:Class.method"; `constants` of modules are
    named alike and set beforehand. Fails where the command ends by itself.
    """
    command = [sys.executable, str(Path(__file__)), function, str(calls), json.dumps(dict(constants or {})), *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, f"not killed: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"


def _owner(path: str) -> tuple[Any, str]:
    """Return the module or class that holds what is named so, and its name there."""
    module, _, names = path.partition(":")
    *outer, name = names.split(".")
    return functools.reduce(getattr, outer, importlib.import_module(module)), name


def _die_after(function: str, calls: int) -> None:
    """Wrap the function in this process, which its last call ends."""
    owner, name = _owner(function)
    wrapped, count = getattr(owner, name), 0

    @functools.wraps(wrapped)
    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        found = wrapped(*arguments, **named)
        count += 1
        if count == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, counted)


if __name__ == "__main__":
    from avbench.cli import main

    for path, value in json.loads(sys.argv[3]).items():
        setattr(*_owner(path), value)
    _die_after(sys.argv[1], int(sys.argv[2]))
    main(sys.argv[4:])
