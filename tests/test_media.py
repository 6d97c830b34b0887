"""One clip of a file: pictures and sound by presentation time, from healthy, awkward and broken media."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avbench.media import sound as sound_module
from avbench.media.placing import Place
from avbench.perturbations.open_clip import OpenClip
from avbench.types import ClipSpec, MediaError, Reason

SMALL = ClipSpec(size=64)
CLICKS = (0.25, 0.75, 1.25, 1.75)


def write_clock(
    path: Path,
    stamps: Sequence[float] | np.ndarray,
    *,
    sound: np.ndarray | None = None,
    sample_rate: int = 16_000,
    sound_codec: str = "aac",
    video_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a video whose frame i shows the number i as eight black or white stripes from `stamps[i]` (s) on."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        video.codec_context.time_base = Fraction(1, 30_000)
        video.options = video_options or {"g": "12", "bf": "2"}
        audio = None if sound is None else container.add_stream(sound_codec, rate=sample_rate, layout="mono")
        for number, stamp in enumerate(stamps):
            bits = (number >> np.arange(8)) & 1
            picture = np.repeat(bits * 255, 8).astype(np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(stamp * 30_000), Fraction(1, 30_000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None and sound is not None:
            whole = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
            whole.sample_rate, whole.pts, whole.time_base = sample_rate, 0, Fraction(1, sample_rate)
            container.mux(audio.encode(whole))
            container.mux(audio.encode())
    return path


def numbers(frames: np.ndarray) -> list[int]:
    """Read the stripes of (T,64,64,3) frames."""
    bits = frames.mean(axis=(1, 3)).reshape(len(frames), 8, 8).mean(axis=2) > 128
    return [int(row @ (1 << np.arange(8))) for row in bits]


def clicks(rate: int, seconds: float = 2.2) -> np.ndarray:
    """Return sound with a short burst around each of `CLICKS`."""
    time = np.arange(round(seconds * rate)) / rate
    return sum((0.8 * np.exp(-(((time - c) / 2e-4) ** 2)) for c in CLICKS), np.zeros(len(time)))


RATES = {
    "25": [i / 25 for i in range(55)],
    "29.97": [i * 1001 / 30_000 for i in range(65)],
    "15": [i / 15 for i in range(33)],
    "variable": sorted({round(t, 3) for t in np.random.default_rng(0).uniform(0.02, 2.15, 40)} | {0.0}),
}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("start", [0.0, 0.52, 0.9137])
def test_picture_and_sound_keep_time(tmp_path: Path, rate: str, start: float) -> None:
    stamps = np.array(RATES[rate])
    path = write_clock(tmp_path / "clock.mp4", stamps, sound=clicks(16_000))
    clip = OpenClip(path, SMALL, Place.start(start)).clean()
    shown = [int(np.searchsorted(stamps, start + (k + 0.5) / 25 + 1e-3) - 1) for k in range(25)]
    assert numbers(clip.frames) == shown
    for click in CLICKS:
        if start + 0.01 < click < start + 0.99:
            near = round((click - start) * 16_000)
            heard = near - 80 + int(np.abs(clip.sound[near - 80 : near + 80]).argmax())
            assert abs(heard / 16_000 - (click - start)) < 4 / 16_000


def test_at_the_same_rate_frame_follows_frame(tmp_path: Path) -> None:
    path = write_clock(tmp_path / "clock.mp4", RATES["25"])
    for start in (0.0, 0.02, 0.04, 0.06, 0.3, 1.18):  # on the grid of frames and half way between
        first = int(start * 25 + 0.5 + 1e-3)
        assert numbers(OpenClip(path, SMALL, Place.start(start)).clean().frames) == list(range(first, first + 25))


@pytest.mark.parametrize(
    ("name", "shift", "video_options", "container_options"),
    [
        ("late.mp4", 0.5, {"g": "12", "bf": "3"}, {}),  # the video itself starts late
        ("noedit.mp4", 0.0, {"g": "12", "bf": "3"}, {"use_editlist": "0"}),  # and by the delay of its B frames
        ("stream.ts", 0.0, {"g": "12", "bf": "3"}, {}),  # seeking leads behind the key frame
        ("open.mp4", 0.0, {"g": "12", "bf": "3", "x264-params": "open-gop=1"}, {}),
        ("film.mkv", 0.0, {"g": "12", "bf": "3"}, {}),
    ],
)
def test_time_zero_is_the_first_picture(
    tmp_path: Path, name: str, shift: float, video_options: dict[str, str], container_options: dict[str, str]
) -> None:
    path = write_clock(
        tmp_path / name,
        [t + shift for t in RATES["25"]],
        video_options=video_options,
        container_options=container_options,
    )
    for first in (0, 5, 13, 24, 30):
        assert numbers(OpenClip(path, SMALL, Place.start(first / 25)).clean().frames) == list(range(first, first + 25))


def test_sound_is_placed_on_the_clock_of_the_pictures(tmp_path: Path) -> None:
    stamps = [0.5 + i / 25 for i in range(30)]
    path = write_clock(tmp_path / "late.mov", stamps, sound=clicks(16_000), sound_codec="pcm_s16le")
    clip = OpenClip(path, SMALL, Place.start(0.0)).clean()
    assert np.abs(clip.sound - clicks(16_000)[8000:24_000]).max() < 1e-4


def test_a_sought_window_is_the_same_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 64_000)
    path = write_clock(tmp_path / "long.mov", RATES["25"], sound=noise, sound_codec="pcm_s16le")
    monkeypatch.setattr(sound_module, "SEEK_BEYOND", 1.5)
    clip = OpenClip(path, ClipSpec(frames=0, audio_samples=16_000), Place.start(2.3)).clean()
    assert np.abs(clip.sound - noise[36_800:52_800]).max() < 1e-4


def test_resampled_sound_keeps_time_and_level(tmp_path: Path) -> None:
    for rate in (8000, 44_100, 48_000):
        time = np.arange(int(2.2 * rate)) / rate
        path = write_clock(
            tmp_path / f"{rate}.mov", RATES["25"], sound=0.5 * np.sin(2 * np.pi * 440 * time), sample_rate=rate,
            sound_codec="pcm_s16le",
        )  # fmt: skip
        clip = OpenClip(path, SMALL, Place.start(0.3)).clean()
        expected = 0.5 * np.sin(2 * np.pi * 440 * (0.3 + np.arange(16_000) / 16_000))
        assert np.abs(clip.sound - expected).max() < 1e-3, rate


def test_a_short_video_is_padded_or_too_short(tmp_path: Path) -> None:
    path = write_clock(tmp_path / "short.mov", RATES["25"][:10], sound=clicks(16_000, 0.4), sound_codec="pcm_s16le")
    clip = OpenClip(path, SMALL, Place.fraction(0.7)).clean()
    assert (clip.start, clip.end, clip.valid_frames, clip.valid_samples) == (0.0, 1.0, 10, 6400)
    assert not clip.frames[10:].any() and not clip.sound[6400:].any()
    OpenClip(path, ClipSpec(size=64, min_frames=10), Place.start(0.0)).clean()
    with pytest.raises(MediaError) as caught:
        OpenClip(path, ClipSpec(size=64, min_frames=11), Place.start(0.0)).clean()
    assert caught.value.reason == Reason.TOO_SHORT


def test_only_the_streams_that_are_wanted(tmp_path: Path) -> None:
    path = write_clock(tmp_path / "clock.mov", RATES["25"], sound=clicks(16_000), sound_codec="pcm_s16le")
    only_sound = OpenClip(path, ClipSpec(frames=0, audio_samples=64_600), Place.start(0.0)).clean()
    assert (
        only_sound.frames.shape == (0, 224, 224, 3) and not only_sound.has_video and only_sound.end == 64_600 / 16_000
    )
    assert only_sound.valid_samples == 35_200
    only_pictures = OpenClip(path, ClipSpec(size=64, audio_samples=0), Place.start(0.0)).clean()
    assert only_pictures.sound.shape == (0,) and not only_pictures.has_audio and only_pictures.has_video
    with av.open(str(tmp_path / "voice.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.full((1, 24_000), 16_384, np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
    voice = OpenClip(tmp_path / "voice.wav", SMALL, Place.fraction(1.0)).clean()
    assert (voice.start, voice.has_video, voice.has_audio, voice.valid_samples) == (0.5, False, True, 16_000)
    np.testing.assert_array_equal(voice.sound, 0.5)
    assert not OpenClip(tmp_path / "voice.wav", SMALL, Place.start(2.0)).clean().has_audio  # it has ended by then


def test_the_whole_video_is_one_clip(tmp_path: Path) -> None:
    path = write_clock(tmp_path / "clock.mov", RATES["29.97"], sound=clicks(16_000), sound_codec="pcm_s16le")
    clip = OpenClip(path, ClipSpec(frames=500, size=64, whole=True), Place.centre(1.7)).clean()
    seconds = 65 * 1001 / 30_000
    assert (clip.start, clip.valid_frames, len(clip.frames)) == (0.0, 54, 54) and round(seconds * 25) == 54
    assert (clip.end, len(clip.sound)) == (54 / 25, round(54 / 25 * 16_000))
    assert numbers(clip.frames)[-1] == 64
    assert len(OpenClip(path, ClipSpec(frames=30, size=64, whole=True), Place.start(0.0)).clean().frames) == 30
