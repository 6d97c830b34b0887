"""The stamps of a file's packets laid on one line of time, also where recordings were appended to one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

BACK = 0.1  # seconds by which the stamps of a new recording lie before those of the last one, at least
LASTING = 5  # packets that follow a new recording's first one; a single odd stamp is none
LATE = 1e-3  # seconds by which stamps may be rounded


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the packets say, by index of the stream: where each ends, and how many there are.

    `ends` are seconds of presentation time; it is empty where the index agrees with the header. `shifts` has, for each
    recording that was appended to the first, the packet it begins with, from 0, and the seconds that its stamps lack to
    go on where the last one ended. `recordings` counts them. `reach` is the byte at which the last packet ends, 0 where
    that is unknown.
    """

    ends: Mapping[int, float] = field(default_factory=dict)
    packets: Mapping[int, int] = field(default_factory=dict)
    shifts: Mapping[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    recordings: int = 1
    reach: int = 0


@dataclass(frozen=True, slots=True)
class Stamp:
    """What one packet says: where in the file it lies, when it is shown and for how long (s), and if it starts anew."""

    position: int
    time: float
    duration: float
    key: bool


def end_to_end(stamps: Mapping[int, Sequence[Stamp]]) -> Timeline:
    """Return the timeline of packets that follow one another, whatever their stamps: each lasts as long as it says."""
    ends, shifts = {}, {}
    for index, each in stamps.items():
        at, moved = each[0].time, []
        for number, stamp in enumerate(each):
            if abs(at - stamp.time) > LATE:
                moved.append((number, at - stamp.time))
            at += stamp.duration
        ends[index], shifts[index] = at, tuple(moved)
    counts = {index: len(each) for index, each in stamps.items()}
    return Timeline(ends, counts, {index: each for index, each in shifts.items() if each})


def laid_out(stamps: Mapping[int, Sequence[Stamp]], main: int, *, ahead: float | None = None) -> Timeline:
    """Return the timeline of the stamps of each stream, in the order they lie in the file.

    A recording that was appended goes on where the pictures (or, without any, the sound: stream `main`) of the one
    before it end, and its sound keeps its place beside its own pictures. `ahead` is the gap in seconds that begins a
    new recording too; None: no gap does.
    """
    begun = _recordings(stamps, ahead)
    times = {index: np.array([stamp.time for stamp in each]) for index, each in stamps.items()}
    ends = {index: times[index] + _durations(each) for index, each in stamps.items()}
    shifts: dict[int, list[tuple[int, float]]] = {index: [] for index in stamps}
    reached: dict[int, float] = {}
    shift = 0.0
    for number, first in enumerate(begun):
        after = begun[number + 1] if number + 1 < len(begun) else {index: len(each) for index, each in stamps.items()}
        parts = {index: slice(first[index], after[index]) for index in stamps if first[index] < after[index]}
        if number and parts:
            lead = main if main in parts else min(parts)
            to = reached.get(lead, max(reached.values(), default=0.0))
            shift = to - float(times[lead][parts[lead]].min())
            for index in stamps:
                shifts[index].append((first[index], shift))
        for index, part in parts.items():
            reached[index] = max(float(ends[index][part].max()) + shift, reached.get(index, -np.inf))
    return Timeline(
        ends=reached,
        packets={index: len(each) for index, each in stamps.items()},
        shifts={index: tuple(each) for index, each in shifts.items()} if len(begun) > 1 else {},
        recordings=len(begun),
    )


def _durations(stamps: Sequence[Stamp]) -> NDArray[np.float64]:
    """Return how long each packet is shown, the usual spacing where it does not say."""
    times = sorted({stamp.time for stamp in stamps})
    usual = median(b - a for a, b in pairwise(times)) if len(times) > 1 else 0.0
    return np.array([stamp.duration or usual for stamp in stamps])


def _recordings(stamps: Mapping[int, Sequence[Stamp]], ahead: float | None) -> list[dict[int, int]]:
    """Return, for each recording in the file, the packet of each stream that it begins with."""
    anew = sorted(
        (stamps[index][at].position, at, index) for index in stamps for at in _starts_anew(stamps[index], ahead)
    )
    begun = [dict.fromkeys(stamps, 0)]
    began = -1  # the position of the newest recording
    of_own: set[int] = set()  # the streams whose own stamps told of it
    for position, at, index in anew:
        if began >= 0 and index not in of_own and stamps[index][at - 1].position < began:
            begun[-1][index] = at
            of_own.add(index)
            continue
        began, of_own = position, {index}
        begun.append({other: _first_from(stamps[other], position) for other in stamps} | {index: at})
    return begun


def _first_from(stamps: Sequence[Stamp], position: int) -> int:
    return next((at for at, stamp in enumerate(stamps) if stamp.position >= position), len(stamps))


def _starts_anew(stamps: Sequence[Stamp], ahead: float | None) -> list[int]:
    """Return the packets at which the stamps of one stream start anew.

    Only key packets may: those behind them may be shown before them.
    """
    found = []
    newest = stamps[0].time if stamps else 0.0
    for at, stamp in enumerate(stamps):
        if at and stamp.key:
            following = [later.time for later in stamps[at : at + LASTING]]
            back = stamp.time < newest - BACK and median(following) < newest - BACK
            gap = ahead is not None and stamp.time > newest + ahead and median(following) > newest + ahead
            if back or gap:
                found.append(at)
                newest = stamp.time
        newest = max(newest, stamp.time)
    return found
