"""The frames of a stream in the order they are shown, at the times that a decode from the file's beginning gives them.

A container whose index and time stamps can be relied on is sought. Of others the packets are read from the first on, so
that a frame's time never depends on where reading began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Any, cast

import av
from av.stream import Stream

from avbench.media.frames import LATE, start_of
from avbench.media.timeline import timeline_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

# Containers that keep a time for each packet and an index of key frames. MPEG program streams time only some packets:
# what is read behind a seek has guessed times.
SOUGHT = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
# Containers that keep no time of showing: the order of decoding is all there is.
WITHOUT_TIMES = frozenset({"avi"})
# Frames by which the order of decoding can differ from that of showing (H.264 and HEVC allow 16).
REORDERED = 16
# Frames behind a seek whose times must rise before the first of them is used.
LOOKED_AT = 8


def may_seek(container: InputContainer) -> bool:
    """Whether what is read behind a seek has the times that reading from the beginning gives.

    In a file that holds several recordings a seek finds a moment in any of them.
    """
    return container.format.name in SOUGHT and not timeline_of(container).shifts


def seek(container: InputContainer, stream: Stream, target: float) -> None:
    """Go to the last key frame at or before `target` (seconds of presentation time)."""
    container.seek(round(target / (stream.time_base or 1)), stream=stream)


def frames_from(container: InputContainer, stream: VideoStream, start: float) -> Iterator[av.VideoFrame]:
    """Yield frames in the order they are shown, from one at or before `start` on (seconds after the first frame).

    What is damaged is left out. The container may have been read from before.
    """
    target = start_of(stream) + start
    if may_seek(container):
        ahead, others = _behind_seek(container, stream, target)
        if ahead and ahead[0].time <= target + LATE and all(a.time < b.time for a, b in pairwise(ahead)):
            yield from chain(ahead, others)
            return
        target = start_of(stream)  # the index leads behind the key frame that is needed, or times do not rise
    sought = target > start_of(stream) and not timeline_of(container).shifts
    first = _first_needed(container, stream.index, target) if sought else 0
    if first:
        with reopened(container) as again:
            frames = _read_on(again, again.streams[stream.index], first)
            head = next(frames, None)
            if head is not None and head.time <= target + LATE:
                yield from chain([head], frames)
                return
    with reopened(container) as again:
        yield from _read_on(again, again.streams[stream.index], 0)


def reopened(container: InputContainer) -> InputContainer:
    """Return the same file, opened afresh and in the same way."""
    again: InputContainer = av.open(
        container.name,
        options={"protocol_whitelist": "file"},
        metadata_encoding=container.metadata_encoding,
        metadata_errors=container.metadata_errors,
    )
    return again


def decodable(container: InputContainer, stream: Stream) -> Iterator[Any]:
    """Yield the frames of a stream that have a time stamp; a damaged packet costs its own frames only."""
    return (frame for frame in _decoded(_packets(container, stream)) if frame.pts is not None)


def _packets(container: InputContainer, stream: Stream) -> Iterator[Packet[Any]]:
    """Yield the packets of a stream up to where the file is cut off, and the empty one that ends decoding.

    The recordings of a file that holds several follow one another; such a file must be freshly opened.
    """
    if not stream.codec_context.is_open:  # read from before
        stream.codec_context.thread_count = 1
    shifts = deque(timeline_of(container).shifts.get(stream.index, ()))
    number, shift = 0, 0
    try:
        for packet in container.demux(stream):
            if packet.size:
                while shifts and shifts[0][0] <= number:
                    shift = round(shifts.popleft()[1] / (stream.time_base or 1))
                number += 1
                if shift:
                    packet.pts = None if packet.pts is None else packet.pts + shift
                    packet.dts = None if packet.dts is None else packet.dts + shift
            yield packet
    except MemoryError:
        raise
    except av.FFmpegError:
        return


def _decoded(packets: Iterable[Packet[Any]]) -> Iterator[Any]:
    for packet in packets:
        try:
            yield from packet.decode()
        except MemoryError:
            raise
        except av.FFmpegError:
            continue


def _behind_seek(
    container: InputContainer, stream: VideoStream, target: float
) -> tuple[list[av.VideoFrame], Iterator[av.VideoFrame]]:
    """Return the first few frames from the last key frame at or before `target` on, and what yields the others."""
    try:
        seek(container, stream, target)
    except MemoryError:
        raise
    except av.FFmpegError:  # no index
        return [], iter(())
    frames = decodable(container, stream)
    return list(islice(frames, LOOKED_AT)), frames


def _first_needed(given: InputContainer, index: int, target: float) -> int:
    """Return the number of the packet from which the frame at `target` (seconds) can be decoded.

    It is the last key frame's, where every packet up to there has times of its own, and else the first.
    """
    first, known = 0, set[int]()
    with reopened(given) as container:
        if container.format.name in WITHOUT_TIMES:
            return 0
        for number, packet in enumerate(_packets(container, container.streams[index])):
            if packet.pts is None or packet.dts is None or packet.pts in known:
                return 0
            known.add(packet.pts)
            if packet.is_keyframe and packet.pts * packet.time_base <= target:
                first = number
            if packet.dts * packet.time_base > target:
                break
    return first


def _read_on(container: InputContainer, stream: Stream, first: int) -> Iterator[av.VideoFrame]:
    """Yield what the packets from number `first` on of a freshly opened container show, at rising times."""
    packets: Iterator[Packet[Any]] = islice(_packets(container, stream), first, None)
    if container.format.name in WITHOUT_TIMES:
        packets = map(_timed_by_decoding, packets)
    return _rising(_decoded(packets), cast("VideoStream", stream))


def _timed_by_decoding(packet: Packet[Any]) -> Packet[Any]:
    packet.pts = packet.dts
    return packet


def _rising(frames: Iterable[av.VideoFrame], stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Yield frames at rising times, as they come: the smallest time not yet given, or that at which the last one ends.

    The former undoes times of decoding, the latter serves frames without a time or with one that was there already.
    """
    usual = round(1 / (float(stream.average_rate or 25) * float(stream.time_base or 1)))
    waiting: deque[tuple[av.VideoFrame, bool]] = deque()
    times: list[int] = []
    last, end = -1 << 63, stream.start_time or 0

    def timed() -> av.VideoFrame:
        nonlocal last, end
        frame, has_time = waiting.popleft()
        time = heappop(times) if has_time else end
        frame.pts = last = time if time > last else end
        end = last + (frame.duration or usual)
        return frame

    for frame in frames:
        waiting.append((frame, frame.pts is not None))
        if frame.pts is not None:
            heappush(times, frame.pts)
        if len(waiting) > REORDERED:
            yield timed()
    while waiting:
        yield timed()
