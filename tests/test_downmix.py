"""Channels come together as ffmpeg mixes them; what has become silent, or is frozen, is counted and told."""

from __future__ import annotations

import shutil
import subprocess
from math import inf, nan
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from avbench.media.sound import Downmix, level_of, read_sound, read_whole_sound, sound_stream
from avbench.metrics.measuring import measure
from avbench.records import scores
from avbench.records.caveats import Caveat

# The weight of each channel in mono, as `ffmpeg -ac 1` gives them.
WEIGHTS = {
    "mono": [1.0],
    "stereo": [0.5, 0.5],
    "5.1": [0.2071, 0.2071, 0.2929, 0.0, 0.1464, 0.1464],
    "5.1(side)": [0.2071, 0.2071, 0.2929, 0.0, 0.1464, 0.1464],
    "quad": [0.2929, 0.2929, 0.2071, 0.2071],
}


def write(path: Path, layout: str, channels: list[np.ndarray]) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=16_000, layout=layout)
        samples = (np.stack(channels, axis=1) * 32_767).round().astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        frame.sample_rate = 16_000
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def mono(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        stream = sound_stream(container)
        assert stream is not None
        return read_whole_sound(container, stream, 0.0)[0]


def tones(count: int) -> list[np.ndarray]:
    time = np.arange(8000) / 16_000
    return [0.5 * np.sin(2 * np.pi * (200 + 170 * k) * time) for k in range(count)]


@pytest.mark.parametrize("layout", WEIGHTS)
def test_channels_weigh_what_they_weigh_in_ffmpeg(layout: str, tmp_path: Path) -> None:
    channels = tones(len(WEIGHTS[layout]))
    path = write(tmp_path / "sound.wav", layout, channels)
    expected = np.tensordot(WEIGHTS[layout], np.stack(channels), 1)
    assert np.abs(mono(path) - expected).max() < 2e-4
    if shutil.which("ffmpeg"):
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-f", "s16le", "-"]
        theirs = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.int16) / 32_768
        assert np.abs(mono(path) - theirs).max() < 1e-4


def test_level() -> None:
    assert level_of(np.full(100, 0.5, np.float32)) == pytest.approx(-6.0206, abs=1e-4)
    assert level_of(np.zeros(100, np.float32)) == -inf and np.isnan(level_of(np.zeros(0, np.float32)))


def test_channels_that_cancel_are_silence(tmp_path: Path) -> None:
    (tone,) = tones(1)
    assert level_of(mono(write(tmp_path / "anti.wav", "stereo", [tone, -tone]))) < -66
    for right, expected in ((-tone, -85.0), (-0.99 * tone, -46.0), (tone, 0.0), (0 * tone, -6.02)):
        path, mix = write(tmp_path / "pair.wav", "stereo", [tone, right]), Downmix()
        with av.open(str(path)) as container:
            stream = sound_stream(container)
            assert stream is not None
            read_sound(container, stream, 0.0, 0, 8000, 16_000, mix=mix)
        assert mix.level_db < -80 if expected < -80 else abs(mix.level_db - expected) < 0.2


def test_frozen_and_silent_clips_are_counted_and_a_caveat() -> None:
    rows = [
        {"id": f"{k}", "forgery": 3 * (k % 2), "placement": "oracle", "start": 0.0, "end": 1.0, "score": 0.1 + 0.04 * k}
        for k in range(20)
    ]
    facts = {"frozen": [0.0] * 17 + [0.2, 0.9, nan], "level_db": [-20.0] * 17 + [-inf, -70.0, nan]}
    found = measure(scores.coerce(pd.DataFrame(rows).assign(**facts)), "binary", {}, resamples=2)
    assert (found.counts.clips["oracle"].frozen, found.counts.clips["oracle"].silent) == (2, 2)
    assert {Caveat.FROZEN_CLIPS, Caveat.SILENT_CLIPS} <= set(found.caveats)
    plain = measure(scores.coerce(pd.DataFrame(rows)), "binary", {}, resamples=2)
    assert not {Caveat.FROZEN_CLIPS, Caveat.SILENT_CLIPS} & set(plain.caveats)
