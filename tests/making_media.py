"""Makes small media files that tell the time: the brightness of the pictures and the pitch of the sound."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FPS = 25
VIDEO = {"webm": "libvpx", "avi": "mpeg4", "flv": "flv", "mpegts": "mpeg2video", "mpeg": "mpeg2video", "asf": "mpeg4"}
SOUND = {"webm": "libopus", "avi": "libmp3lame", "flv": "libmp3lame", "mpegts": "mp2", "mpeg": "mp2"}
SOUND |= {"mp3": "libmp3lame", "wav": "pcm_s16le", "ogg": "libopus", "asf": "wmav2"}


class Pipe(io.RawIOBase):
    """A file that cannot go back, so that nothing is put into its header afterwards."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, block: object) -> int:
        self.data += memoryview(block)  # type: ignore[arg-type]
        return len(memoryview(block))  # type: ignore[arg-type]


def picture(seconds: float) -> NDArray[np.uint8]:
    """Return the picture (48,64,3) of a moment: grey 40 + 20 a second."""
    return np.full((48, 64, 3), min(255, round(40 + 20 * seconds)), np.uint8)


def tone(first: float, seconds: float, rate: int) -> NDArray[np.float32]:
    """Return sound whose pitch is 300 Hz + 200 Hz a second."""
    t = first + np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * (300 * t + 100 * t * t))).astype(np.float32)


def moment_seen(frame: NDArray[np.uint8]) -> float:
    """Return the second that a picture shows."""
    return (float(frame.mean()) - 40) / 20


def moment_heard(sound: NDArray[np.float32], rate: int = 16_000) -> float:
    """Return the second at the middle of a sound, by its pitch."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
    return (float(spectrum.argmax()) * rate / (8 * len(sound)) - 300) / 200


def recording(
    container: str,
    *,
    seen: float = 0.0,
    heard: float = 0.0,
    first: float = 0.0,
    rate: int = 48_000,
    streamed: bool = False,
    to: Path | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """Return a file of `seen` seconds of pictures and `heard` of sound which show the time from `first` on.

    `to` is written meanwhile, for what needs a real file.
    """
    buffer = Pipe() if streamed else io.BytesIO()
    with av.open(str(to) if to else buffer, "w", format=container, options=options or {}) as file:
        video = audio = None
        if seen:
            video = file.add_stream(VIDEO.get(container, "libx264"), rate=FPS)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            video.bit_rate = 400_000
        if heard:
            audio = file.add_stream(SOUND.get(container, "aac"), rate=rate, layout="mono")
        if video is not None:
            for number in range(round(seen * FPS)):
                frame = av.VideoFrame.from_ndarray(picture(first + number / FPS), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                file.mux(video.encode(frame))
            file.mux(video.encode())
        if audio is not None:
            sound = tone(first, heard, rate)
            whole = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
            whole.sample_rate, whole.pts, whole.time_base = rate, 0, Fraction(1, rate)
            file.mux(audio.encode(whole))
            file.mux(audio.encode())
    if to is not None:
        return to.read_bytes()
    return bytes(buffer.data) if isinstance(buffer, Pipe) else buffer.getvalue()


def with_box_value(mp4: bytes, box: bytes, value: int) -> bytes:
    """Return an MP4 whose boxes (mdhd, mvhd) of version 0 tell `value` as their duration."""
    data, at = bytearray(mp4), mp4.find(box)
    while at >= 0:
        data[at + 20 : at + 24] = value.to_bytes(4)
        at = data.find(box, at + 1)
    return bytes(data)


def written(path: Path, data: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(data)
    return path
