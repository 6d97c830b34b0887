"""Pictures through a real video encoder, in memory: what `ffmpeg -i in -crf CRF out.mp4` would show."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.video.frame import PictureType

from avbench.perturb import Context

CODEC = "libx264"
# Subsampled chroma needs even sides; a picture with an odd one keeps all its chroma.
EVEN_ONLY, ANY_SIZE = "yuv420p", "yuv444p"
# Without it, x264 chooses by processor, and its AVX-512 macroblock tree gives other bytes in each run (measured).
REPRODUCIBLE = "cpu-independent=1"


def h264(frames: Iterator[av.VideoFrame], crf: float, context: Context) -> Iterator[av.VideoFrame]:
    """Encode by libx264 at a constant rate factor, preset medium, and decode; times and count are kept.

    Source: DeeperForensics-1.0 runs ffmpeg with its default settings. One thread and no choice of code by processor,
    so that the result is the same on every machine. Notes `kbps`, the bitrate of the pictures so far.
    """
    encoder, decoder = None, _decoder()
    size = shown = 0
    for frame in frames:
        if encoder is None:
            encoder, first, time_base = _encoder(frame, crf), frame.time, frame.time_base
        shown += 1
        for packet in encoder.encode(_plain(frame, encoder.pix_fmt)):
            size += packet.size
            yield from _decoded(decoder, packet, time_base)
        if shown > 1:  # so many frames last as long as so many steps between them
            context.note("kbps", size * 8e-3 / ((frame.time - first) * shown / (shown - 1)))
    if encoder is None:
        return
    for packet in encoder.encode(None):
        size += packet.size
        yield from _decoded(decoder, packet, time_base)
    if shown > 1:
        context.note("kbps", size * 8e-3 / ((frame.time - first) * shown / (shown - 1)))
    yield from _decoded(decoder, None, time_base)


def _decoded(
    decoder: av.VideoCodecContext, packet: av.Packet | None, time_base: Fraction | None
) -> Iterator[av.VideoFrame]:
    for frame in decoder.decode(packet):
        frame.time_base = time_base
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
