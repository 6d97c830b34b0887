"""Signals that ask a command to end (SIGTERM, SIGHUP) end it as Ctrl-C does: noted in the card, ready to go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ASKING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number

    def __reduce__(self) -> tuple[type[Interrupted], tuple[int]]:
        return type(self), (self.number,)


def exit_code(error: KeyboardInterrupt) -> int:
    """Return the exit code of a command that was interrupted: 128 and the number of the signal."""
    return 128 + (error.number if isinstance(error, Interrupted) else signal.SIGINT)


@contextmanager
def ending_in_order(*further: signal.Signals) -> Iterator[None]:
    """Raise Interrupted where SIGTERM, SIGHUP or one of `further` comes; once, since ending takes a moment too.

    A signal that is ignored, as SIGHUP is under nohup, stays ignored. Only a main thread can be asked.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [number for number in (*ASKING, *further) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in wanted}

    def end(number: int, _frame: Any) -> None:
        for one in wanted:
            signal.signal(one, signal.SIG_IGN)
        raise Interrupted(number)

    for number in wanted:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
