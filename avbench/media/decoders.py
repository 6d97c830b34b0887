"""The pictures on the screen at given times, by PyAV or by another decoder that shows the same ones.

Another decoder is asked for frames by number, and the numbers come from the times of the packets. Where it may be wrong
(see `packets`), fails, or tells other times, PyAV decodes: whatever was chosen, the pictures are PyAV's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avbench.errors import UserError, in_one_line, unknown
from avbench.media.decoding import frames_from
from avbench.media.frames import LATE, Picture, shown_at, start_of
from avbench.media.geometry import Upright
from avbench.media.packets import FrameTimes, Unsuited, frame_times

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)
PYAV = "pyav"
# Each decoder's distribution, and what of it is imported.
DECODERS: Mapping[str, tuple[str, str]] = {
    PYAV: ("av", "av"),
    "decord": ("decord2", "decord"),
    "torchcodec": ("torchcodec", "torchcodec.decoders"),
}
ANY_RECOVERED = 1e-9  # share of frames that decord may replace by others: none


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture (H,W,3) uint8 RGB, upright, its number in the video, and how many of the wanted times show it.

    `frozen` of them show it only because nothing that follows can be decoded, or it is damaged itself.
    """

    picture: Picture
    index: int
    count: int
    frozen: int = 0


def require_decoder(name: str) -> None:
    """Raise UserError for a decoder that is unknown, not installed, or cannot be loaded."""
    if name not in DECODERS:
        raise unknown("decoder", name, DECODERS)
    if name == PYAV:
        return
    distribution, module = DECODERS[name]
    try:
        version(distribution)
    except PackageNotFoundError:
        raise UserError(f"--decoder {name}: not installed; pip install 'avbench[{name}]'") from None
    try:
        import_module(module)
    except Exception as error:  # of the loader, which knows several
        why = in_one_line(error).partition(" The following exceptions")[0]
        needs = "a build for this PyTorch and the libraries of FFmpeg 4 to 8; " if name == "torchcodec" else ""
        message = f"--decoder {name}: it cannot be loaded ({why}); it needs {needs}or leave --decoder out"
        raise UserError(message) from error


def pictures_at(
    container: InputContainer, stream: VideoStream, times: NDArray[np.float64], decoder: str = PYAV
) -> Iterator[Seen]:
    """Yield the pictures that are on the screen at the ascending `times`, in order.

    Times are seconds after the stream's first presentation time. There are fewer where the video ends, or cannot be
    decoded any further. Pictures are as `Upright` shows them.
    """
    if decoder != PYAV:
        try:
            found = list(_by_number(container, stream, times, _OTHERS[decoder]))
        except Unsuited as reason:
            log.debug("%s: decoded by PyAV instead of %s: %s", container.name, decoder, reason)
        else:
            yield from found
            return
    upright = Upright(stream)
    for shown in shown_at(times, frames_from(container, stream, times[0]), stream):
        yield Seen(upright(shown.frame), shown.index, shown.count, shown.frozen)


def _by_number(
    container: InputContainer, stream: VideoStream, times: NDArray[np.float64], decode: _Decode
) -> Iterator[Seen]:
    known = frame_times(container, stream)
    shown = known.shown_at(times)
    numbers, counts = np.unique(shown, return_counts=True)
    still = shown[times[: len(shown)] >= known.stale[shown] + LATE]
    try:
        pictures = decode(container, stream, known, numbers) if len(numbers) else ()
    except Unsuited:
        raise
    except Exception as error:  # each has its own
        raise Unsuited(in_one_line(error)) from error
    rate = float(stream.average_rate or 25)
    for picture, number, count in zip(pictures, numbers, counts, strict=True):
        frozen = int((still == number).sum())
        yield Seen(picture, round(known.times[number] * rate), int(count), frozen)


def _by_decord(
    container: InputContainer, stream: VideoStream, known: FrameTimes, numbers: NDArray[np.int64]
) -> NDArray[np.uint8]:
    import decord

    if known.open_groups:
        raise Unsuited("open groups of pictures")
    if len(container.streams.video) > 1:
        raise Unsuited("several streams of pictures")
    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(container.name, num_threads=1, fault_tol=ANY_RECOVERED)
    _require_alike(len(reader), known)
    stamps = reader.get_frame_timestamp(range(len(reader)))[:, 0].astype(np.float64)
    _require_times(stamps - stamps[0], known.times - known.times[0])
    pictures: NDArray[np.uint8] = reader.get_batch(numbers).asnumpy()
    return pictures


def _by_torchcodec(
    container: InputContainer, stream: VideoStream, known: FrameTimes, numbers: NDArray[np.int64]
) -> NDArray[np.uint8]:
    from torchcodec.decoders import VideoDecoder

    reader = VideoDecoder(container.name, stream_index=stream.index, dimension_order="NHWC", seek_mode="exact")
    _require_alike(len(reader), known)
    batch = reader.get_frames_at(numbers.tolist())
    _require_times(batch.pts_seconds.numpy() - start_of(stream), known.times[numbers])
    pictures: NDArray[np.uint8] = batch.data.numpy()
    return pictures


def _require_alike(count: int, known: FrameTimes) -> None:
    if count != len(known.times):
        raise Unsuited(f"it counts {count} frames, not {len(known.times)}")


def _require_times(theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> None:
    if not np.allclose(theirs, ours, rtol=0, atol=LATE):
        raise Unsuited("it tells other times of the frames")


_Decode = Callable[["InputContainer", "VideoStream", FrameTimes, "NDArray[np.int64]"], "NDArray[np.uint8]"]
_OTHERS: Mapping[str, _Decode] = {"decord": _by_decord, "torchcodec": _by_torchcodec}
