"""Sound through real encoders, in memory: MP3, Opus, AAC; no delay, no change of length."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import av
import numpy as np
from scipy.signal import correlate, sawtooth

from avbench.media.sound import resample
from avbench.types import Context

if TYPE_CHECKING:
    from avbench.media.sound import Sound

RATE = 16_000  # Hz at which all is coded: MP3 has no 8 kbit/s at higher rates, and the databases have no more
FLUSH = 0.25  # seconds of silence behind the sound, so that all of it leaves the codec
DECODERS = {"libmp3lame": "mp3", "libopus": "libopus", "aac": "aac"}


def mp3(sound: Sound, kbps: float, context: Context) -> Sound:
    """Code with LAME at a constant bitrate."""
    return _coded(sound, "libmp3lame", kbps, context)


def opus(sound: Sound, kbps: float, context: Context) -> Sound:
    """Code with libopus."""
    return _coded(sound, "libopus", kbps, context)


def aac(sound: Sound, kbps: float, context: Context) -> Sound:
    """Code with ffmpeg's own AAC encoder."""
    return _coded(sound, "aac", kbps, context)


def _coded(sound: Sound, codec: str, kbps: float, context: Context) -> Sound:
    source = sound if context.rate == RATE else resample(sound, context.rate, RATE)
    decoded, rate, size = _through(source, codec, kbps)
    context.note("kbps", size * 8e-3 / max(len(source) / RATE + FLUSH, 1e-9))
    decoded = decoded[delay_of(codec, kbps) :]
    decoded = decoded if rate == context.rate else resample(decoded, rate, context.rate)
    kept = np.zeros(len(sound), np.float32)
    kept[: len(decoded)] = decoded[: len(sound)]
    return kept


@cache
def delay_of(codec: str, kbps: float) -> int:
    """Return by how many samples, at the decoder's rate, a codec delays: where a probe comes out again.

    It is a property of the codec and its settings, and so is measured once: on a voice that glides upwards, which
    codecs for speech keep even at low bitrates, and which at no other place looks like itself.
    """
    time = np.arange(RATE) / RATE
    probe = (0.3 * np.hanning(RATE) * sawtooth(2 * np.pi * (90 * time + 60 * time**2))).astype(np.float32)
    decoded, rate, _ = _through(probe, codec, kbps)
    probe = probe if rate == RATE else resample(probe, RATE, rate)
    found = correlate(decoded.astype(np.float64), probe.astype(np.float64), "full")[len(probe) - 1 :]
    return int(found[: round(FLUSH * rate)].argmax())


def _through(sound: Sound, codec: str, kbps: float) -> tuple[Sound, int, int]:
    """Return what the decoder gives, its rate, and the bytes between."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.bit_rate = RATE, "mono", round(kbps * 1000)
    encoder.format = "flt" if codec == "libopus" else "fltp"
    if codec == "libopus":
        encoder.options = {"vbr": "off"}
    encoder.open()
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(decoder, av.AudioCodecContext)
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    if codec == "libopus":
        decoder.sample_rate, decoder.layout = 48_000, "mono"
    padded = np.concatenate([sound, np.zeros(round(FLUSH * RATE), np.float32)])
    frame = av.AudioFrame.from_ndarray(padded[None], format="flt", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    planar = av.AudioResampler(format="fltp", layout="mono")
    pieces = [
        piece.to_ndarray()[0]
        for packet in [*packets, None]
        for f in decoder.decode(packet)
        for piece in planar.resample(f)
    ]
    return np.concatenate(pieces), decoder.sample_rate, sum(packet.size for packet in packets)
