"""The pictures of one clip, whole, and what a condition makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import av
import numpy as np

from avbench.media.decoders import Seen, pictures_at
from avbench.media.decoding import frames_from
from avbench.media.frames import Picture, picture_stream, shown_at
from avbench.media.geometry import Geometry, Upright
from avbench.media.placing import Window
from avbench.media.reading import open_file
from avbench.perturbations import conditions as perturb
from avbench.perturbations.conditions import Condition
from avbench.perturbations.strength import psnr
from avbench.types import Change

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Decoded videos beyond this many bytes are decoded again for each condition that needs all of their frames.
HELD = 1 << 30


@dataclass(frozen=True, slots=True)
class Scene:
    """The distinct pictures of a clip of a file, and where they are held, all frames of its video."""

    window: Window
    stream: VideoStream
    seen: list[Seen]
    geometry: Geometry = Geometry()
    held: list[av.VideoFrame] | None = None

    @classmethod
    def of(
        cls, container: InputContainer, stream: VideoStream, window: Window, *, all_frames: bool, decoder: str
    ) -> Scene:
        """Decode the clip's pictures; with `all_frames` by PyAV, and hold those of the whole video if they are few."""
        if not all_frames:
            return cls(window, stream, list(pictures_at(container, stream, window.times, decoder)))
        size = stream.width * stream.height * 3 / 2 * (stream.frames or 25 * 60)
        held = list(frames_from(container, stream, 0.0)) if size <= HELD else None
        frames = held if held is not None else frames_from(container, stream, window.times[0])
        seen: list[Seen] = []
        upright, geometry = Upright(stream), Geometry()
        for shown in shown_at(window.times, frames, stream):
            geometry = geometry if seen else Geometry.of(shown.frame, stream)
            seen.append(Seen(upright(shown.frame), shown.index, shown.count, shown.frozen))
        return cls(window, stream, seen, geometry, held)

    @property
    def frozen(self) -> int:
        """Return at how many of the times the picture is frozen or damaged."""
        return sum(seen.frozen for seen in self.seen)

    def as_it_is(self) -> list[Picture]:
        """Return the picture at each time."""
        return self._at_each_time([seen.picture for seen in self.seen])

    def under(self, condition: Condition, video: str) -> tuple[list[Picture], Change]:
        """Return the picture at each time in a condition, and how much it differs."""
        if condition.spec.whole_stream:
            context = perturb.frames_context(condition, video)
            upright = Upright(geometry=self.geometry)
            changed = perturb.perturb_frames(condition, video, self._all_frames(), context)
            pictures = [upright(item.frame) for item in shown_at(self.window.times, changed, self.stream)]
            kbps = context.notes.get("kbps", nan)
        else:
            rate = float(self.stream.average_rate or 25)
            pictures, kbps = one_by_one(condition, video, [(s.index, s.picture) for s in self.seen], rate)
        strength = psnr([seen.picture for seen in self.seen], pictures)
        return self._at_each_time(pictures), Change(psnr=strength, kbps=kbps)

    def _at_each_time(self, pictures: list[Picture]) -> list[Picture]:
        return [picture for picture, seen in zip(pictures, self.seen, strict=True) for _ in range(seen.count)]

    def _all_frames(self) -> Iterator[av.VideoFrame]:
        if self.held is not None:
            yield from self.held
            return
        with open_file(self.window.path) as again:
            stream = picture_stream(again)
            assert stream is not None
            yield from frames_from(again, stream, 0.0)


def one_by_one(
    condition: Condition, video: str, numbered: list[tuple[int, Picture]], rate: float
) -> tuple[list[Picture], float]:
    """Perturb numbered pictures; return them and, if they were coded, the bitrate at `rate` pictures a second."""
    pictures, coded = [], []
    for index, picture in numbered:
        changed, context = perturb.perturb_picture(condition, video, index, picture)
        pictures.append(changed)
        coded.append(context.notes.get("kbytes", nan))
    return pictures, float(np.mean(coded)) * 8 * rate
