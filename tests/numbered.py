"""Videos whose pictures show their number and whose sound has one burst, for tests of order, time and shape."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

COUNT = 50
BURST = 1.0  # seconds, with picture 25
RATE = 16_000


def picture(number: int) -> np.ndarray:
    """Return (64,64,3) with the number as eight black or white stripes."""
    bits = (number >> np.arange(8)) & 1
    return np.repeat(bits * 255, 8).astype(np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)


def number_in(shown: np.ndarray) -> int:
    """Read the stripes of a picture."""
    bits = shown[..., 0].mean(axis=0).reshape(8, -1).mean(axis=1) > 128
    return int(bits @ (1 << np.arange(8)))


def burst() -> np.ndarray:
    """Return two seconds of sound that is loud around `BURST` alone."""
    time = np.arange(2 * RATE) / RATE
    return 0.8 * np.exp(-(((time - BURST) / 2e-3) ** 2)) * np.cos(2 * np.pi * 1000 * (time - BURST))


def write(
    path: Path,
    codec: str,
    options: dict[str, str],
    *,
    sound: str = "",
    count: int = COUNT,
    container: dict[str, str] | None = None,
) -> Path:
    """Write `count` numbered pictures of 25 a second, with the burst where `sound` names a codec."""
    with av.open(str(path), "w", options=container or {}) as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        voice = file.add_stream(sound, rate=48_000 if sound == "libopus" else RATE, layout="mono") if sound else None
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        if voice is not None:
            whole = av.AudioFrame.from_ndarray((burst() * 32_767).astype(np.int16)[None], format="s16", layout="mono")
            whole.sample_rate, whole.pts, whole.time_base = RATE, 0, Fraction(1, RATE)
            file.mux(voice.encode(whole))
            file.mux(voice.encode())
    return path


def late(source: Path, path: Path, *, pictures: float = 0.0, sound: float = 0.0) -> Path:
    """Copy a file with its pictures or its sound later by so many seconds."""
    with av.open(str(source)) as given, av.open(str(path), "w") as file:
        outs = {stream.index: file.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                by = round((pictures if packet.stream.type == "video" else sound) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + by, packet.dts + by, outs[packet.stream.index]
                file.mux(packet)
    return path
