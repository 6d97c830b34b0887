"""Where the packets of a file really lie in time, whatever its header says: it may tell no length, or a wrong one.

Packets are read, never decoded. Files whose index agrees with their header (MP4 and its kin) are not read at all.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import av
from av.stream import Disposition

from avbench.media.recordings import Stamp, Timeline, end_to_end, laid_out

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

AGREE = 0.1  # seconds by which a header and the packets may differ
INDEXED = "mov,mp4,m4a,3gp,3g2,mj2"  # its index lists every frame
AHEAD = 10.0  # seconds; a longer gap in a transport or program stream is a new recording, as FFmpeg takes it
GAPLESS = ("mpegts", "mpeg")
_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
LONGEST_PICTURE = 10.0  # seconds; by a damaged frame rate one packet of pictures lasts for years
KEPT = 512  # files whose timelines are remembered


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
        _known[key] = _by_index(container, key[1]) or _scanned(container.name)
    return _known[key]


def _key(container: InputContainer) -> _Key | None:
    try:
        about = os.stat(container.name.removeprefix("file:"))
    except OSError:
        return None
    return container.name, about.st_size, about.st_mtime_ns


def _by_index(container: InputContainer, size: int) -> Timeline | None:
    """Return the timeline where the index of every stream agrees with the header, and lies within the file."""
    streams, reach = _streams(container), 0
    if container.format.name != INDEXED or not streams:
        return None
    for stream in streams:
        entries = stream.index_entries
        count = len(entries)
        if not count or not stream.duration or not stream.time_base:
            return None
        first, last = entries[0], entries[count - 1]
        if last.pos + last.size > size:  # the file is cut off
            return None
        spacing = (last.timestamp - first.timestamp) / max(count - 1, 1)
        if abs(float((last.timestamp - first.timestamp + spacing - stream.duration) * stream.time_base)) > AGREE:
            return None
        reach = max(reach, last.pos + last.size)
    return Timeline(reach=reach)


def _streams(container: InputContainer) -> list[Stream]:
    """Return the streams of pictures, less cover pictures, and those of sound, all that can be decoded."""
    found = (*container.streams.video, *container.streams.audio)
    return [s for s in found if s.codec_context is not None and not s.disposition & Disposition.attached_pic]


def _scanned(name: str) -> Timeline:
    with av.open(name, options={"protocol_whitelist": "file"}, metadata_errors="replace") as container:
        streams = _streams(container)
        counted = container.format.name == "aac"  # FFmpeg stamps all of it by the rate that it begins with
        stamps, reach = _read(container, streams, adts_seconds if counted else None)
        films = [stream.index for stream in streams if stream.type == "video" and stamps.get(stream.index)]
        main = max(films or stamps, key=lambda index: len(stamps[index]), default=None)
        if main is None:
            return Timeline(packets=dict.fromkeys((stream.index for stream in streams), 0))
        if counted:
            return replace(end_to_end(stamps), reach=reach)
        ahead = AHEAD if container.format.name in GAPLESS else None
        return replace(laid_out(stamps, main, ahead=ahead), reach=reach)


def adts_seconds(packet: Packet[Any]) -> float:
    """Return how long an ADTS frame lasts by its own header (ISO 14496-3, 1.A.2.2); 0 where that is none."""
    head = bytes(packet)[:7]
    if len(head) < 7 or head[0] != 0xFF or head[1] >> 4 != 0xF or (index := head[2] >> 2 & 15) >= len(_ADTS_RATES):
        return 0.0
    return 1024 * (1 + (head[6] & 3)) / _ADTS_RATES[index]


def _read(
    container: InputContainer, streams: Sequence[Stream], lasts: Callable[[Packet[Any]], float] | None
) -> tuple[dict[int, list[Stamp]], int]:
    """Return the stamps of every stream up to where the file is cut off, and the byte at which the last packet ends.

    A packet without a time has that of the one before it. `lasts` tells better than the container how many seconds a
    packet lasts.
    """
    found: dict[int, list[Stamp]] = defaultdict(list)
    reach = 0
    packets = container.demux(list(streams))
    while True:
        try:
            packet = next(packets, None)
        except MemoryError:
            raise
        except av.FFmpegError:  # the file is cut off here
            return found, reach
        if packet is None:
            return found, reach
        if not packet.size:
            continue
        before = found[packet.stream_index]
        last = before[-1] if before else Stamp(0, 0.0, 0.0, False)
        ticks = packet.dts if packet.pts is None else packet.pts
        base = float(packet.time_base or 0)
        position = last.position if packet.pos is None or packet.pos < 0 else packet.pos
        reach = max(reach, position + packet.size)
        if ticks is None or packet.is_discard:  # an edit list leaves these out
            before.append(Stamp(position, last.time, 0.0, False))
        else:
            duration = (lasts(packet) if lasts else 0.0) or (packet.duration or 0) * base
            if packet.stream.type == "video":
                duration = min(duration, LONGEST_PICTURE)
            before.append(Stamp(position, ticks * base, duration, packet.is_keyframe))
