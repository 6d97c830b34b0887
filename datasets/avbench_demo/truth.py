"""The truth beside a video: what its face does, frame by frame, and what is said when."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avbench.series import Series
from avbench_demo.performance import AU_NAMES, FPS, Performance
from avbench_demo.phonemes import Sentence


def write_truth(video: Path, seen: Performance, heard: Sentence, speaker: str) -> None:
    """Write the .npz that belongs to a video, given the video's path inside the truth folder.

    au (T,8) intensity 0-5 as rendered, au_names; phonemes, words as heard with their times (n,2) in seconds; speaker.
    """
    path = video.with_suffix(".npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        au=seen.au.astype(np.float32),
        au_names=np.array(AU_NAMES),
        phonemes=np.array(heard.phonemes),
        phoneme_times=np.array(heard.phoneme_times, np.float64),
        words=np.array(heard.words),
        word_times=np.array(heard.word_times, np.float64),
        speaker=np.array(speaker),
    )


def truth_of(root: Path, video: Path) -> Path:
    """Return where the truth of a video of the demo data at `root` lies."""
    return root / "truth" / video.relative_to(root).with_suffix(".npz")


def read_units(path: Path) -> Series:
    """Read the action units of a video, (T,8) intensity 0-5, in the order of AU_NAMES."""
    with np.load(path, allow_pickle=False) as truth:
        if tuple(truth["au_names"]) != AU_NAMES:
            raise ValueError(f"{path}: action units {', '.join(truth['au_names'])}, not {', '.join(AU_NAMES)}")
        return Series.of_frames(truth["au"], FPS)
