"""The times of a video's frames by its packets alone, and which videos other decoders can be trusted with.

Decoders that count frames instead of reading their times are right where packets and frames are one to one, every key
frame stands for itself and nothing is left out. What was not held against PyAV frame by frame is not trusted either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from numpy.typing import NDArray

from avbench.media.decoding import decodable, reopened
from avbench.media.frames import LATE, PATIENCE, start_of
from avbench.media.geometry import Geometry
from avbench.media.timeline import timeline_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")  # MPEG-TS, AVI and raw streams seek to other frames
CODECS = ("h264", "hevc", "vp9", "av1")  # a packet of VP8 may show nothing
FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p")  # ten bits come to other colours
IDR = 5  # the type of an H.264 unit that starts a picture which needs no earlier one


class Unsuited(Exception):
    """A decoder cannot, or cannot be known to, show the frames of a video that PyAV shows."""


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """The frames of a video in the order they are shown.

    `times` (N,) are seconds after the stream's first presentation time, `stale` (N,) those from which on a frame stands
    still for want of the next; `end` is when the last one leaves the screen;
    `open_groups` says that frames shown before a key frame need those behind it.
    """

    times: NDArray[np.float64]
    stale: NDArray[np.float64]
    end: float
    open_groups: bool

    def shown_at(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the frame that is on the screen at each of `times`, leaving out those behind the end."""
        ends = np.append(self.times[1:], self.end)
        shown = np.searchsorted(ends, times + LATE, side="right")
        return shown[shown < len(ends)]


def frame_times(container: InputContainer, stream: VideoStream) -> FrameTimes:
    """Return the times of a video's frames, without decoding; raises Unsuited for one that must be left to PyAV."""
    context = stream.codec_context
    if container.format.name not in CONTAINERS:
        raise Unsuited(f"container {container.format.name}")
    if context.codec.canonical_name not in CODECS:
        raise Unsuited(f"codec {context.codec.canonical_name}")
    if context.pix_fmt not in FORMATS or context.width % 2 or context.height % 2:
        raise Unsuited(f"{context.width} x {context.height} pixels of {context.pix_fmt}")
    if timeline_of(container).shifts:
        raise Unsuited("several recordings, one appended to the other")
    with reopened(container) as again:
        first = next(decodable(again, again.streams[stream.index]), None)
        if first is None or not Geometry.of(first, stream).is_turned_only:
            raise Unsuited("a mirrored or tilted picture, pixels that are not square, or no first picture")
    with reopened(container) as again:
        try:
            same = cast("VideoStream", again.streams[stream.index])
            packets = [_Facts.of(packet, stream) for packet in again.demux(same) if packet.size]
        except MemoryError:
            raise
        except av.FFmpegError as error:
            raise Unsuited("the file is damaged") from error
    return _in_order(packets, start_of(stream), float(1 / (stream.average_rate or 25)))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What one packet says: when its frame is shown, decoded, and for how long (s); and whether it can be relied on."""

    time: float | None
    decoded: float | None
    duration: float
    key: bool
    starts_anew: bool
    left_out: bool

    @classmethod
    def of(cls, packet: Packet[VideoStream], stream: VideoStream) -> _Facts:
        base = packet.time_base
        return cls(
            time=None if packet.pts is None else float(packet.pts * base),
            decoded=None if packet.dts is None else float(packet.dts * base),
            duration=float((packet.duration or 0) * base),
            key=packet.is_keyframe,
            starts_anew=packet.is_keyframe and _starts_anew(packet, stream),
            left_out=packet.is_discard or packet.is_corrupt,
        )


def _in_order(packets: list[_Facts], zero: float, usual: float) -> FrameTimes:
    known = [packet.time for packet in packets if packet.time is not None]
    if not packets or len(known) < len(packets) or len(set(known)) < len(known):
        raise Unsuited("frames without a time of their own")
    if any(packet.left_out for packet in packets):
        raise Unsuited("an edit list that leaves out frames, or damage")
    if not all(packet.starts_anew for packet in packets if packet.key) or not packets[0].key:
        raise Unsuited("key frames that do not stand for themselves")
    newest, open_groups = known[0], False
    for packet, time in zip(packets[1:], known[1:], strict=True):
        if packet.key:
            if packet.decoded is not None and packet.decoded <= newest:  # who seeks the one may find the other
                raise Unsuited("key frames one upon another")
            newest = time
        open_groups |= time < newest
    last = int(np.argmax(known))
    order = np.argsort(known)
    times = np.array(known)[order] - zero
    lengths = np.array([packet.duration for packet in packets])[order]
    stale = times + PATIENCE * np.maximum(lengths, usual)
    return FrameTimes(times, stale, known[last] + (packets[last].duration or usual) - zero, open_groups)


def _starts_anew(packet: Packet[VideoStream], stream: VideoStream) -> bool:
    """Whether a key packet starts anew; H.264 also marks points from which a picture only recovers bit by bit."""
    if stream.codec_context.codec.canonical_name != "h264":
        return True
    extra = stream.codec_context.extradata or b""
    if extra[:1] != b"\x01":  # units behind start codes, not lengths
        return False
    data, width, at = bytes(packet), (extra[4] & 3) + 1, 0
    while at + width < len(data):
        if data[at + width] & 31 == IDR:
            return True
        at += width + int.from_bytes(data[at : at + width])
    return False
