"""One clip that a plugin decoded, as it is and under conditions, as if its frames and sound were the whole video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import nan

import av
import numpy as np

from avbench.media.frames import Picture
from avbench.media.geometry import Upright
from avbench.perturbations import conditions as perturb
from avbench.perturbations.conditions import Condition
from avbench.perturbations.open_clip import not_computed, voice_of, with_sound
from avbench.perturbations.scene import one_by_one
from avbench.perturbations.strength import psnr
from avbench.types import Change, Clip, ClipSpec, MediaError


class DecodedClip:
    """A clip with the same two sides as `OpenClip`; `video` is the video's id."""

    def __init__(self, clip: Clip, spec: ClipSpec, video: str) -> None:
        self._clip, self._spec, self._video = clip, spec, video

    def clean(self) -> Clip:
        """Return the clip as it is."""
        return self._clip

    def under(self, condition: Condition) -> Clip:
        """Return the clip under a condition; MediaError `bad_media` where it cannot be computed for this clip."""
        try:
            return self._changed(condition)
        except MediaError:
            raise
        except Exception as error:  # of an encoder or a plugin, over this clip: it costs this condition only
            raise not_computed(condition, self._video, error) from error

    def _changed(self, condition: Condition) -> Clip:
        clip, rate = self._clip, self._spec.sample_rate
        changed = replace(clip, change=Change())
        if condition.touches("video") and clip.has_video:
            pictures = list(clip.frames[: clip.valid_frames])
            shown, kbps = self._pictures(condition, pictures)
            frames = clip.frames.copy()
            frames[: len(shown)] = np.stack(shown)
            changed = replace(changed, frames=frames, change=Change(psnr=psnr(pictures, shown), kbps=kbps))
        if condition.touches("audio") and clip.has_audio:
            voices = [voice_of(voice, rate) for voice in condition.voices]
            sound, context = perturb.perturb_sound(condition, self._video, clip.sound, rate, voices)
            changed = with_sound(changed, np.clip(sound, -1, 1), context)
        return changed

    def _pictures(self, condition: Condition, pictures: list[Picture]) -> tuple[list[Picture], float]:
        """Return the pictures in a condition and, if they were coded, their bitrate."""
        if not condition.spec.whole_stream:
            return one_by_one(condition, self._video, list(enumerate(pictures)), self._spec.fps)
        context = perturb.frames_context(condition, self._video)
        upright = Upright()
        frames = perturb.perturb_frames(condition, self._video, _as_frames(pictures, self._spec.fps), context)
        return [upright(frame) for frame in frames], context.notes.get("kbps", nan)


def _as_frames(pictures: list[Picture], fps: float) -> Iterator[av.VideoFrame]:
    time_base = 1 / Fraction(fps).limit_denominator(1001)
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base, frame.duration = number, time_base, 1
        yield frame
