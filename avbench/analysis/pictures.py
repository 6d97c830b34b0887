"""Lower faces of a video along a stretch of time, for a figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avbench.errors import UserError
from avbench.media.placing import Place
from avbench.perturbations.open_clip import OpenClip
from avbench.types import ClipSpec, MediaError, Sample

COUNT = 11
LOWER_FACE = (slice(None), slice(118, 218), slice(73, 183))  # of 256 pixels, where a face fills the picture


def along(sample: Sample, span: tuple[float, float], clip: ClipSpec) -> NDArray[np.uint8]:
    """Return the lower face (P,H,W,3) in equal steps over `span` seconds, each from the middle of its step."""
    seconds = span[1] - span[0]
    count = max(1, round(seconds * clip.fps))
    spec = replace(clip, frames=count, audio_samples=0, whole=False, annotations=(), min_frames=1, size=256)
    try:
        found = OpenClip(sample.path, spec, Place.start(span[0], sample.skip)).clean()
    except MediaError as error:
        raise UserError(f"{sample.id}: no frames can be read ({error})") from error
    middle = ((np.arange(COUNT) + 0.5) / COUNT * count).astype(int)
    shown: NDArray[np.uint8] = np.asarray(found.frames, np.uint8)[np.minimum(middle, len(found.frames) - 1)][LOWER_FACE]
    return shown
