"""Where the packets of a file really lie in time, whatever its header says.

A header may tell no length, or a wrong one, and time stamps may start anew where recordings were appended. Packets are
read, never decoded. Files whose index agrees with their header (MP4 and its kin) are not read at all.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import av
import numpy as np

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

AGREE = 0.1  # seconds by which a header and the packets may differ
INDEXED = "mov,mp4,m4a,3gp,3g2,mj2"  # its index lists every frame
BACK = 0.1  # seconds by which the stamps of a new recording lie before those of the last one, at least
AHEAD = 10.0  # seconds; a longer gap in a transport or program stream is a new recording, as FFmpeg takes it
GAPLESS = ("mpegts", "mpeg")
LASTING = 5  # packets that follow a new recording's first one; a single odd stamp is none
_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
KEPT = 512  # files whose timelines are remembered


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the packets say, by index of the stream: where each ends, and how many there are.

    `ends` are seconds of presentation time; it is empty where the index agrees with the header. `shifts` has, for each
    recording that was appended to the first, the packet it begins with, from 0, and the seconds that its stamps lack to
    go on where the last one ended. `recordings` counts them.
    """

    ends: Mapping[int, float] = field(default_factory=dict)
    packets: Mapping[int, int] = field(default_factory=dict)
    shifts: Mapping[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    recordings: int = 1


_Key: TypeAlias = tuple[str, int, int]
_known: dict[_Key, Timeline] = {}


def timeline_of(container: InputContainer) -> Timeline:
    """Return the timeline of an open file; its packets are read, where they must be, by a container of their own."""
    key = _key(container)
    if key is None:  # no file that could be opened again
        return Timeline()
    if key not in _known:
        if len(_known) >= KEPT:
            _known.clear()
        _known[key] = Timeline() if _index_agrees(container, key[1]) else _scanned(container.name)
    return _known[key]


def _key(container: InputContainer) -> _Key | None:
    try:
        about = os.stat(container.name.removeprefix("file:"))
    except OSError:
        return None
    return container.name, about.st_size, about.st_mtime_ns


def _index_agrees(container: InputContainer, size: int) -> bool:
    """Whether the index of every stream of pictures and sound tells its header's length, and lies within the file."""
    streams = _streams(container)
    if container.format.name != INDEXED or not streams:
        return False
    for stream in streams:
        entries = stream.index_entries
        count = len(entries)
        if not count or not stream.duration or not stream.time_base:
            return False
        first, last = entries[0], entries[count - 1]
        if any(entry.pos + entry.size > size for entry in entries):
            return False
        spacing = (last.timestamp - first.timestamp) / max(count - 1, 1)
        if abs(float((last.timestamp - first.timestamp + spacing - stream.duration) * stream.time_base)) > AGREE:
            return False
    return True


def _streams(container: InputContainer) -> list[Stream]:
    found = (*container.streams.video, *container.streams.audio)
    return [stream for stream in found if stream.codec_context is not None]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What one packet says: where in the file it lies, when it is shown and for how long (s), and if it starts anew."""

    position: int
    time: float
    duration: float
    key: bool


def _scanned(name: str) -> Timeline:
    with av.open(name, metadata_errors="replace") as container:
        streams = _streams(container)
        counted = container.format.name == "aac"  # FFmpeg stamps all of it by the rate that it begins with
        stamps = _read(container, streams, adts_seconds if counted else None)
        main = next((stream.index for stream in streams if stamps.get(stream.index)), None)
        if main is None:
            return Timeline(packets=dict.fromkeys((stream.index for stream in streams), 0))
        if counted:
            return _end_to_end(stamps)
        return laid_out(stamps, main, ahead=AHEAD if container.format.name in GAPLESS else None)


def adts_seconds(packet: Packet[Any]) -> float:
    """Return how long an ADTS frame lasts by its own header (ISO 14496-3, 1.A.2.2); 0 where that is none."""
    head = bytes(packet)[:7]
    if len(head) < 7 or head[0] != 0xFF or head[1] >> 4 != 0xF or (index := head[2] >> 2 & 15) >= len(_ADTS_RATES):
        return 0.0
    return 1024 * (1 + (head[6] & 3)) / _ADTS_RATES[index]


def _end_to_end(stamps: Mapping[int, Sequence[Stamp]]) -> Timeline:
    """Return the timeline of packets that follow one another, whatever their stamps: each lasts as long as it says."""
    ends, shifts = {}, {}
    for index, each in stamps.items():
        at, moved = each[0].time, []
        for number, stamp in enumerate(each):
            if abs(at - stamp.time) > AGREE / 100:
                moved.append((number, at - stamp.time))
            at += stamp.duration
        ends[index], shifts[index] = at, tuple(moved)
    counts = {index: len(each) for index, each in stamps.items()}
    return Timeline(ends, counts, {index: each for index, each in shifts.items() if each})


def _read(
    container: InputContainer, streams: Sequence[Stream], lasts: Callable[[Packet[Any]], float] | None
) -> dict[int, list[Stamp]]:
    """Return the stamps of every stream up to where the file is cut off; a packet without a time has the last one's.

    `lasts` tells the seconds of a packet better than its container does.
    """
    found: dict[int, list[Stamp]] = defaultdict(list)
    packets = container.demux(list(streams))
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the file is cut off here
            return found
        if packet is None:
            return found
        if not packet.size:
            continue
        before = found[packet.stream_index]
        last = before[-1] if before else Stamp(0, 0.0, 0.0, False)
        ticks = packet.dts if packet.pts is None else packet.pts
        base = float(packet.time_base or 0)
        position = last.position if packet.pos is None or packet.pos < 0 else packet.pos
        if ticks is None or packet.is_discard:  # an edit list leaves these out
            before.append(Stamp(position, last.time, 0.0, False))
        else:
            duration = (lasts(packet) if lasts else 0.0) or (packet.duration or 0) * base
            before.append(Stamp(position, ticks * base, duration, packet.is_keyframe))


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


def _durations(stamps: Sequence[Stamp]) -> np.ndarray:
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
