"""Writes a video as perturbations make it, with its sound, and a contact sheet as the paper's Figure 5.

Frame-wise perturbations act on every frame by the same seeds as in a sweep; what is untouched is copied, not coded
again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from avbench.analysis.contact_sheet import Row, draw_contact_sheet
from avbench.analysis.copying import copier, is_timed
from avbench.errors import UserError, in_one_line
from avbench.media import reading as media
from avbench.media.decoding import frames_from
from avbench.media.frames import Picture, number_of, picture_stream, start_of
from avbench.media.geometry import Geometry, Upright
from avbench.media.sound import Sound, read_whole_sound, resample, sound_stream
from avbench.paths import atomic_write
from avbench.perturbations import conditions as perturb
from avbench.perturbations.conditions import Condition
from avbench.progress import Progress, silent
from avbench.types import MediaError, Reason

# What is copied into MP4 as it is; a video with other pictures or other sound goes into Matroska.
SOUND_IN_MP4 = {"aac", "mp3", "opus", "ac3", "eac3", "alac", "flac"}
PICTURES_IN_MP4 = {"h264", "hevc", "av1", "vp9", "mpeg4"}
# Perturbed frames are written with hardly any loss, so that what is seen is the perturbation.
PICTURES = {"crf": "8", "preset": "medium", "x264-params": "cpu-independent=1"}
SHEET = "-contact-sheet.png"
SHOWN_AT = 0.4  # of the video's length: the moment that the contact sheet shows


def export(
    path: Path,
    conditions: Sequence[Condition | None],
    folder: Path,
    *,
    voices: tuple[Path, ...] = (),
    progress: Progress = silent,
) -> list[Path]:
    """Write `folder`/<name>-<type>-<level>.mp4 for each condition, and the contact sheet; return what was written.

    Raises UserError for a file that cannot be read, and for types that mix in voices where none are given.
    """
    asked = [c for c in conditions if c is not None]
    for condition in asked:
        if condition.spec.voices and not voices:
            raise UserError(f"{condition.name} mixes in other voices; name files with --voices, or leave it out")
    try:
        source = _Source(path, voices)
        written = []
        with progress("export", len(asked), 0) as bar:
            for condition in asked:
                written.append(source.write(condition, folder))
                bar.advance()
    except MediaError as error:
        raise UserError(f"--export: {error}; name a video that ffmpeg can play") from error
    sheet = draw_contact_sheet(source.rows(asked), f"{path.name}, perturbed", folder / f"{path.stem}{SHEET}")
    return [*written, sheet]


class _Source:
    """A video, decoded as a whole once, and what each condition makes of the moment that the contact sheet shows."""

    def __init__(self, path: Path, voices: tuple[Path, ...]) -> None:
        self.path, self.voices = path, voices
        with media.open_file(path) as container:
            self.info = media.read_info(container)
            vision, hearing = picture_stream(container), sound_stream(container)
            self.zero = start_of(vision or hearing) if vision or hearing else 0.0  # type: ignore[arg-type]
            self.sound, self.rate = np.zeros(0, np.float32), 0
            if hearing is not None:
                self.sound_codec = hearing.codec_context.codec.canonical_name
                self.sound, self.rate = read_whole_sound(container, hearing, self.zero)
            self.frames = list(frames_from(container, vision, 0.0)) if vision is not None else []
            self.numbers: list[int] = []
            self.picture_codec, self.timed = "", False
            if vision is not None:
                self.picture_codec, self.timed = vision.codec_context.codec.canonical_name, is_timed(path, vision)
                if not self.frames:
                    raise MediaError(Reason.UNREADABLE, f"{path}: no picture can be decoded")
                self.numbers = [number_of(frame, vision) for frame in self.frames]
                self.geometry = Geometry.of(self.frames[0], vision)
                self.upright = Upright(vision)
        self.middle = int(SHOWN_AT * len(self.frames))
        self.seen: dict[tuple[str, int], Picture | Sound] = {}

    def write(self, condition: Condition, folder: Path) -> Path:
        """Write the video in a condition, its untouched stream copied."""
        condition = replace(condition, voices=self.voices[: condition.spec.voices])
        for stream, there in (("video", bool(self.frames)), ("audio", len(self.sound) > 0)):
            if condition.spec.stream == stream and not there:
                raise UserError(f"{self.path} has no {'pictures' if stream == 'video' else 'sound'}: {condition.name}")
        matroska = bool(self._copied(condition) - PICTURES_IN_MP4 - SOUND_IN_MP4)
        name = f"{self.path.stem}-{condition.name}-{condition.level}{'.mkv' if matroska else '.mp4'}"
        try:
            with (
                atomic_write(folder / name) as temporary,
                media.open_file(self.path) as source,
                av.open(media.address(temporary), "w", format="matroska" if matroska else "mp4") as file,
            ):
                writers = [self._pictures(condition, source, file), self._sound(condition, source, file)]
                for write in [w for w in writers if w is not None]:
                    write()
        except (av.FFmpegError, ValueError) as error:
            codecs = ", ".join(sorted(self._copied(condition))) or "what was changed"
            why = f"{codecs} cannot be written into {'Matroska' if matroska else 'MP4'} ({in_one_line(error)})"
            raise UserError(f"--export: {condition.name}: {why}; bring {self.path.name} to H.264 and AAC") from error
        return folder / name

    def _copied(self, condition: Condition) -> set[str]:
        """Return the codecs of the streams that are copied as they are."""
        pictures = {self.picture_codec} if self.timed and not condition.touches("video") else set[str]()
        sound = {self.sound_codec} if self.rate and not condition.touches("audio") else set[str]()
        return pictures | sound

    def rows(self, conditions: Sequence[Condition]) -> list[Row]:
        """Return a row of the contact sheet for each type: the moment as it is, then at each level."""
        rows: dict[str, Row] = {}
        for condition in conditions:
            touched = self.seen[condition.name, condition.level]
            clean = self.sound if touched.dtype == np.float32 else self.upright(self.frames[self.middle])
            row = rows.setdefault(condition.name, Row(condition.spec.title, [("as it is", clean)], self.rate))
            row.cells.append((f"level {condition.level}\n{condition.parameter:g} {condition.spec.unit}", touched))
        return list(rows.values())

    def _pictures(self, condition: Condition, source: Any, file: Any) -> Callable[[], None] | None:
        """Add the stream of pictures to the file; return what writes it."""
        if not self.frames:
            return None
        stream = picture_stream(source)
        assert stream is not None
        if not condition.touches("video") and self.timed:
            return copier(source, stream, file, self.zero)
        changed = self._perturbed(condition)
        first = next(changed)
        out = file.add_stream("libx264", rate=stream.average_rate, options=PICTURES)
        out.width, out.height = first.width, first.height
        out.pix_fmt = "yuv420p" if first.width % 2 == 0 and first.height % 2 == 0 else "yuv444p"
        out.codec_context.time_base = first.time_base

        def write() -> None:
            for frame in (f for some in ([first], changed) for f in some):
                file.mux(out.encode(frame.reformat(format=out.pix_fmt)))
            file.mux(out.encode(None))

        return write

    def _perturbed(self, condition: Condition) -> Iterator[av.VideoFrame]:
        """Yield every frame in a condition, upright, with its time on the clock of the pictures."""
        video, upright = self.path.name, self.upright
        pictures: Iterator[Picture]
        if not condition.touches("video"):
            pictures = map(upright, self.frames)
        elif condition.spec.whole_stream:
            turned = Upright(geometry=self.geometry)
            pictures = map(turned, perturb.perturb_frames(condition, video, self.frames))
        else:
            pictures = (
                perturb.perturb_picture(condition, video, index, upright(frame))[0]
                for index, frame in zip(self.numbers, self.frames, strict=True)
            )
        for number, (frame, picture) in enumerate(zip(self.frames, pictures, strict=True)):
            if number == self.middle and condition.touches("video"):
                self.seen[condition.name, condition.level] = picture
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            shown.time_base = frame.time_base
            shown.pts = frame.pts - round(self.zero / frame.time_base)
            yield shown

    def _sound(self, condition: Condition, source: Any, file: Any) -> Callable[[], None] | None:
        """Add the sound to the file, perturbed sound without loss; return what writes it."""
        stream = sound_stream(source)
        if stream is None:
            return None
        if not condition.touches("audio"):
            return copier(source, stream, file, self.zero)
        voices = [v for v in (self._voice(path) for path in condition.voices) if len(v)]
        try:
            changed, _ = perturb.perturb_sound(condition, self.path.name, self.sound, self.rate, voices)
        except ValueError as error:
            raise UserError(f"--export: {condition.name}: {error}") from error
        self.seen[condition.name, condition.level] = changed
        out = file.add_stream("flac", rate=self.rate, layout="mono")
        samples = (np.clip(changed, -1, 1) * 32_767).round().astype(np.int16)[None]

        def write() -> None:
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = self.rate, 0
            file.mux(out.encode(frame))
            file.mux(out.encode(None))

        return write

    def _voice(self, path: Path) -> Sound:
        with media.open_file(path) as container:
            stream = sound_stream(container)
            if stream is None:
                raise MediaError(Reason.NO_AUDIO, f"{path}: no sound to mix in")
            sound, rate = read_whole_sound(container, stream, start_of(stream))
        return sound if rate == self.rate or not len(sound) else resample(sound, rate, self.rate)
