"""What the terminal shows of a matrix while it is computed: every cell at a glance, redrawn in place."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from avbench.bench.matrix import Outcome
from avbench.cli.terminal import say
from avbench.progress import Bar
from avbench.records.table import Table, percent, text

if TYPE_CHECKING:
    from avbench.bench.spec import RunSpec

WAITING, RUNNING, FAILED = "·", "…", "✗"
SECONDS = 0.5  # between two drawings


class Overview:
    """A grid of detectors by protocols on a terminal; elsewhere a line for each cell that ends."""

    def __init__(self, specs: Sequence[RunSpec]) -> None:
        self._specs = {spec.fingerprint: spec for spec in specs}
        self._shown: dict[str, str] = dict.fromkeys(self._specs, WAITING)
        self._running: list[str] = []
        self._ended = 0
        self._told: set[str] = set()  # reasons why runs failed
        self._live = sys.stdout.isatty()
        self._lines = 0
        self._drawn = 0.0
        self._started = time.monotonic()
        self._draw(at_once=True)

    def begun(self, specs: Sequence[RunSpec]) -> None:
        """Show these runs as running."""
        self._running += [spec.fingerprint for spec in specs]
        self._show(self._running, RUNNING)

    def ended(self, outcome: Outcome) -> None:
        """Show what became of a run: its AUC, or that it failed."""
        key = outcome.spec.fingerprint
        self._running = [other for other in self._running if other != key]
        self._ended += key in self._shown
        result = FAILED if outcome.reason else f"{'' if outcome.new else '= '}{_auc(outcome)}"
        self._show([key], result)
        if not self._live:
            spent = f"{outcome.seconds:.0f} s" if outcome.new else "finished before"
            said = f"AUC {_auc(outcome)}"
            if outcome.reason:
                said = "failed, for the same reason" if outcome.reason in self._told else f"failed: {outcome.reason}"
            self._told.add(outcome.reason)
            say(f"[{self._ended} of {len(self._shown)}] {label(outcome.spec)}: {said} ({spent})")

    @contextmanager
    def progress(self, title: str, total: int, done: int = 0) -> Iterator[Bar]:
        """Show in the running cell how far its work is."""
        yield _Share(self, title, total, done)

    def _show(self, keys: Sequence[str], what: str) -> None:
        self._shown |= {key: what for key in keys if key in self._shown}
        self._draw(at_once=True)

    def _advanced(self, title: str, share: float) -> None:
        self._shown |= {key: f"{title} {100 * share:.0f} %" for key in self._running if key in self._shown}
        self._draw()

    def _draw(self, *, at_once: bool = False) -> None:
        if not self._live or (not at_once and time.monotonic() - self._drawn < SECONDS):
            return
        self._drawn = time.monotonic()
        drawing = text(self._table())
        sys.stdout.write((f"\x1b[{self._lines}F\x1b[J" if self._lines else "") + drawing + "\n")
        sys.stdout.flush()
        self._lines = drawing.count("\n") + 1

    def _table(self) -> Table:
        columns = list(dict.fromkeys(_column(spec) for spec in self._specs.values()))
        rows: dict[str, dict[str, str]] = {}
        for key, spec in self._specs.items():
            rows.setdefault(_row(spec), {})[_column(spec)] = self._shown[key]
        minutes = (time.monotonic() - self._started) / 60
        title = f"{self._ended} of {len(self._shown)} cells, {minutes:.0f} min"
        body = tuple((name, *(row.get(column, "") for column in columns)) for name, row in rows.items())
        note = f"AUC %; {WAITING} waits, {RUNNING} runs, {FAILED} failed, = finished before"
        return Table(title, ("", *columns), body, (note,))


class _Share:
    def __init__(self, overview: Overview, title: str, total: int, done: int) -> None:
        self._overview, self._title, self._total, self._done = overview, title, total, done

    def advance(self, count: int = 1, **values: float) -> None:
        """Move on by `count`."""
        self._done += count
        self._overview._advanced(self._title, self._done / max(self._total, 1))


def label(spec: RunSpec) -> str:
    """Name a run in one line."""
    return f"{_row(spec)}, {_column(spec)}".replace("\n", " ")


def failures(failed: Sequence[Outcome]) -> list[str]:
    """Return what became of runs that failed, in a line for each reason, however many failed for it."""
    by_reason: dict[str, list[str]] = {}
    for outcome in failed:
        by_reason.setdefault(outcome.reason, []).append(label(outcome.spec))
    return [f"failed: {'; '.join(labels)}: {reason}" for reason, labels in by_reason.items()]


def _row(spec: RunSpec) -> str:
    return " ".join([spec.detector, *spec.overrides, f"seed {spec.seed}"])


def _column(spec: RunSpec) -> str:
    fold = f" fold {spec.protocol.fold}" if spec.protocol.fold != 1 else ""
    return f"{spec.protocol.name}{fold}\n{spec.task.replace('_', '-')}"


def _auc(outcome: Outcome) -> str:
    auc = outcome.run.card.headline("auc") if outcome.run is not None else None
    return percent(auc.value if auc is not None else None)
