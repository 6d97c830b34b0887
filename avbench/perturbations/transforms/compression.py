"""Pictures through a real video encoder, in memory: what `ffmpeg -i in -crf CRF out.mp4` would show."""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.video.frame import PictureType

from avbench.types import Context

CODEC = "libx264"
# Subsampled chroma needs even sides; a picture with an odd one keeps all its chroma.
EVEN_ONLY, ANY_SIZE = "yuv420p", "yuv444p"
# Without it, x264 chooses by processor, and its AVX-512 macroblock tree gives other bytes in each run (measured).
REPRODUCIBLE = "cpu-independent=1"


def h264(frames: Iterator[av.VideoFrame], crf: float, context: Context) -> Iterator[av.VideoFrame]:
    """Encode by libx264 at a constant rate factor, preset medium, and decode; times and count are kept.

    Source: DeeperForensics-1.0 runs ffmpeg with its default settings. One thread and no choice of code by processor,
    so that the result is the same on every machine. Notes `kbps`, the bitrate of what was sent so far.
    """
    coder: _Coder | None = None
    for frame in frames:
        coder = coder or _Coder(frame, crf, context)
        yield from coder.shown(frame)
    if coder is not None:
        yield from coder.shown(None)


class _Coder:
    """An encoder and a decoder, one behind the other."""

    def __init__(self, first: av.VideoFrame, crf: float, context: Context) -> None:
        self._encoder, self._decoder, self._context = _encoder(first, crf), _decoder(), context
        self._time_base = first.time_base
        self._start = self._last = first.time
        self._frames = self._packets = self._bytes = 0

    def shown(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """Yield the frames that come out as this one goes in; None ends the stream."""
        if frame is not None:
            self._frames, self._last = self._frames + 1, frame.time
        for packet in self._encoder.encode(frame and _plain(frame, self._encoder.pix_fmt)):
            self._note(packet)
            yield from self._decoded(packet)
        if frame is None:
            yield from self._decoded(None)

    def _note(self, packet: av.Packet) -> None:
        self._packets, self._bytes = self._packets + 1, self._bytes + packet.size
        if self._frames > 1:
            seconds = self._packets * (self._last - self._start) / (self._frames - 1)
            self._context.note("kbps", self._bytes * 8e-3 / seconds)

    def _decoded(self, packet: av.Packet | None) -> Iterator[av.VideoFrame]:
        for frame in self._decoder.decode(packet):
            frame.time_base = self._time_base
            yield frame


def _encoder(frame: av.VideoFrame, crf: float) -> av.VideoCodecContext:
    encoder = av.CodecContext.create(CODEC, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = frame.width, frame.height
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    encoder.pix_fmt = EVEN_ONLY if even else ANY_SIZE
    encoder.time_base = frame.time_base
    if frame.duration and frame.time_base:
        encoder.framerate = 1 / (frame.duration * frame.time_base)
    encoder.color_range, encoder.colorspace = frame.color_range, frame.colorspace
    encoder.thread_count = 1
    encoder.options = {"crf": f"{crf:g}", "x264-params": REPRODUCIBLE}
    return encoder


def _decoder() -> av.VideoCodecContext:
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    return decoder


def _plain(frame: av.VideoFrame, pix_fmt: str | None) -> av.VideoFrame:
    """Return the frame in the encoder's format and without the source's frame types, which x264 would repeat."""
    frame = frame if frame.format.name == pix_fmt else frame.reformat(format=pix_fmt)
    frame.pict_type = PictureType.NONE
    return frame
