"""One clip of a video, opened once: as it is and under conditions, changed as a whole and only then cut.

Faces are tracked in the pictures as they are, so that a robustness curve shows the detector and not the tracker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import nan
from pathlib import Path

import av
import numpy as np

from avbench.media.decoders import PYAV, pictures_at
from avbench.media.frames import Picture, cut_region, picture_stream, start_of
from avbench.media.placing import Place, Window, stacked
from avbench.media.reading import open_file, read_info
from avbench.media.sound import Downmix, Sound, cut_sound, read_sound, read_whole_sound, resample, sound_stream
from avbench.media.tracking import Cut, Track, cutter, looks_for_faces
from avbench.perturbations import conditions as perturb
from avbench.perturbations.conditions import Condition
from avbench.perturbations.scene import Scene
from avbench.perturbations.strength import snr
from avbench.types import Change, Clip, ClipSpec, Context, MediaError, Reason


class OpenClip:
    """One clip of a file, decoded once: as it is (`clean`) and under conditions (`under`).

    `conditions` are those that will be asked for: only for them are whole pictures and the whole sound kept. `video` is
    the video's id, from which their randomness is drawn. `track` gives face boxes or landmarks for the regions "face"
    and "mouth"; without it the database is taken as cropped to the face. `decoder` decodes the pictures.

    Raises MediaError: `missing_file`, `unreadable`.
    """

    def __init__(
        self,
        path: Path,
        spec: ClipSpec,
        place: Place,
        *,
        conditions: Sequence[Condition] = (),
        video: str = "",
        track: Track | None = None,
        decoder: str = PYAV,
    ) -> None:
        self.path, self.video = path, video or path.name
        self._conditions, self._track, self._decoder = tuple(conditions), track, decoder
        self._container = open_file(path)
        self._window = Window.of(path, spec, place, read_info(self._container))
        self._clean: Clip | None = None
        self._mix_db = nan
        self._frozen = 0  # at how many times of the clip the picture is not of its own time
        # What is kept for conditions: the pictures, what cuts the region out of them, the sound and its rate.
        self._scene: Scene | None = None
        self._cut: Cut | None = None
        self._whole_sound: tuple[Sound, int] | None = None

    def clean(self) -> Clip:
        """Return the clip as it is, decoded at the first call.

        Raises MediaError: `unreadable`, also where a video has pictures and none of the clip's can be decoded;
        `too_short` for fewer than `spec.min_frames` frames; `no_face` where `track` found none.
        """
        if self._clean is None:
            try:
                sound = self._read_sound()  # first, while the container is fresh
                pictures = self._read_pictures()
            except av.FFmpegError as error:
                raise MediaError(Reason.UNREADABLE, f"{self.path}: {error}") from error
            clip = self._window.clip(pictures, sound, frozen=self._frozen)
            self._clean = replace(clip, mix_db=self._mix_db)
        return self._clean

    def under(self, condition: Condition) -> Clip:
        """Return the clip under one of `conditions`; a stream it leaves alone is the very same array as in `clean`.

        Raises MediaError: what `clean` raises; `bad_media` where the condition cannot be computed for this video.
        """
        if condition not in self._conditions:
            raise ValueError(f"{condition.name} level {condition.level} is none of those the clip was opened for")
        clean = self.clean()
        try:
            return self._changed(clean, condition)
        except MediaError:
            raise
        except Exception as error:  # of an encoder or a plugin, over this video: it costs this condition only
            raise not_computed(condition, self.path, error) from error

    def _changed(self, clean: Clip, condition: Condition) -> Clip:
        changed, spec = replace(clean, change=Change()), self._window.spec
        if condition.touches("video") and self._scene is not None:
            pictures, change = self._scene.under(condition, self.video)
            changed = replace(changed, frames=stacked(self._cut_out(pictures), spec), change=change)
        if condition.touches("audio") and clean.has_audio and self._whole_sound is not None:
            whole, rate = self._whole_sound
            voices = [voice_of(voice, rate) for voice in condition.voices]
            other, context = perturb.perturb_sound(condition, self.video, whole, rate, [v for v in voices if len(v)])
            cut = cut_sound(other, rate, self._window.first_sample, spec.samples, spec.sample_rate)
            changed = with_sound(changed, cut, context)
        return changed

    def _read_sound(self) -> tuple[Sound, int] | None:
        """Return the clip's sound and how many of its samples come before the end; None where there is none."""
        spec, stream = self._window.spec, sound_stream(self._container)
        if stream is None or not spec.samples:
            return None
        zero = start_of(picture_stream(self._container) or stream)
        first, mix = self._window.first_sample, Downmix()
        sound = read_sound(self._container, stream, zero, first, spec.samples, spec.sample_rate, mix=mix)
        self._mix_db = mix.level_db
        if any(condition.touches("audio") for condition in self._conditions):
            self._whole_sound = _whole_sound(self.path, zero)
        return sound

    def _read_pictures(self) -> list[Picture] | None:
        """Return the clip's pictures, cut; None where there are none."""
        window, stream = self._window, picture_stream(self._container)
        if stream is None or not window.spec.frames:
            return None
        if not self._conditions and not looks_for_faces(window, self._track):  # nobody needs them whole
            region, size, cut = window.spec.region, window.spec.size, []
            for seen in pictures_at(self._container, stream, window.times, self._decoder):
                cut += [cut_region(seen.picture, region, size)] * seen.count
                self._frozen += seen.frozen
            return cut
        all_frames = any(c.touches("video") and c.spec.whole_stream for c in self._conditions)
        self._scene = Scene.of(self._container, stream, window, all_frames=all_frames, decoder=self._decoder)
        pictures, self._frozen = self._scene.as_it_is(), self._scene.frozen
        self._cut = cutter(pictures, window, self._track)
        return self._cut_out(pictures)

    def _cut_out(self, pictures: list[Picture]) -> list[Picture]:
        assert self._cut is not None
        return [self._cut(k, picture) for k, picture in enumerate(pictures)]


def not_computed(condition: Condition, path: Path | str, error: Exception) -> MediaError:
    """Return the error for a condition that cannot be computed for a video."""
    message = f"{path}: {condition.name} level {condition.level}: {type(error).__name__}: {error}"
    return MediaError(Reason.BAD_MEDIA, message)


def with_sound(clip: Clip, sound: Sound, context: Context) -> Clip:
    """Return a changed clip with a changed sound, and how strongly that differs from the one it has."""
    assert clip.change is not None
    change = replace(clip.change, snr=snr(clip.sound, sound), kbps=context.notes.get("kbps", clip.change.kbps))
    return replace(clip, sound=sound, change=change)


def _whole_sound(path: Path, zero: float) -> tuple[Sound, int]:
    with open_file(path) as container:
        stream = sound_stream(container)
        assert stream is not None
        return read_whole_sound(container, stream, zero)


@lru_cache(maxsize=64)
def voice_of(path: Path, rate: int) -> Sound:
    """Return the sound (S,) of a file at a rate; of one that cannot be read, nothing."""
    try:
        with open_file(path) as container:
            stream = sound_stream(container)
            if stream is None:
                return np.zeros(0, np.float32)
            sound, own = read_whole_sound(container, stream, start_of(stream))
    except MemoryError:
        raise
    except (MediaError, av.FFmpegError):
        return np.zeros(0, np.float32)
    return sound if own == rate or not len(sound) else resample(sound, own, rate)
