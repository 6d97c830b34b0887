"""How a frame lies on the screen: its pixels made square, turned and mirrored by its display matrix, as ffmpeg does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import atan2, degrees, hypot
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import Interpolation, VideoReformatter

from avbench.media.frames import Picture
from avbench.types import MediaError, Reason

if TYPE_CHECKING:
    import av
    from av.video.stream import VideoStream

Matrix: TypeAlias = tuple[int, int, int, int]

AS_IT_IS: Matrix = (1, 0, 0, 1)
# Pixels wider or higher than this many times their other side are a broken header: no film was ever stored so.
ODDEST_PIXEL = 8.0


@dataclass(frozen=True, slots=True)
class Geometry:
    """The display matrix of a frame, (a,b,c,d) of its rows a b and c d, and the width of a pixel over its height."""

    matrix: Matrix = AS_IT_IS
    pixel_aspect: float = 1.0

    @classmethod
    def of(cls, frame: av.VideoFrame, stream: VideoStream | None = None) -> Geometry:
        """Return the geometry of a frame; pixels are square where no stream tells otherwise.

        Raises MediaError `unreadable` for pixels that no film can have.
        """
        return cls(_matrix(frame), pixel_aspect(stream) if stream is not None else 1.0)

    @property
    def is_turned_only(self) -> bool:
        """Whether it asks for square pixels and at most for quarter turns, which every decoder makes."""
        a, b, c, d = self.matrix
        return self.pixel_aspect == 1.0 and (a, c) == (d, -b) and 0 in (a, b)

    def width(self, stored: int) -> int:
        """Return how wide a frame of `stored` pixels is once its pixels are square."""
        return max(1, round(stored * self.pixel_aspect))

    def turn(self, picture: Picture) -> Picture:
        """Return a picture turned and mirrored as ffmpeg does by default (`-autorotate`)."""
        return _turn_of(self.matrix)(picture)


def pixel_aspect(stream: VideoStream) -> float:
    """Return the width of a stream's pixels over their height; MediaError `unreadable` beyond `ODDEST_PIXEL`."""
    ratio = stream.sample_aspect_ratio
    if not ratio or ratio < 0:  # nothing is said
        return 1.0
    if not 1 / ODDEST_PIXEL <= ratio <= ODDEST_PIXEL:
        name, limit = stream.container.name, round(ODDEST_PIXEL)
        raise MediaError(Reason.UNREADABLE, f"{name}: pixels of {ratio} (width by height); {limit} is the most")
    return float(ratio)


def _matrix(frame: av.VideoFrame) -> Matrix:
    data = frame.side_data.get(SideData.DISPLAYMATRIX)
    if data is None:
        return AS_IT_IS
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    return a, b, c, d


def _turn_of(matrix: Matrix) -> Callable[[Picture], Picture]:
    """Return what ffmpeg's `configure_input_video_filter` does for a display matrix."""
    a, b, c, d = matrix
    wide, high = hypot(a, c), hypot(b, d)
    if matrix == AS_IT_IS or not wide or not high:
        return lambda picture: picture
    clockwise = round(degrees(atan2(b / high, a / wide))) % 360
    if clockwise == 90:
        return (lambda p: p.transpose(1, 0, 2)) if c > 0 else (lambda p: np.rot90(p, -1))
    if clockwise == 180:
        return lambda p: p[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    if clockwise == 270:
        return (lambda p: np.rot90(p, 2).transpose(1, 0, 2)) if c < 0 else (lambda p: np.rot90(p, 1))
    if clockwise == 0:
        return lambda p: p[:: -1 if d < 0 else 1]
    return lambda picture: _rotated(picture, clockwise)


def _rotated(picture: Picture, clockwise: float) -> Picture:
    """Return a picture of the same size, turned about its middle; black comes in at the corners."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -clockwise, 1.0)
    turned: Picture = cv2.warpAffine(np.ascontiguousarray(picture), turn, (width, height), flags=cv2.INTER_LINEAR)
    return turned


class Upright:
    """Turns frames into (H,W,3) uint8 RGB pictures as they are to be seen.

    By each frame's own display matrix and the pixels of its `stream`; or, for frames that were coded anew and have lost
    both, all by one `geometry`. Raises MediaError `unreadable` for pixels that no film can have.
    """

    def __init__(self, stream: VideoStream | None = None, geometry: Geometry | None = None) -> None:
        self._convert = VideoReformatter()  # one for all frames: setting it up costs more than a conversion
        # A number, not the stream: frames outlive the container, whose memory a stream reads.
        self._pixel_aspect = pixel_aspect(stream) if stream is not None else 1.0
        self._geometry = geometry

    def __call__(self, frame: av.VideoFrame) -> Picture:
        """Return the picture of a frame."""
        geometry = self._geometry or Geometry(_matrix(frame), self._pixel_aspect)
        width = geometry.width(frame.width)
        scaled = {} if width == frame.width else {"width": width, "interpolation": Interpolation.BICUBIC}
        rgb = self._convert.reformat(frame, format="rgb24", threads=1, **scaled)
        return geometry.turn(np.asarray(rgb.to_ndarray(), np.uint8))
