"""What comes out of a media file: a clip with its pictures and its sound, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING

from avbench.types.values import Reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class MediaError(Exception):
    """A file gives no clip, for a reason that has a code."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[MediaError], tuple[Reason, str]]:
        return type(self), (self.reason, str(self))


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file holds: seconds of the video (of the sound where there is no video), frame rate, frames, bytes.

    `duration` is that of the packets, where the header says something else or nothing. `told` are the seconds that the
    header tells, None where it tells none; `claims_too_much` is how many of them no packet bears out (below 0: how many
    more there are). Of a file to which recordings were appended, `recordings` counts all. `unread` is the
    share of the file behind its last packet: of some containers nothing reads what was appended. `video_choice` and
    `audio_choice` are which stream is taken, from 1, of how many.
    """

    duration: float
    fps: float
    frames: int
    has_video: bool
    has_audio: bool
    bytes: int = 0
    told: float | None = None
    claims_too_much: float = 0.0
    recordings: int = 1
    unread: float = 0.0
    video_choice: tuple[int, int] = (0, 0)
    audio_choice: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Change:
    """How strongly a clip was perturbed: PSNR of its whole pictures and SNR of its sound in dB, bitrate in kbit/s.

    nan where that says nothing, inf where nothing changed. The SNR does not count a change of loudness alone.
    """

    psnr: float = nan
    snr: float = nan
    kbps: float = nan


@dataclass(slots=True)
class Clip:
    """One clip: frames (T,H,W,3) uint8 RGB and sound (S,) float32 in [-1,1], padded with zeros behind the valid ones.

    `has_video` and `has_audio` are False where that stream is missing, ends before the clip or was not asked for.
    `start` and `end` are seconds. `change` is there if the video was perturbed, `info` if the file's header was read.
    `frozen` is the share of the valid frames that are there only because those of their time are damaged or missing.
    `mix_db` is the level of the sound over that of its loudest channel, nan where there is one channel.
    `annotations` are (T,N) each, see avbench.data.annotations.
    """

    frames: NDArray[np.uint8]
    sound: NDArray[np.float32]
    valid_frames: int
    valid_samples: int
    has_video: bool
    has_audio: bool
    start: float
    end: float
    change: Change | None = None
    info: MediaInfo | None = None
    frozen: float = 0.0
    mix_db: float = nan
    annotations: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
