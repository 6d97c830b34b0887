"""Each built-in perturbation at each level keeps the shape and type of whatever it is given, which stays untouched."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avbench.perturbations.conditions import Condition, choose, perturb_frames, perturb_picture, perturb_sound
from avbench.plugins.registry import installed

KNOWN = installed().perturbations()
BUILT_IN = [spec for spec in KNOWN.values() if spec.load.startswith("avbench.")]
PICTURES = [spec.name for spec in BUILT_IN if spec.stream == "video" and not spec.whole_stream]
STREAMS = [spec.name for spec in BUILT_IN if spec.stream == "video" and spec.whole_stream]
SOUNDS = [spec.name for spec in BUILT_IN if spec.stream == "audio"]
SEEDS = st.integers(0, 2**32 - 1)


def of(name: str, level: int) -> Condition:
    condition = choose([name], [level], KNOWN)[1]
    assert condition is not None
    return condition


def test_all_that_ship_are_here() -> None:
    assert len(PICTURES) == 9 and STREAMS == ["video_compression"] and len(SOUNDS) == 10


@pytest.mark.parametrize("level", range(1, 6))
@pytest.mark.parametrize("name", PICTURES)
@settings(max_examples=12)
@given(height=st.integers(1, 97), width=st.integers(1, 97), seed=SEEDS, flat=st.none() | st.integers(0, 255))
def test_pictures(name: str, level: int, height: int, width: int, seed: int, flat: int | None) -> None:
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (height, width, 3), np.uint8)
    picture = picture if flat is None else np.full_like(picture, flat)
    before = picture.copy()
    changed, _ = perturb_picture(of(name, level), "video", seed % 1000, picture)
    assert changed.shape == before.shape and changed.dtype == np.uint8 and np.array_equal(picture, before)
    again, _ = perturb_picture(of(name, level), "video", seed % 1000, picture)
    assert np.array_equal(again, changed)


@pytest.mark.parametrize("level", range(1, 6))
@pytest.mark.parametrize("name", SOUNDS)
@settings(max_examples=10)
@given(
    samples=st.integers(1, 9001),
    rate=st.sampled_from([8000, 16_000, 22_050, 44_100, 48_000]),
    loudness=st.sampled_from([0.0, 1e-4, 0.3, 1.0]),
    seed=SEEDS,
)
def test_sounds(name: str, level: int, samples: int, rate: int, loudness: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    sound = random.uniform(-loudness, loudness, samples).astype(np.float32)
    voices = [random.uniform(-1, 1, number).astype(np.float32) for number in (samples, 777)]
    before = sound.copy()
    changed, _ = perturb_sound(of(name, level), "video", sound, rate, voices)
    assert changed.shape == (samples,) and changed.dtype == np.float32 and np.array_equal(sound, before)
    assert np.isfinite(changed).all() and np.abs(changed).max() <= 4


@pytest.mark.parametrize("level", range(1, 6))
@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=6)
@given(
    count=st.integers(1, 4),
    height=st.integers(8, 48),
    width=st.integers(8, 48),
    even=st.booleans(),
    seed=SEEDS,
)
def test_streams(name: str, level: int, count: int, height: int, width: int, even: bool, seed: int) -> None:
    size = (2 * height, 2 * width) if even else (2 * height + 1, 2 * width + 1)
    random = np.random.default_rng(seed)
    frames = []
    for number in range(count):
        picture = random.integers(0, 256, (*size, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format="yuv420p" if even else "yuv444p")
        frame.pts, frame.time_base = 40 * number, Fraction(1, 1000)
        frames.append(frame)
    changed = list(perturb_frames(of(name, level), "video", frames))
    assert [(f.height, f.width, f.pts * f.time_base) for f in changed] == [(*size, f.pts * f.time_base) for f in frames]
    assert {f.format.name for f in changed} == {frames[0].format.name}
