"""A clip of numbered pictures, as a video of them would give it: for plugins that decode folders of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from avbench.media.frames import Picture, cut_region
from avbench.media.placing import Place, Window
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
    window = Window.of(path, spec, Place.start(start), info)
    numbers = np.floor((window.times + LATE) * fps).astype(int)
    pictures = [cut_region(read(int(number)), spec.region, spec.size) for number in numbers if number < count]
    return window.clip(pictures if spec.frames else None, None)
