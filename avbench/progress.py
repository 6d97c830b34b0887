"""How long work reports itself: a library call is silent unless its caller passes a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol


class Bar(Protocol):
    """A running report of one piece of work."""

    def advance(self, count: int = 1, **values: float) -> None:
        """Move on by `count` and show the latest values."""


Progress = Callable[[str, int, int], AbstractContextManager[Bar]]
"""(title, total, already done) -> context manager of a Bar."""


class _Nothing:
    def advance(self, count: int = 1, **values: float) -> None:
        """Say nothing."""


@contextmanager
def silent(title: str, total: int, done: int = 0) -> Iterator[Bar]:
    """Report nothing."""
    yield _Nothing()


def made_with(progress: Progress, title: str) -> Callable[[int, int], None]:
    """Return a (done, total) callback that shows a bar from its first call until all is done."""
    shown = ExitStack()
    bars: list[Bar] = []
    last = [0]

    def report(done: int, total: int) -> None:
        if not bars:
            bars.append(shown.enter_context(progress(title, total, 0)))
        bars[0].advance(done - last[0])
        last[0] = done
        if done >= total:
            shown.close()

    return report
