"""Leading silence, which gives the fakes of some databases away (Smeu et al., CVPR 2025, arXiv 2412.00175).

A protocol with `trim_silence` drops it from every video: s is the time of the first sample above an amplitude of 5e-4
at 16 kHz; where s > 0, int(25 s) + 1 frames of 1/25 s and the same span of sound are left out, as in the paper's code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from avbench.data.scanning import scan_files
from avbench.data.splits import Split
from avbench.media.frames import picture_stream, start_of
from avbench.media.reading import open_file, read_info
from avbench.media.sound import Sound, read_sound, sound_stream
from avbench.progress import Progress, silent
from avbench.types import Sample

RATE = 16_000
LOUD = 5e-4  # amplitude
FPS = 25
_WINDOWS = (2.0, 30.0, 3600.0)  # seconds looked at until something is heard; the first one nearly always does
_KIND = "leading silence 2"


def first_loud(sound: Sound) -> int | None:
    """Return the index of the first sample above the threshold, None where all is silent."""
    loud = np.abs(sound) > LOUD
    return int(loud.argmax()) if loud.any() else None


def leading_silence(path: Path) -> dict[str, Any]:
    """Return {"seconds": how long a file is silent at its start, "duration": of the file in seconds}.

    The silence is None without sound, and where nothing is loud. Raises MediaError where the file cannot be opened.
    """
    duration = 0.0
    for window in _WINDOWS:
        with open_file(path) as container:
            duration = read_info(container).duration
            stream = sound_stream(container)
            if stream is None:
                break
            zero = start_of(picture_stream(container) or stream)
            sound, valid = read_sound(container, stream, zero, 0, round(window * RATE), RATE)
        first = first_loud(sound)
        if first is not None:
            return {"seconds": first / RATE, "duration": duration}
        if valid < len(sound):
            break
    return {"seconds": None, "duration": duration}


def trimmed_away(silence: float | None) -> float:
    """Return the seconds that are dropped of a video with so much leading silence."""
    return (int(FPS * silence) + 1) / FPS if silence else 0.0


def _skip(measured: dict[str, Any]) -> float:
    seconds = trimmed_away(measured.get("seconds"))
    return seconds if seconds < measured.get("duration", 0.0) else 0.0


def trim(split: Split, *, progress: Progress = silent, workers: int | None = None) -> Split:
    """Return the split with every sample's leading silence left out; its notes say how much that was.

    Where nothing is heard, or nothing would be left, a video stays as it is. Fakes that are forged in the silence
    alone are dropped.
    """
    everything = (*split.train, *split.validation, *split.test)
    found = scan_files(
        (s.path for s in everything),
        leading_silence,
        _KIND,
        workers=workers,
        progress=progress,
        title="leading silence",
    )
    skip = {path: _skip(value) for path, value in found.items()}
    parts = [_trimmed(samples, skip) for samples in (split.train, split.validation, split.test)]
    cut = [sample.skip for samples in parts for sample in samples]
    mean = sum(cut) / max(len(cut), 1)
    note = (
        f"leading silence trimmed: {mean:.3f} s of a video on average, {sum(c > 0 for c in cut)} of {len(cut)} videos"
    )
    lost = len(everything) - len(cut)
    notes = [note, *([f"{lost} fakes are forged in their leading silence alone and left out"] if lost else [])]
    return replace(split, train=parts[0], validation=parts[1], test=parts[2], notes=(*split.notes, *notes))


def _trimmed(samples: Sequence[Sample], skip: dict[Path, float]) -> tuple[Sample, ...]:
    return tuple(kept for sample in samples if (kept := without_start(sample, skip[sample.path])) is not None)


def without_start(sample: Sample, seconds: float) -> Sample | None:
    """Return a sample without its first seconds: it is shorter, and its times count from there."""
    if seconds <= 0:
        return sample
    moved = tuple((max(0.0, a - seconds), b - seconds) for a, b in sample.fake_periods if b > seconds)
    if sample.fake_periods and not moved:
        return None
    frames = sample.frames
    if frames and sample.fps:
        frames = max(1, frames - round(seconds * sample.fps))
    return replace(sample, skip=sample.skip + seconds, frames=frames, fake_periods=moved)
