"""Awkward and broken media of real faces: each is read right, or refused for the right reason."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import correlate

from avbench.data.batches import load_clip
from avbench.data.requests import ClipRequest
from avbench.media.placing import Place
from avbench.media.reading import probe
from avbench.perturbations.open_clip import OpenClip
from avbench.types import ClipSpec, Forgery, MediaError, Reason, Sample

SMALL = ClipSpec(size=64)
PLAIN = "name with spaces, ünïcode 名前 and 'quote'.mp4"  # the sibling that several odd files were made from


def test_every_odd_file_gives_what_its_index_says(real_root: Path) -> None:
    with (real_root / "odd" / "index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    for row in rows:
        sample = Sample(row["file"], real_root / "odd" / row["file"], Forgery.RARV)
        request = ClipRequest(sample, Forgery.RARV, fraction=0.5)
        reason = None
        try:
            clip = load_clip(request, ClipSpec(size=32), frozenset({"video", "audio"}))
        except MediaError as error:
            reason = error.reason
        expected = row["expected_now"]
        if expected.startswith("reason code"):
            assert reason == Reason.NO_AUDIO, row
            assert load_clip(request, ClipSpec(size=32), frozenset({"video"})).valid_frames == 25
        elif expected == "clear error":
            assert reason == Reason.UNREADABLE, row
        elif expected == "score":
            assert reason is None and (clip.valid_frames, clip.valid_samples) == (25, 16_000), row
        else:
            assert expected == "score or clear error" and reason is None and clip.valid_frames > 0, row


def test_late_sound_is_silence_first(real_root: Path) -> None:
    late = OpenClip(
        real_root / "odd" / "audio_starts_0_3s_late.mp4", ClipSpec(audio_samples=32_000), Place.start(0.0)
    ).clean()
    plain = OpenClip(real_root / "odd" / PLAIN, ClipSpec(audio_samples=32_000), Place.start(0.0)).clean()
    assert not late.sound[:3776].any()  # 0.236 s, then 64 ms of the encoder's priming: nearly nothing
    assert np.abs(late.sound[3776:4780]).max() < 0.02 < np.abs(late.sound[4800:12_000]).max()
    assert int(correlate(late.sound, plain.sound).argmax()) - 31_999 == 4800
    np.testing.assert_array_equal(late.frames, plain.frames)


def test_a_silent_channel_halves_the_level(real_root: Path) -> None:
    plain = (
        OpenClip(real_root / "odd" / PLAIN, ClipSpec(frames=0, audio_samples=32_000), Place.start(0.0)).clean().sound
    )
    half = (
        OpenClip(
            real_root / "odd" / "audio_48khz_stereo_right_silent.mp4",
            ClipSpec(frames=0, audio_samples=32_000),
            Place.start(0.0),
        )
        .clean()
        .sound
    )
    assert plain @ half / (plain @ plain) == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(plain, half)[0, 1] > 0.99


def test_pictures_are_upright(real_root: Path) -> None:
    upright = OpenClip(real_root / "odd" / PLAIN, ClipSpec(size=32), Place.start(0.4)).clean().frames.astype(float)
    turned = OpenClip(real_root / "odd" / "rotated_by_metadata.mp4", ClipSpec(size=32), Place.start(0.4)).clean().frames
    assert np.abs(turned - upright).mean() < 8 < np.abs(np.rot90(turned, axes=(1, 2)) - upright).mean()


def test_what_a_cut_file_still_holds_is_used(real_root: Path) -> None:
    path = real_root / "odd" / "truncated_data_cut.mp4"
    clip = OpenClip(path, SMALL, Place.start(0.0)).clean()
    info = probe(path)
    assert (clip.valid_frames, info.frames, info.told) == (17, 17, pytest.approx(2.08))
    assert info.duration == pytest.approx(0.68) and info.claims_too_much == pytest.approx(1.4)
    assert clip.frames[16].any() and not clip.frames[17:].any() and not clip.sound[clip.valid_samples :].any()
    with pytest.raises(MediaError, match=r"from 1\.000 s") as caught:
        OpenClip(path, SMALL, Place.start(1.0)).clean()
    assert caught.value.reason == Reason.UNREADABLE


@pytest.mark.parametrize("name", ["LAV-DF/train/*.mp4", f"odd/{PLAIN}", "odd/mpeg4_mp3.avi"])
def test_a_window_is_a_slice_of_the_whole_sound(real_root: Path, name: str) -> None:
    for path in sorted(real_root.glob(name))[:6]:
        whole = OpenClip(path, ClipSpec(frames=0, audio_samples=32_000), Place.start(0.0)).clean().sound
        for start in (0.137, 0.64, 1.0001):
            first = round(start * 16_000)
            window = OpenClip(path, ClipSpec(frames=0, audio_samples=12_000), Place.start(start)).clean().sound
            np.testing.assert_array_equal(window, whole[first : first + 12_000])


@pytest.mark.parametrize(
    "name",
    [
        "audio_8khz_mono.mp4",
        "audio_48khz_stereo_right_silent.mp4",
        "portrait_1080x1920_small_face.mp4",
        "vp9_opus.webm",
    ],
)
def test_a_window_of_resampled_sound_agrees_with_the_whole(real_root: Path, name: str) -> None:
    path = real_root / "odd" / name
    whole = OpenClip(path, ClipSpec(frames=0, audio_samples=32_000), Place.start(0.0)).clean().sound
    assert np.abs(whole).max() > 0.1
    for start in (0.137, 0.64, 1.0001):
        first = round(start * 16_000)
        window = OpenClip(path, ClipSpec(frames=0, audio_samples=12_000), Place.start(start)).clean().sound
        assert np.abs(window - whole[first : first + 12_000]).max() < 1e-3


def test_headers(real_root: Path, tmp_path: Path) -> None:
    info = probe(real_root / "odd" / "fps_29_97.mp4")
    assert (info.frames, info.has_video, info.has_audio) == (62, True, True)
    assert abs(info.duration - 2.0687) < 1e-4 and abs(info.fps - 29.97) < 1e-3
    assert not probe(real_root / "odd" / "no_audio.mp4").has_audio
    assert probe(real_root / "odd" / "vp9_opus.webm").duration == pytest.approx(2.1, abs=0.05)
    for name, reason in (("gone.mp4", Reason.MISSING_FILE), ("", Reason.UNREADABLE)):
        with pytest.raises(MediaError) as caught:
            probe(tmp_path / name)
        assert caught.value.reason == reason


def test_decord_an_independent_reader_sees_the_same_pictures(real_root: Path) -> None:
    decord = pytest.importorskip("decord")
    for path in sorted((real_root / "LAV-DF" / "test").glob("*.mp4"))[:4]:
        clip = OpenClip(path, ClipSpec(audio_samples=0), Place.start(0.4)).clean()
        theirs = decord.VideoReader(str(path), num_threads=1).get_batch(list(range(10, 35))).asnumpy()
        assert np.array_equal(clip.frames, theirs)
