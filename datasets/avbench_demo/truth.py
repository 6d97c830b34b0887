"""The truth beside a video: what its face does, frame by frame, and what is said when."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avbench_demo.performance import AU_NAMES, Performance
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
