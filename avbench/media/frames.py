"""The pictures of a clip: which frame is on the screen at a moment, and the square of it that a detector sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

import av
import cv2
import numpy as np
from av.stream import Disposition, Stream
from numpy.typing import NDArray

from avbench.media.timeline import timeline_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

Picture: TypeAlias = NDArray[np.uint8]
Region: TypeAlias = Literal["frame", "face", "mouth"]

# Seconds by which a frame may come late and still count as shown: containers round their time stamps (WebM to 1 ms).
LATE = 1e-3
# Times its own duration that a frame may stay on the screen until it counts as frozen: frame rates are averages.
PATIENCE = 2.0
# A face square is this much longer than the longer side of the tracked box, which ends at brows, ears and chin.
FACE_MARGIN = 1.3


def picture_stream(container: InputContainer) -> VideoStream | None:
    """Return the video stream that `ffmpeg` chooses, or None: one that is no cover picture and can be decoded.

    Of several it is the default one, else the largest, else the first (`map_auto_video` in fftools/ffmpeg_mux_init.c).
    """
    found = picture_streams(container)
    if len(found) < 2:
        return found[0] if found else None
    counts = timeline_of(container).packets
    return max(found, key=lambda stream: score(stream, stream.width * stream.height, counts.get(stream.index, 1)))


def picture_streams(container: InputContainer) -> list[VideoStream]:
    """Return the video streams that can be decoded and are no cover pictures."""
    streams = container.streams.video
    return [s for s in streams if s.codec_context is not None and not s.disposition & Disposition.attached_pic]


def score(stream: Stream, size: int, packets: int) -> int:
    """Return what `ffmpeg` chooses a stream by: that it holds anything, its default flag, pixels or channels."""
    return 100_000_000 * bool(packets) + 5_000_000 * bool(stream.disposition & Disposition.default) + size


def start_of(stream: Stream) -> float:
    """Return the first presentation time of a stream in seconds."""
    return float((stream.start_time or 0) * (stream.time_base or 0))


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame, its number in the video, and at how many of the wanted times it is on the screen.

    At `frozen` of these it is there only because those that should have followed are damaged or missing, or it is
    damaged itself.
    """

    frame: av.VideoFrame
    index: int
    count: int
    frozen: int = 0


def shown_at(times: NDArray[np.float64], frames: Iterable[av.VideoFrame], stream: VideoStream) -> Iterator[Shown]:
    """Yield those of a stream's `frames` that are on the screen at one of the ascending `times`."""
    zero = start_of(stream)
    found = 0
    for frame, follower in pairwise(chain(frames, [None])):
        assert frame is not None
        # A frame stays on the screen until the next one comes, the last one for its own duration.
        end = (follower.time if follower else frame.time + _shown_for(frame, stream)) - zero
        count = int(np.searchsorted(times + LATE, end)) - found
        if count > 0:
            stale = frame.time - zero + PATIENCE * max(_shown_for(frame, stream), _usual(stream))
            fresh = 0 if frame.is_corrupt else int(np.searchsorted(times - LATE, stale)) - found
            found += count
            yield Shown(frame, number_of(frame, stream), count, count - min(max(fresh, 0), count))
        if found == len(times):
            break


def number_of(frame: av.VideoFrame, stream: VideoStream) -> int:
    """Return a frame's number in its video, from its time: that of a video whose frames are evenly spaced."""
    seconds: float = frame.time - start_of(stream)
    return round(seconds * float(stream.average_rate or 25))


def _shown_for(frame: av.VideoFrame, stream: VideoStream) -> float:
    if frame.duration:
        return float(frame.duration * frame.time_base)
    return _usual(stream)


def _usual(stream: VideoStream) -> float:
    """Return the seconds for which a frame of a stream is shown on average."""
    return float(1 / (stream.average_rate or 25))


def cut_region(picture: Picture, region: Region, size: int) -> Picture:
    """Return the (size,size,3) square of a picture that holds no track: the database is taken as cropped to the face.

    "frame" and "face" are the middle square of the shorter side. "mouth" is the middle of that square's lower half:
    from 1/4 to 3/4 of its width, from 1/2 of its height to the bottom.
    """
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    if region == "mouth":
        side, top, left = side // 2, top + side // 2, left + side // 4
    return resized(picture[top : top + side, left : left + side], size)


def cut_tracked(picture: Picture, box: NDArray[np.float64], region: Region, size: int) -> Picture:
    """Return the (size,size,3) square around a face box (x0, y0, x1, y1); beyond the picture its border is repeated.

    "face" is the square with the box's centre and `FACE_MARGIN` times its longer side; "mouth" is the middle of that
    square's lower half, as in `cut_region`.
    """
    x0, y0, x1, y1 = box
    side = max(2, round(FACE_MARGIN * max(x1 - x0, y1 - y0)))
    left, top = round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2)
    if region == "mouth":
        side, top, left = side // 2, top + side // 2, left + side // 4
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    return resized(picture[rows[:, None], columns], size)


def fill_gaps(boxes: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return boxes (T,4) or landmarks (T,68,2) in which each frame without a face (nan) has its nearest neighbour's.

    None where no frame has a face.
    """
    found = np.flatnonzero(np.isfinite(boxes).reshape(len(boxes), -1).all(axis=1))
    if not len(found):
        return None
    nearest = np.abs(np.arange(len(boxes))[:, None] - found).argmin(axis=1)
    filled: NDArray[np.float64] = boxes[found[nearest]]
    return filled


def resized(picture: Picture, size: int) -> Picture:
    """Return a square picture at another size: averaged where it shrinks, bilinear where it grows."""
    side = picture.shape[0]
    if side == size:
        return np.ascontiguousarray(picture)
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    picture = cv2.resize(np.ascontiguousarray(picture), (size, size), interpolation=method)
    return picture
