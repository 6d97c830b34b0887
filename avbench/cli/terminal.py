"""What the terminal shows while work goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from avbench.engine.ranks import leads
from avbench.progress import Bar


def say(line: str) -> None:
    """Print one line at once; of several processes that share a run, one speaks."""
    if leads():
        print(line, flush=True)


@contextmanager
def bar(title: str, total: int, done: int = 0, unit: str = "clip") -> Iterator[Bar]:
    """Show a progress bar with the time left, on the error stream."""
    from tqdm import tqdm

    seconds = 0.2 if sys.stderr.isatty() else 15.0
    style: dict[str, Any] = {"unit": unit, "mininterval": seconds, "dynamic_ncols": True, "disable": not leads()}
    with tqdm(total=total, initial=done, desc=title, **style) as shown:
        yield _Tqdm(shown)


class _Tqdm:
    def __init__(self, shown: Any) -> None:
        self._shown = shown

    def advance(self, count: int = 1, **values: float) -> None:
        """Move on by `count` and show the latest values."""
        if values:
            self._shown.set_postfix({name: f"{value:.3f}" for name, value in values.items()}, refresh=False)
        self._shown.update(count)
