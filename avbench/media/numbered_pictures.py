"""A clip of numbered pictures, as a video of them would give it: for plugins that decode folders of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from avbench.media.frames import Picture, cut_region
from avbench.media.reading import as_long_as, finished, moments
from avbench.series import LATE
from avbench.types import Clip, ClipSpec, MediaInfo


def clip_of_pictures(
    path: Path, start: float, spec: ClipSpec, *, count: int, fps: float, read: Callable[[int], Picture]
) -> Clip:
    """Return the clip of `spec` that begins at `start` seconds, without sound: an answer to `avbench_decode`.

    There are `count` pictures, `fps` a second; `read(number)` gives one from number 0 on, (H,W,3) uint8 RGB, and is
    called for those that the clip shows. `path` is what errors name.

    Raises MediaError: `unreadable` where no picture lies in the clip, `too_short`, and what `read` raises.
    """
    info = MediaInfo(count / fps, fps, count, True, False)
    if spec.whole:
        start, spec = 0.0, as_long_as(info.duration, spec)
    numbers = np.floor((moments(spec, start) + LATE) * fps).astype(int)
    pictures = [cut_region(read(int(number)), spec.region, spec.size) for number in numbers if number < count]
    silence = np.zeros(spec.samples, np.float32)
    return finished(path, spec, start, pictures, silence, 0, info, looked=spec.frames > 0)
