"""One clip under many conditions: equal to perturbing the whole video, the other stream and level 0 untouched."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avbench.data.batches import load_clips
from avbench.data.loading import load_batches
from avbench.data.requests import ClipRequest
from avbench.hookspecs import hookimpl
from avbench.media.placing import Place
from avbench.perturbations import scene
from avbench.perturbations.conditions import Condition, choose, perturb_frames, perturb_picture, perturb_sound
from avbench.perturbations.open_clip import OpenClip
from avbench.plugins.registry import installed
from avbench.types import Clip, ClipSpec, Forgery, MediaError, Reason, Sample, Stream

SPEC = ClipSpec(size=96)
BOTH: frozenset[Stream] = frozenset({"video", "audio"})
VOICES = 2


def conditions(*types: str, levels: tuple[int, ...] = (2, 5)) -> list[Condition | None]:
    return list(choose(types, levels, installed().perturbations()))


def one(name: str, level: int) -> Condition:
    found = conditions(name, levels=(level,))[1]
    assert found is not None
    return found


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of 3 s, 160 x 120 px, whose pictures and sound change all the time."""
    path = tmp_path_factory.mktemp("video") / "moving.mp4"
    random = np.random.default_rng(0)
    still = np.kron(random.integers(30, 220, (15, 20, 3)), np.ones((8, 8, 1)))
    time = np.arange(3 * 16_000) / 16_000
    sound = 0.3 * np.sin(2 * np.pi * (200 + 150 * time) * time) * (0.3 + np.abs(np.sin(5 * time)))
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("libx264", rate=25, options={"g": "20"})
        pictures.width, pictures.height, pictures.pix_fmt = 160, 120, "yuv420p"
        voice = file.add_stream("aac", rate=16_000, layout="mono")
        for k in range(75):
            moved = np.roll(still, 3 * k, axis=1) + random.normal(0, 3, still.shape)
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(moved.clip(0, 255).astype(np.uint8), format="rgb24")))
        file.mux(pictures.encode())
        whole = av.AudioFrame.from_ndarray((sound * 32_767).astype(np.int16)[None], format="s16", layout="mono")
        whole.sample_rate, whole.pts, whole.time_base = 16_000, 0, Fraction(1, 16_000)
        file.mux(voice.encode(whole))
        file.mux(voice.encode())
    return path


def variants_of(
    path: Path, asked: list[Condition | None], spec: ClipSpec, place: Place, *, video: str = "v", track: Any = None
) -> list[Clip | MediaError]:
    opened = OpenClip(path, spec, place, conditions=[c for c in asked if c], video=video, track=track)
    found: list[Clip | MediaError] = [opened.clean()] * len(asked)
    for k, condition in enumerate(asked):
        if condition is not None:
            try:
                found[k] = opened.under(condition)
            except MediaError as error:
                found[k] = error
    return found


def clips_of(path: Path, asked: list[Condition | None], spec: ClipSpec = SPEC, start: float = 1.12) -> list[Clip]:
    found = variants_of(path, asked, spec, Place.start(start), video="id/v.mp4")
    assert all(isinstance(clip, Clip) for clip in found), found
    return [clip for clip in found if isinstance(clip, Clip)]


def alike(left: Clip, right: Clip) -> bool:
    return np.array_equal(left.frames, right.frames) and np.array_equal(left.sound, right.sound)


def test_level_0_is_the_plain_clip_and_untouched_streams_are_the_same_array(video: Path) -> None:
    plain = OpenClip(video, SPEC, Place.start(1.12)).clean()
    asked = conditions("paper", "white_noise", "opus", "desync")
    clips = clips_of(video, asked)
    assert alike(clips[0], plain) and clips[0].change is None
    for condition, clip in zip(asked[1:], clips[1:], strict=True):
        assert condition is not None and clip.change is not None
        pictures, sound = clip.frames is clips[0].frames, clip.sound is clips[0].sound
        assert (pictures, sound) == ((False, True) if condition.touches("video") else (True, False))
        assert not alike(clip, plain), condition
        assert (clip.valid_frames, clip.valid_samples, clip.start) == (25, 16_000, plain.start)


def test_a_clip_of_the_perturbed_video_is_the_perturbed_clip(video: Path) -> None:
    with av.open(str(video)) as file:
        frames = list(file.decode(video=0))
    noise, coded = one("gaussian_noise", 2), one("video_compression", 5)
    cut = ClipSpec(size=120)  # the middle square of the whole height: no scaling
    noisy, compressed = clips_of(video, [noise, coded], cut)
    for k in range(25):
        source = frames[28 + k].to_ndarray(format="rgb24")
        whole = perturb_picture(noise, "id/v.mp4", 28 + k, source)[0]
        assert np.array_equal(noisy.frames[k], whole[:, 20:140])
    shown = [frame.to_ndarray(format="rgb24") for frame in perturb_frames(coded, "id/v.mp4", frames)]
    assert np.array_equal(compressed.frames, np.stack(shown)[28:53, :, 20:140])


def test_sound_is_perturbed_as_a_whole_and_then_cut(video: Path) -> None:
    with av.open(str(video)) as file:
        whole = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    for name in ("white_noise", "reverberation", "aac", "desync"):
        condition = one(name, 3)
        (clip,) = clips_of(video, [condition])
        expected = perturb_sound(condition, "id/v.mp4", whole, 16_000)[0]
        assert np.array_equal(clip.sound, np.clip(expected[17_920:33_920], -1, 1))


def test_other_clips_of_the_video_meet_the_same_noise(video: Path) -> None:
    noise = one("gaussian_noise", 1)
    (early,), (late,) = (clips_of(video, [noise], start=start) for start in (0.4, 0.8))
    assert np.array_equal(early.frames[10:], late.frames[:15])


def test_strength_is_measured_on_whole_pictures_and_on_sound(video: Path) -> None:
    clips = clips_of(
        video, conditions("gaussian_noise", "video_compression", "jpeg", "white_noise", "mp3", "blockwise")
    )
    changes = [clip.change for clip in clips[1:]]
    noise, compressed, jpeg, hiss, mp3, blocks = (changes[i : i + 2] for i in range(0, 12, 2))
    for pair in (noise, compressed, jpeg):
        assert pair[0] and pair[1] and 8 < pair[1].psnr < pair[0].psnr < 50
    assert all(c and c.psnr == np.inf for c in blocks), "blocks as published need 256 px"
    assert [c.snr for c in hiss if c] == pytest.approx([30, 0], abs=2)
    assert all(c and c.kbps > 5 for c in [*compressed, *jpeg, *mp3])
    assert mp3[1] and mp3[1].kbps == pytest.approx(8, rel=0.2)


def test_babble_uses_the_voices_and_does_without_those_that_cannot_be_read(video: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    babble = one("babble", 4)
    (clip,) = clips_of(video, [replace(babble, voices=(video, tmp_path / "none.mp4"))])
    assert clip.change and clip.change.snr == pytest.approx(5, abs=3)
    (failed,) = variants_of(video, [babble], SPEC, Place.start(0.0))
    assert isinstance(failed, MediaError) and "babble level 4" in str(failed) and "other voices" in str(failed)


def test_a_condition_that_fails_costs_itself_alone(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(picture: np.ndarray, parameter: float, context: object) -> np.ndarray:
        raise ZeroDivisionError("of the plugin")

    from avbench.perturbations import conditions as perturb

    known = perturb._function
    monkeypatch.setattr(perturb, "_function", lambda load, name: fails if name == "contrast" else known(load, name))
    clean, failed, fine = variants_of(video, [None, one("contrast", 1), one("saturation", 1)], SPEC, Place.start(0.0))
    assert isinstance(clean, Clip) and isinstance(fine, Clip) and isinstance(failed, MediaError)
    assert failed.reason is Reason.BAD_MEDIA and "contrast level 1: ZeroDivisionError: of the plugin" in str(failed)


def test_large_videos_are_decoded_again_instead_of_held(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = conditions("video_compression", "saturation")
    held = clips_of(video, asked)
    monkeypatch.setattr(scene, "HELD", 0)
    assert all(alike(a, b) for a, b in zip(held, clips_of(video, asked), strict=True))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how many pictures are decoded."""
    count = [0]
    original = scene.frames_from

    def counted(*arguments: object) -> Iterator[av.VideoFrame]:
        for frame in original(*arguments):  # type: ignore[arg-type]
            count[0] += 1
            yield frame

    monkeypatch.setattr(scene, "frames_from", counted)
    return count


def request(path: Path, condition: Condition | None, start: float = 0.0) -> ClipRequest:
    return ClipRequest(Sample("id/v.mp4", path, Forgery.RARV), Forgery.RARV, start=start, condition=condition)


def test_all_conditions_of_a_video_share_one_decoding(video: Path, opened: list[int]) -> None:
    asked = conditions("paper", levels=(1, 2, 3, 4, 5))
    loaded = next(load_batches([[request(video, c) for c in asked]], SPEC, BOTH, workers=0))
    assert len(asked) == 31 and loaded.batch is not None and len(loaded.batch) == 31
    assert opened == [75]
    assert loaded.same_video == tuple(range(31)) and loaded.same_audio == (0,) * 31
    assert loaded.changes[0] is None and all(change is not None for change in loaded.changes[1:])


def test_workers_load_the_same_and_a_broken_file_fails_every_condition(video: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    asked = conditions("saturation", "white_noise")
    batches = [[request(path, c, start) for c in asked] for path, start in ((video, 0.0), (broken, 0.0), (video, 1.0))]
    alone = list(load_batches(batches, SPEC, BOTH, workers=0))
    shared = list(load_batches(batches, SPEC, BOTH, workers=2))
    for left, right in zip(alone, shared, strict=True):
        assert (left.batch is None) == (right.batch is None) and len(left.failures) == len(right.failures)
        if left.batch is not None and right.batch is not None:
            assert np.array_equal(left.batch.video, right.batch.video)
            assert np.array_equal(left.batch.audio, right.batch.audio)
            assert (
                (left.same_video, left.same_audio)
                == (right.same_video, right.same_audio)
                == ((0, 1, 2, 0, 0), (0, 0, 0, 3, 4))
            )
    assert [f.reason for f in alone[1].failures] == [Reason.UNREADABLE] * 5


def test_what_a_plugin_decodes_is_perturbed_too(video: Path) -> None:
    class Decoder:
        @hookimpl
        def avbench_decode(self, path: Path, start: float, spec: ClipSpec) -> Clip:
            return OpenClip(path, spec, Place.start(start)).clean()

    manager = installed().manager
    plugin = Decoder()
    manager.register(plugin)
    try:
        asked = conditions("gaussian_noise", "video_compression", "white_noise", levels=(4,))
        clips = load_clips([request(video, c) for c in asked], SPEC, BOTH)
    finally:
        manager.unregister(plugin)
    plain = OpenClip(video, SPEC, Place.start(0.0)).clean()
    assert isinstance(clips[0], Clip) and alike(clips[0], plain)
    for clip in clips[1:]:
        assert isinstance(clip, Clip) and not alike(clip, plain) and clip.frames.shape == plain.frames.shape


def test_real_faces_and_odd_files_read_as_ever(real_root: Path) -> None:
    paths = [*sorted((real_root / "LAV-DF" / "test").glob("*.mp4"))[:3], *sorted((real_root / "odd").iterdir())]
    for path in paths:
        coded = path.stat().st_size < 100_000  # the full HD portrait would take ten seconds
        asked = conditions(*["video_compression"] * coded, "gaussian_noise", "opus", levels=(5,))
        try:
            plain = OpenClip(path, SPEC, Place.fraction(0.4)).clean()
        except MediaError as error:
            with pytest.raises(MediaError) as caught:
                variants_of(path, asked, SPEC, Place.fraction(0.4), video=path.name)
            assert caught.value.reason == error.reason
            continue
        clean, *changed = variants_of(path, asked, SPEC, Place.fraction(0.4), video=path.name)
        assert isinstance(clean, Clip) and alike(clean, plain), path.name
        for condition, clip in zip(asked[1:], changed, strict=True):
            assert isinstance(clip, Clip), (path.name, clip)
            assert condition and (clip.valid_frames, clip.valid_samples) == (plain.valid_frames, plain.valid_samples)
            if clip.has_video and condition.touches("video"):
                assert clip.change and 5 < clip.change.psnr < 60, path.name


def test_tracked_faces_are_those_of_the_clean_pictures(video: Path) -> None:
    seen: list[np.ndarray] = []

    def track(path: Path, frames: np.ndarray, times: np.ndarray) -> np.ndarray:
        seen.append(frames.copy())
        return np.tile([40.0, 20.0, 100.0, 90.0], (len(frames), 1))

    spec = ClipSpec(size=64, region="face")
    clean, dark = variants_of(video, [None, one("contrast", 5)], spec, Place.start(0.0), track=track)
    assert len(seen) == 1 and isinstance(clean, Clip) and isinstance(dark, Clip)
    assert alike(clean, OpenClip(video, spec, Place.start(0.0), track=track).clean())
    assert np.abs(dark.frames.mean() - 0.35 * clean.frames.mean()) < 2


def test_only_conditions_that_were_named_at_the_start_can_be_asked_for(video: Path) -> None:
    with pytest.raises(ValueError, match="contrast level 1 is none of those"):
        OpenClip(video, SPEC, Place.start(0.0), conditions=[one("contrast", 2)]).under(one("contrast", 1))
