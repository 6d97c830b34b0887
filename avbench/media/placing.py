"""Where a clip lies in its video, at which times its frames are shown, and the clip that what was read comes to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avbench.media.frames import Picture
from avbench.media.sound import Sound
from avbench.types import Clip, ClipSpec, MediaError, MediaInfo, Reason


@dataclass(frozen=True, slots=True)
class Place:
    """Where a clip lies in a video, less its first `skip` seconds.

    At a `start` (seconds), at a `fraction` of the room there is for it, or around a `centre` (seconds), which is moved
    so that the clip lies within the video. A clip longer than the video starts at 0.
    """

    by: Literal["start", "fraction", "centre"]
    value: float
    skip: float = 0.0

    @classmethod
    def start(cls, seconds: float, skip: float = 0.0) -> Place:
        """Return the place of a clip that starts at `seconds`."""
        return cls("start", seconds, skip)

    @classmethod
    def fraction(cls, value: float, skip: float = 0.0) -> Place:
        """Return the place of a clip that leaves that fraction of the spare time before it: 0 at once, 1 at the end."""
        return cls("fraction", value, skip)

    @classmethod
    def centre(cls, seconds: float, skip: float = 0.0) -> Place:
        """Return the place of a clip whose middle is at `seconds`."""
        return cls("centre", seconds, skip)

    def begin(self, duration: float, seconds: float) -> float:
        """Return the second at which a clip of `seconds` starts in a video of `duration`, both without `skip`."""
        room = max(0.0, duration - seconds)
        if self.by == "start":
            return max(0.0, self.value)
        if self.by == "fraction":
            return self.value * room
        return min(max(self.value - seconds / 2, 0.0), room)


@dataclass(frozen=True, slots=True)
class Window:
    """One clip of a file: what it must hold, where it begins (seconds), and what the file's header says."""

    path: Path
    spec: ClipSpec
    begin: float
    info: MediaInfo

    @classmethod
    def of(cls, path: Path, spec: ClipSpec, place: Place, info: MediaInfo) -> Window:
        """Return the window of a clip; where `spec` wants the whole video, that is the clip, wherever it is placed."""
        length = info.duration - place.skip
        if spec.whole:
            return cls(path, as_long_as(length, spec), place.skip, info)
        return cls(path, spec, place.skip + place.begin(length, spec.seconds), info)

    @property
    def times(self) -> NDArray[np.float64]:
        """Return the times (T,) in seconds at which the frames of the clip are on the screen.

        Frame k is the one at begin + (k + 1/2) / fps, so that at equal rates frame follows frame.
        """
        return self.begin + (np.arange(self.spec.frames, dtype=np.float64) + 0.5) / self.spec.fps

    @property
    def first_sample(self) -> int:
        """Return the first sample of the clip's sound, which belongs to frames k to k + 1 as k to k + 1 rate / fps."""
        return round(self.begin * self.spec.sample_rate)

    def clip(self, pictures: list[Picture] | None, sound: tuple[Sound, int] | None, *, frozen: int = 0) -> Clip:
        """Return the clip of cut pictures (size,size,3) and of sound with the number of samples before its end.

        None is a stream that was not looked for; `frozen` of the pictures are there only because those of their time
        are damaged or missing. Raises MediaError: `unreadable` where no picture came, or all are frozen, `too_short`
        for fewer than `spec.min_frames`.
        """
        if pictures is not None and not pictures:
            raise MediaError(Reason.UNREADABLE, f"{self.path}: no picture can be decoded from {self.begin:.3f} s on")
        if pictures is not None and len(pictures) < self.spec.min_frames:
            needed = self.spec.min_frames
            raise MediaError(Reason.TOO_SHORT, f"{self.path}: {len(pictures)} frames, {needed} are needed")
        if pictures and frozen == len(pictures):
            text = "all that is shown is the picture before, or damaged"
            raise MediaError(
                Reason.UNREADABLE, f"{self.path}: no picture can be decoded from {self.begin:.3f} s on: {text}"
            )
        samples, valid_samples = sound or (np.zeros(self.spec.samples, np.float32), 0)
        return Clip(
            frames=stacked(pictures or [], self.spec),
            sound=samples,
            valid_frames=len(pictures or []),
            valid_samples=valid_samples,
            has_video=bool(pictures),
            has_audio=valid_samples > 0,
            start=self.begin,
            end=self.begin + (self.spec.seconds or self.info.duration),
            info=self.info,
            frozen=frozen / len(pictures) if pictures else 0.0,
        )


def stacked(pictures: list[Picture], spec: ClipSpec) -> Picture:
    """Return pictures as (T,H,W,3), zeros behind the last."""
    frames = np.zeros((spec.frames, spec.size, spec.size, 3), np.uint8)
    for k, picture in enumerate(pictures):
        frames[k] = picture
    return frames


def as_long_as(duration: float, spec: ClipSpec) -> ClipSpec:
    """Return the spec of one clip that is the whole video of `duration` seconds, or as much of it as `spec` allows."""
    frames = min(spec.frames, max(1, round(duration * spec.fps)))
    seconds = frames / spec.fps if frames else duration
    return replace(spec, frames=frames, audio_samples=min(spec.samples, round(seconds * spec.sample_rate)))
