"""The sound of a clip: mono samples at the wanted rate, placed by presentation time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from math import ceil, gcd, inf, log10, nan
from typing import TYPE_CHECKING, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from avbench.media.decoding import decodable, may_seek, seek
from avbench.media.frames import score, start_of
from avbench.media.timeline import timeline_of

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

Sound: TypeAlias = NDArray[np.float32]

# Windows that begin before this second are decoded from the file's first packet: AAC fills noise bands from a random
# state that depends on all that was decoded before, so only this reads the same samples whatever the window.
SEEK_BEYOND = 30.0
# Sound read before a window that was sought, for codecs whose frames lean on earlier ones (seconds).
RUN_UP = 1.0
# Output samples on either side of a window that the resampling filter may look at.
FILTER_REACH = 64
# What is sampled at another rate (Hz) is no sound: telephones have 8000, studios 384 000.
RATES = range(1000, 768_001)
# Time stamps off by less than this (seconds) are rounding and the sound goes on; larger steps are gaps or overlaps.
JITTER = 0.01
# Weights of channels that add up to 1, as they do where ffmpeg writes samples of 16 bits; else mixed sound may clip.
_SUM_OF_ONE = {"rematrix_maxval": "1"}
_MANY = 8  # channels: PyAV reads beyond the planes of frames that have so many


def sound_stream(container: InputContainer) -> AudioStream | None:
    """Return the audio stream that `ffmpeg` chooses, or None.

    Of several it is the default one, else that of the most channels, else the first (`map_auto_audio` in
    fftools/ffmpeg_mux_init.c).
    """
    found = sound_streams(container)
    if len(found) < 2:
        return found[0] if found else None
    counts = timeline_of(container).packets
    return max(found, key=lambda stream: score(stream, stream.channels, counts.get(stream.index, 1)))


def sound_streams(container: InputContainer) -> list[AudioStream]:
    """Return the audio streams that can be decoded and are sampled at a rate of sounds."""
    return [s for s in container.streams.audio if s.codec_context is not None and (not s.rate or s.rate in RATES)]


def read_sound(
    container: InputContainer,
    stream: AudioStream,
    zero: float,
    first: int,
    count: int,
    rate: int,
    *,
    mix: Downmix | None = None,
) -> tuple[Sound, int]:
    """Return `count` mono samples from sample `first` on, and how many of them lie before the end of the sound.

    Sample n is heard n / rate seconds after `zero` (seconds, presentation time); silence comes before a sound that
    starts late and after its end. The container must be freshly opened. Channels are mixed by `mix`. Sources at
    `rate` are exact; others are resampled on a grid that does not depend on the window.
    """
    fine = (stream.time_base or 1) <= 1 / rate  # coarser stamps cannot place a sample
    if first / rate > SEEK_BEYOND and fine and may_seek(container):
        seek(container, stream, max(zero + first / rate - RUN_UP, start_of(stream)))
    frames = decodable(container, stream)
    head = next(frames, None)
    if head is None:
        return np.zeros(count, np.float32), 0
    source_rate = head.sample_rate
    shared = gcd(source_rate, rate)
    step_in, step_out = source_rate // shared, rate // shared  # the two grids meet every step_in = step_out samples
    reach = FILTER_REACH if source_rate != rate else 0
    begin, end = (first - reach) // step_out, ceil((first + count + reach) / step_out)
    placed = _placed(chain([head], frames), zero, source_rate, mix or Downmix())
    sound, ended = _lay_out(placed, begin * step_in, (end - begin) * step_in)
    if source_rate != rate:
        sound = resample(sound, source_rate, rate)
    skip = first - begin * step_out
    valid = ended * rate // source_rate - first
    return np.clip(sound[skip : skip + count], -1.0, 1.0), min(max(valid, 0), count)


def read_whole_sound(container: InputContainer, stream: AudioStream, zero: float) -> tuple[Sound, int]:
    """Return all mono samples from `zero` (seconds, presentation time) on at the file's own rate, and that rate."""
    frames = decodable(container, stream)
    head = next(frames, None)
    if head is None:
        return np.zeros(0, np.float32), int(stream.rate or 0)
    pieces = list(_placed(chain([head], frames), zero, head.sample_rate, Downmix()))
    track = np.zeros(max((position + len(mono) for position, mono in pieces), default=0), np.float32)
    for position, mono in pieces:
        _put(track, position, mono)
    return track, head.sample_rate


def level_of(sound: Sound) -> float:
    """Return the root mean square of sound (S,) in dB of full scale, -inf for digital silence, nan for none."""
    if not len(sound):
        return nan
    power = float(np.square(sound, dtype=np.float64).mean())
    return 10 * log10(power) if power else -inf


def cut_sound(track: Sound, source_rate: int, first: int, count: int, rate: int) -> Sound:
    """Return `count` samples from sample `first` on of a whole track brought to `rate`, silence behind its end."""
    track = track if source_rate == rate or not len(track) else resample(track, source_rate, rate)
    cut = np.zeros(count, np.float32)
    _put(cut, -first, track)
    return np.clip(cut, -1.0, 1.0)


def _lay_out(placed: Iterable[tuple[int, Sound]], first: int, count: int) -> tuple[Sound, int]:
    """Return `count` mono samples from `first` on at the source's own rate, and the sample that reading came to."""
    track = np.zeros(count, np.float32)
    came_to = first
    for position, mono in placed:
        if position - first >= count:
            came_to = position
            break
        _put(track, position - first, mono)
        came_to = position + len(mono)
    return track, came_to


def _placed(frames: Iterable[av.AudioFrame], zero: float, rate: int, mix: Downmix) -> Iterator[tuple[int, Sound]]:
    """Yield pieces of mono sound with the sample, after `zero`, at which each begins."""
    position: int | None = None
    for source_rate, alike in groupby(frames, key=lambda frame: frame.sample_rate):
        convert = None if source_rate == rate else _Converter(source_rate, rate)
        for frame in alike:
            stamp = round((frame.time - zero) * rate)
            if position is None or abs(stamp - position) > JITTER * rate:
                position = stamp
            for mixed in mix(frame):
                mono = mixed if convert is None else convert(mixed)
                yield position, mono
                position += len(mono)
        if convert is not None and position is not None:
            mono = convert(None)
            yield position, mono
            position += len(mono)


class _Converter:
    """Brings mono sound to another rate, piece by piece; None ends it."""

    def __init__(self, source_rate: int, rate: int) -> None:
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        self._source_rate = source_rate

    def __call__(self, mono: Sound | None) -> Sound:
        frame = None
        if mono is not None:
            frame = av.AudioFrame.from_ndarray(mono[None], format="flt", layout="mono")
            frame.sample_rate = self._source_rate
        pieces = [piece.to_ndarray()[0] for piece in self._resampler.resample(frame)]
        return np.concatenate([np.zeros(0, np.float32), *pieces])


class Downmix:
    """Mixes the channels of frames into one as `ffmpeg -ac 1` does into samples of 16 bits: their weights add up to 1.

    Left and right are averaged; of 5.1, the centre weighs 0.29, left and right 0.21, the surrounds 0.15. Channels whose
    place in the room is not told are averaged.
    """

    def __init__(self) -> None:
        self._format: tuple[str, str, int] | None = None
        self._mixer: av.AudioResampler | None = None
        self._mixed = 0.0  # the energy of the mono sound, and of each channel
        self._channels = np.zeros(1)

    @property
    def level_db(self) -> float:
        """Return the level of the mono sound over that of the loudest channel; nan where there is one channel only.

        Under -30 dB the channels have cancelled each other.
        """
        loudest = float(self._channels.max())
        if len(self._channels) == 1 or not loudest:
            return nan
        return 10 * log10(self._mixed / loudest) if self._mixed else -inf

    def __call__(self, frame: av.AudioFrame) -> Iterator[Sound]:
        """Yield the mono sound (S,) of a frame; its layout and format may differ from those of the frame before."""
        for mono in self._mono(frame):
            if 1 < frame.layout.nb_channels < _MANY and frame.format.name.startswith(("flt", "s16", "s32")):
                self._compare(frame, mono)
            yield mono

    def _compare(self, frame: av.AudioFrame, mono: Sound) -> None:
        """Add to the energies of the channels and of their mix."""
        samples = frame.to_ndarray()
        scale = np.iinfo(samples.dtype).max + 1.0 if samples.dtype.kind == "i" else 1.0
        channels = samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T
        if len(channels) != len(self._channels):
            self._mixed, self._channels = 0.0, np.zeros(len(channels))
        self._channels += np.square(channels / scale, dtype=np.float64).sum(axis=1)
        self._mixed += float(np.square(mono, dtype=np.float64).sum())

    def _mono(self, frame: av.AudioFrame) -> Iterator[Sound]:
        now = (frame.layout.name, frame.format.name, frame.sample_rate)
        if now != self._format:
            self._format, self._mixer = now, av.AudioResampler(format="flt", layout="mono", options=_SUM_OF_ONE)
        if self._mixer is not None:
            try:
                yield from (piece.to_ndarray()[0] for piece in self._mixer.resample(frame))
                return
            except MemoryError:
                raise
            except (av.FFmpegError, ValueError):  # no weights are known
                self._mixer = None
        for piece in av.AudioResampler(format="flt").resample(frame):
            yield piece.to_ndarray().reshape(-1, piece.layout.nb_channels).mean(axis=1)


def _put(track: Sound, position: int, mono: Sound) -> None:
    """Copy into the track what lies within it of a sound that begins at `position`."""
    begin, end = max(position, 0), min(position + len(mono), len(track))
    if begin < end:
        track[begin:end] = mono[begin - position : end - position]


def resample(source: Sound, source_rate: int, rate: int) -> Sound:
    """Return mono sound (S,) at another rate; a sound shorter than the resampler's filter (2 ms) becomes silence."""
    frame = av.AudioFrame.from_ndarray(source[None], format="flt", layout="mono")
    frame.sample_rate = source_rate
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    if not pieces:
        return np.zeros(round(len(source) * rate / source_rate), np.float32)
    return np.concatenate([piece.to_ndarray()[0] for piece in pieces])
