"""Write mp4 files in memory through PyAV: each stream is encoded once, and files share the streams that they share."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avbench_demo.performance import FPS
from avbench_demo.spectra import RATE

_AAC_BLOCK = 1024
# The first three halve the time and hardly change the size; with the last, every run gives the same bytes.
_FAST = "subme=1:ref=1:me=dia:cpu-independent=1"
_KEY_FRAMES = 12  # frames apart at most: a clip is reached soon wherever it starts


def encode_video(frames: NDArray[np.uint8], crf: int, preset: str) -> bytes:
    """Encode (T, 336, 224) planar YUV 4:2:0 as H.264 in an mp4 of its own."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1] * 2 // 3, "yuv420p"
        stream.options = {"crf": str(crf), "preset": preset, "g": str(_KEY_FRAMES), "x264-params": _FAST}
        stream.codec_context.thread_count = 1  # frame threads would change the bits with the machine
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="yuv420p")
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def encode_sound(sound: NDArray[np.float32], bit_rate: int = 64000) -> bytes:
    """Encode (S,) at 16 kHz as mono AAC in an mp4 of its own."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        stream.bit_rate = bit_rate
        stream.options = {"aac_coder": "fast"}
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def join(video: bytes, sound: bytes, path: Path) -> None:
    """Write both streams into one file, bit for bit as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        av.open(io.BytesIO(video)) as seen,
        av.open(io.BytesIO(sound)) as heard,
        av.open(f"file:{path.absolute()}", "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        packets: list[tuple[Fraction, int, av.Packet[Any]]] = []
        for source, stream in ((seen, seen.streams.video[0]), (heard, heard.streams.audio[0])):
            target = container.add_stream_from_template(stream)
            for packet in source.demux(stream):
                if packet.dts is not None:
                    packets.append((packet.dts * packet.time_base, len(packets), packet))
                    packet.stream = target
        for _, _, packet in sorted(packets, key=lambda entry: entry[:2]):
            container.mux(packet)


def decoded_samples(count: int) -> int:
    """Number of samples a decoder returns for this many encoded ones: whole AAC blocks."""
    return -(-count // _AAC_BLOCK) * _AAC_BLOCK
