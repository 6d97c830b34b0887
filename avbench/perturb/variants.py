"""One clip of a video as it is and under several conditions: decoded once, changed as a whole, and only then cut.

Faces are tracked in the pictures as they are, so that a robustness curve shows the detector and not the tracker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import inf, log10, nan
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from avbench.media import reading as media
from avbench.media.frames import Picture, Upright, frames_from, picture_stream, shown_at, start_of
from avbench.media.sound import Sound, cut_sound, read_sound, read_whole_sound, resample, sound_stream
from avbench.perturb import conditions as perturb
from avbench.perturb.conditions import Condition
from avbench.types import Change, Clip, ClipSpec, Context, MediaError, Reason

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

Variant: TypeAlias = Clip | MediaError
# Decoded videos beyond this many bytes are decoded again for each condition that needs all of their frames.
HELD = 1 << 30
LOUDNESS_ALONE = 200.0  # dB, where nothing but the loudness of a sound changed


def read_variants(
    path: Path,
    spec: ClipSpec,
    conditions: Sequence[Condition | None],
    *,
    video: str,
    start: float | None = None,
    fraction: float | None = None,
    centre: float | None = None,
    track: media.Track | None = None,
    skip: float = 0.0,
) -> list[Variant]:
    """Read one clip under each condition (None: as it is, equal to `media.read_clip`); `video` is the sample's id.

    A stream that a condition leaves alone is the very same array as in the clip as it is. A condition that cannot be
    computed for this video gives a MediaError in its place.

    Raises MediaError: what `media.read_clip` raises, for all of them.
    """
    with media.open_file(path) as container:
        info = media.read_info(container)
        length = info.duration - skip
        begin = skip + media.place(length, spec.seconds, start=start, fraction=fraction, centre=centre)
        if spec.whole:
            begin, spec = skip, media.as_long_as(length, spec)
        vision = picture_stream(container) if spec.frames else None
        hearing = sound_stream(container) if spec.samples else None
        sound, valid_samples, first = np.zeros(spec.samples, np.float32), 0, round(begin * spec.sample_rate)
        scene, source = None, None
        try:
            if hearing is not None:  # first, while the container is fresh
                zero = start_of(picture_stream(container) or hearing)
                sound, valid_samples = read_sound(container, hearing, zero, first, spec.samples, spec.sample_rate)
                if any(c.touches("audio") for c in conditions if c):
                    source = _whole_sound(path, zero)
            if vision is not None:
                streaming = any(c.touches("video") and c.spec.whole_stream for c in conditions if c)
                scene = _Scene.of(container, vision, path, media.moments(spec, begin), whole=streaming)
        except av.FFmpegError as error:
            raise MediaError(Reason.UNREADABLE, f"{path}: {error}") from error
        pictures = scene.as_it_is() if scene else []
        cut = media.cutter(pictures, media.moments(spec, begin), path, spec, track)

        def finished(changed: list[Picture]) -> list[Picture]:
            return [cut(k, picture) for k, picture in enumerate(changed)]

        clean = media.finished(
            path, spec, begin, finished(pictures), sound, valid_samples, info, looked=scene is not None
        )

        def variant(condition: Condition) -> Clip:
            changed = replace(clean, change=Change())
            if condition.touches("video") and scene is not None:
                shown, change = scene.under(condition, video)
                changed = replace(changed, frames=media.stacked(finished(shown), spec), change=change)
            if condition.touches("audio") and clean.has_audio and source is not None:
                whole, rate = source
                voices = [_voice(voice, rate) for voice in condition.voices]
                other, context = perturb.perturb_sound(condition, video, whole, rate, [v for v in voices if len(v)])
                cut_out = cut_sound(other, rate, first, spec.samples, spec.sample_rate)
                changed = _with_sound(changed, cut_out, context)
            return changed

        return [clean if c is None else _attempt(c, path, variant) for c in conditions]


def variants_of(clip: Clip, spec: ClipSpec, conditions: Sequence[Condition | None], *, video: str) -> list[Variant]:
    """Return a clip that a plugin decoded under each condition, as if its frames and its sound were the whole video."""

    def variant(condition: Condition) -> Clip:
        changed = replace(clip, change=Change())
        if condition.touches("video") and clip.has_video:
            pictures = list(clip.frames[: clip.valid_frames])
            if condition.spec.whole_stream:
                context = perturb.frames_context(condition, video)
                upright = Upright()
                stream = perturb.perturb_frames(condition, video, _as_frames(pictures, spec.fps), context)
                shown, kbps = [upright(frame) for frame in stream], context.notes.get("kbps", nan)
            else:
                shown, kbps = _each(condition, video, list(enumerate(pictures)), spec.fps)
            frames = clip.frames.copy()
            frames[: len(shown)] = np.stack(shown)
            changed = replace(changed, frames=frames, change=Change(psnr=_psnr(pictures, shown), kbps=kbps))
        if condition.touches("audio") and clip.has_audio:
            voices = [_voice(voice, spec.sample_rate) for voice in condition.voices]
            sound, context = perturb.perturb_sound(condition, video, clip.sound, spec.sample_rate, voices)
            changed = _with_sound(changed, np.clip(sound, -1, 1), context)
        return changed

    return [clip if c is None else _attempt(c, Path(video), variant) for c in conditions]


@dataclass(frozen=True, slots=True)
class _Scene:
    """The distinct pictures of a clip, whole, with their numbers in the video and how often each is shown."""

    path: Path
    stream: VideoStream
    times: NDArray[np.float64]
    pictures: list[Picture]
    indices: list[int]
    counts: list[int]
    rotation: int
    held: list[av.VideoFrame] | None

    @classmethod
    def of(
        cls, container: InputContainer, stream: VideoStream, path: Path, times: NDArray[np.float64], *, whole: bool
    ) -> _Scene:
        """Decode the clip's frames, or with `whole` all of them if they can be held."""
        size = stream.width * stream.height * 3 / 2 * (stream.frames or 25 * 60)
        held = list(frames_from(container, stream, 0.0)) if whole and size <= HELD else None
        frames = held if held is not None else frames_from(container, stream, times[0])
        upright, shown = Upright(), []
        pictures = []
        for item in shown_at(times, frames, stream):
            shown.append(item)
            pictures.append(upright(item.frame))
        rotation = shown[0].frame.rotation if shown else 0
        return cls(path, stream, times, pictures, [s.index for s in shown], [s.count for s in shown], rotation, held)

    def as_it_is(self) -> list[Picture]:
        """Return the picture at each time."""
        return self._at_each_time(self.pictures)

    def under(self, condition: Condition, video: str) -> tuple[list[Picture], Change]:
        """Return the picture at each time in a condition, and how much it differs."""
        if condition.spec.whole_stream:
            context = perturb.frames_context(condition, video)
            upright = Upright(self.rotation)
            changed = perturb.perturb_frames(condition, video, self._all_frames(), context)
            pictures = [upright(item.frame) for item in shown_at(self.times, changed, self.stream)]
            kbps = context.notes.get("kbps", nan)
        else:
            rate = float(self.stream.average_rate or 25)
            pictures, kbps = _each(condition, video, list(zip(self.indices, self.pictures, strict=True)), rate)
        return self._at_each_time(pictures), Change(psnr=_psnr(self.pictures, pictures), kbps=kbps)

    def _at_each_time(self, pictures: list[Picture]) -> list[Picture]:
        return [picture for picture, count in zip(pictures, self.counts, strict=True) for _ in range(count)]

    def _all_frames(self) -> Iterator[av.VideoFrame]:
        if self.held is not None:
            yield from self.held
            return
        with media.open_file(self.path) as again:
            stream = picture_stream(again)
            assert stream is not None
            yield from frames_from(again, stream, 0.0)


def _attempt(condition: Condition, path: Path, variant: Callable[[Condition], Clip]) -> Variant:
    try:
        return variant(condition)
    except MediaError as error:
        return error
    except Exception as error:  # of an encoder or a plugin, over this video: it costs this condition only
        message = f"{path}: {condition.name} level {condition.level}: {type(error).__name__}: {error}"
        return MediaError(Reason.UNREADABLE, message)


def _each(
    condition: Condition, video: str, numbered: list[tuple[int, Picture]], rate: float
) -> tuple[list[Picture], float]:
    """Perturb pictures one by one; return them and, if they were coded, the bitrate at `rate` pictures a second."""
    pictures, coded = [], []
    for index, picture in numbered:
        changed, context = perturb.perturb_picture(condition, video, index, picture)
        pictures.append(changed)
        coded.append(context.notes.get("kbytes", nan))
    return pictures, float(np.mean(coded)) * 8 * rate


def _as_frames(pictures: list[Picture], fps: float) -> Iterator[av.VideoFrame]:
    time_base = 1 / Fraction(fps).limit_denominator(1001)
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base, frame.duration = number, time_base, 1
        yield frame


def _with_sound(clip: Clip, sound: Sound, context: Context) -> Clip:
    assert clip.change is not None
    change = replace(clip.change, snr=_snr(clip.sound, sound), kbps=context.notes.get("kbps", clip.change.kbps))
    return replace(clip, sound=sound, change=change)


def _psnr(pictures: Sequence[Picture], changed: Sequence[Picture]) -> float:
    error = float(np.mean([_squared_error(*pair) for pair in zip(pictures, changed, strict=True)]))
    return 10 * log10(255**2 / error) if error else inf


def _squared_error(picture: Picture, changed: Picture) -> float:
    left, right = np.ascontiguousarray(picture), np.ascontiguousarray(changed)
    return float(cv2.norm(left, right, cv2.NORM_L2SQR)) / picture.size


def _snr(sound: Sound, changed: Sound) -> float:
    """Return the power of what the changed sound has of the original one, over that of the rest, in dB."""
    if np.array_equal(sound, changed):
        return inf
    x, y = sound.astype(np.float64), changed.astype(np.float64)
    kept = x * (x @ y / (x @ x)) if x @ x else x
    rest = float(np.sum((y - kept) ** 2))
    own = float(np.sum(kept**2))
    if not rest:
        return LOUDNESS_ALONE
    return 10 * log10(own / rest) if own else -inf


def _whole_sound(path: Path, zero: float) -> tuple[Sound, int]:
    with media.open_file(path) as container:
        stream = sound_stream(container)
        assert stream is not None
        return read_whole_sound(container, stream, zero)


@lru_cache(maxsize=64)
def _voice(path: Path, rate: int) -> Sound:
    """Return the sound of a file at a rate; of one that cannot be read, nothing."""
    try:
        with media.open_file(path) as container:
            stream = sound_stream(container)
            if stream is None:
                return np.zeros(0, np.float32)
            sound, own = read_whole_sound(container, stream, start_of(stream))
    except (MediaError, av.FFmpegError):
        return np.zeros(0, np.float32)
    return sound if own == rate or not len(sound) else resample(sound, own, rate)
