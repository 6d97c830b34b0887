"""How long work reports itself: a library call is silent unless its caller passes a bar."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol
from collections.abc import Iterator


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
