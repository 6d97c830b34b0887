"""A media file -> the frames and the sound of one clip, aligned by presentation time.

PyAV decodes both streams: it knows each frame's presentation time, edit lists and display matrix, so that pictures and
sound share one clock whose zero is the video stream's first presentation time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from avbench.media.frames import Picture, cut_region, cut_tracked, fill_gaps, picture_stream, read_frames, start_of
from avbench.media.landmarks import cut_square, squares
from avbench.media.sound import Sound, read_sound, sound_stream
from avbench.types import Clip, ClipSpec, MediaError, MediaInfo, Reason

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# (path=, frames= (T,H,W,3) uint8, times= (T,) seconds) -> face boxes (T,4) x0 y0 x1 y1 or landmarks (T,68,2) x y, nan
# where no face is, or None
Track: TypeAlias = Callable[..., "NDArray[np.float64] | None"]


def probe(path: Path) -> MediaInfo:
    """Read the header of a file, without decoding.

    Raises MediaError: `missing_file`, `unreadable`.
    """
    with open_file(path) as container:
        return read_info(container)


def read_clip(
    path: Path,
    spec: ClipSpec,
    *,
    start: float | None = None,
    fraction: float | None = None,
    centre: float | None = None,
    video: bool = True,
    audio: bool = True,
    track: Track | None = None,
    skip: float = 0.0,
) -> Clip:
    """Read one clip as `spec` wants it; exactly one of `start`, `fraction` and `centre` places it (see `place`).

    Frame k is the one on the screen at start + (k + 1/2) / spec.fps, so that at equal rates frame follows frame; its
    sound is samples k rate / fps to (k + 1) rate / fps. `video` and `audio` False leave a stream undecoded. `track`
    gives face boxes or landmarks for the regions "face" and "mouth"; without it the database is taken as cropped to
    the face. The first `skip` seconds of the file are left out: the clip is placed in what follows.

    Raises MediaError: `missing_file`; `unreadable`, also where a video has pictures and none of the clip's can be
    decoded; `too_short` for fewer than `spec.min_frames` frames; `no_face` where `track` found none.
    """
    with open_file(path) as container:
        info = read_info(container)
        length = info.duration - skip
        begin = skip + place(length, spec.seconds, start=start, fraction=fraction, centre=centre)
        if spec.whole:
            begin, spec = skip, as_long_as(length, spec)
        vision = picture_stream(container) if video and spec.frames else None
        hearing = sound_stream(container) if audio and spec.samples else None
        pictures: list[Picture] = []
        sound, valid_samples = np.zeros(spec.samples, np.float32), 0
        try:
            if hearing is not None:  # first, while the container is fresh
                first = round(begin * spec.sample_rate)
                zero = start_of(picture_stream(container) or hearing)
                sound, valid_samples = read_sound(container, hearing, zero, first, spec.samples, spec.sample_rate)
            if vision is not None:
                pictures = _read_pictures(container, vision, path, spec, begin, track)
        except av.FFmpegError as error:
            raise MediaError(Reason.UNREADABLE, f"{path}: {error}") from error
    return finished(path, spec, begin, pictures, sound, valid_samples, info, looked=vision is not None)


def finished(
    path: Path,
    spec: ClipSpec,
    begin: float,
    pictures: list[Picture],
    sound: Sound,
    valid_samples: int,
    info: MediaInfo,
    *,
    looked: bool,
) -> Clip:
    """Return a clip of what was read; `looked` says that pictures were expected.

    Raises MediaError: `unreadable` where none of them came, `too_short`.
    """
    if looked and not pictures:
        raise MediaError(Reason.UNREADABLE, f"{path}: no picture can be decoded from {begin:.3f} s on")
    if looked and len(pictures) < spec.min_frames:
        raise MediaError(Reason.TOO_SHORT, f"{path}: {len(pictures)} frames, {spec.min_frames} are needed")
    return Clip(
        frames=stacked(pictures, spec),
        sound=sound,
        valid_frames=len(pictures),
        valid_samples=valid_samples,
        has_video=bool(pictures),
        has_audio=valid_samples > 0,
        start=begin,
        end=begin + (spec.seconds or info.duration),
        info=info,
    )


def stacked(pictures: list[Picture], spec: ClipSpec) -> Picture:
    """Return pictures as (T,H,W,3), zeros behind the last."""
    frames = np.zeros((spec.frames, spec.size, spec.size, 3), np.uint8)
    for k, picture in enumerate(pictures):
        frames[k] = picture
    return frames


def place(
    duration: float,
    seconds: float,
    *,
    start: float | None = None,
    fraction: float | None = None,
    centre: float | None = None,
) -> float:
    """Return the second at which a clip of `seconds` starts in a video of `duration`.

    Exactly one is given: `start` itself, the `fraction` of the room there is for it, or the `centre` of the clip, which
    is then moved so that the clip lies within the video. A clip longer than the video starts at 0.
    """
    room = max(0.0, duration - seconds)
    if (start is not None) + (fraction is not None) + (centre is not None) != 1:
        raise ValueError(f"one of start, fraction and centre places a clip, not {start}, {fraction}, {centre}")
    if start is not None:
        return max(0.0, start)
    if fraction is not None:
        return fraction * room
    assert centre is not None
    return min(max(centre - seconds / 2, 0.0), room)


def as_long_as(duration: float, spec: ClipSpec) -> ClipSpec:
    """Return the spec of one clip that is the whole video of `duration` seconds, or as much of it as `spec` allows."""
    frames = min(spec.frames, max(1, round(duration * spec.fps)))
    seconds = frames / spec.fps if frames else duration
    return replace(spec, frames=frames, audio_samples=min(spec.samples, round(seconds * spec.sample_rate)))


def open_file(path: Path) -> InputContainer:
    """Open a file; MediaError `missing_file` or `unreadable` where that fails."""
    try:
        container: InputContainer = av.open(str(path))
        return container
    except FileNotFoundError as error:
        raise MediaError(Reason.MISSING_FILE, f"{path}: no such file") from error
    except (OSError, av.FFmpegError) as error:
        raise MediaError(Reason.UNREADABLE, f"{path}: {error.strerror}") from error


def read_info(container: InputContainer) -> MediaInfo:
    """Return what the header says; MediaError `unreadable` where it names nothing that can be decoded."""
    video, audio = picture_stream(container), sound_stream(container)
    main = video or audio
    if main is None:
        raise MediaError(Reason.UNREADABLE, f"{container.name}: neither pictures nor sound that can be decoded")
    if main.duration is not None and main.time_base is not None:
        duration = float(main.duration * main.time_base)
    else:  # WebM keeps no duration by stream
        duration = (container.duration or 0) / av.time_base
    fps = float(video.average_rate or 0) if video else 0.0
    frames = (video.frames or round(duration * fps)) if video else 0
    return MediaInfo(duration, fps, frames, video is not None, audio is not None, container.size)


def _read_pictures(
    container: InputContainer, stream: VideoStream, path: Path, spec: ClipSpec, begin: float, track: Track | None
) -> list[Picture]:
    times = moments(spec, begin)
    if track is None or spec.region == "frame":
        return read_frames(container, stream, times, lambda picture: cut_region(picture, spec.region, spec.size))
    pictures = read_frames(container, stream, times, lambda picture: picture)
    cut = cutter(pictures, times, path, spec, track)
    return [cut(k, picture) for k, picture in enumerate(pictures)]


def moments(spec: ClipSpec, begin: float) -> NDArray[np.float64]:
    """Return the times (T,) in seconds at which the frames of a clip are on the screen."""
    return begin + (np.arange(spec.frames, dtype=np.float64) + 0.5) / spec.fps


def cutter(
    pictures: list[Picture], times: NDArray[np.float64], path: Path, spec: ClipSpec, track: Track | None
) -> Callable[[int, Picture], Picture]:
    """Return what cuts the region out of the k-th of a clip's pictures, having tracked the face in them.

    Raises MediaError `no_face`.
    """
    boxes = None
    if track is not None and spec.region != "frame" and pictures:
        boxes = track(path=path, frames=np.stack(pictures), times=times[: len(pictures)])
    if boxes is None:
        return lambda k, picture: cut_region(picture, spec.region, spec.size)
    filled = fill_gaps(boxes)
    if filled is None:
        raise MediaError(Reason.NO_FACE, f"{path}: no face from {times[0] - 0.5 / spec.fps:.3f} s on")
    if filled.ndim == 3:
        maps = squares(filled, spec.region)
        return lambda k, picture: cut_square(picture, maps[k], spec.region, spec.size)
    return lambda k, picture: cut_tracked(picture, filled[k], spec.region, spec.size)
