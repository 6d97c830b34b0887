"""One clip of a file: pictures and sound by presentation time, from healthy, awkward and broken media."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.signal import correlate

from avbench import sound as sound_module
from avbench.data import ClipRequest, collate, load_clip
from avbench.frames import cut_region, cut_tracked, fill_gaps
from avbench.hookspecs import hookimpl
from avbench.media import Clip, MediaError, place, probe, read_clip
from avbench.plugins import Plugins
from avbench.types import ClipSpec, Forgery, Reason, Sample

SMALL = ClipSpec(size=64)
PLAIN = "name with spaces, ünïcode 名前 and 'quote'.mp4"  # the sibling that several odd files were made from
CLICKS = (0.25, 0.75, 1.25, 1.75)


def write_clock(
    path: Path,
    stamps: Sequence[float],
    *,
    sound: np.ndarray | None = None,
    sound_rate: int = 16_000,
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
        audio = None if sound is None else container.add_stream(sound_codec, rate=sound_rate, layout="mono")
        for number, stamp in enumerate(stamps):
            bits = (number >> np.arange(8)) & 1
            picture = np.repeat(bits * 255, 8).astype(np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(stamp * 30_000), Fraction(1, 30_000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None and sound is not None:
            whole = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
            whole.sample_rate, whole.pts, whole.time_base = sound_rate, 0, Fraction(1, sound_rate)
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
    clip = read_clip(path, SMALL, start=start)
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
        assert numbers(read_clip(path, SMALL, start=start).frames) == list(range(first, first + 25))


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
        assert numbers(read_clip(path, SMALL, start=first / 25).frames) == list(range(first, first + 25))


def test_sound_is_placed_on_the_clock_of_the_pictures(tmp_path: Path) -> None:
    stamps = [0.5 + i / 25 for i in range(30)]
    path = write_clock(tmp_path / "late.mov", stamps, sound=clicks(16_000), sound_codec="pcm_s16le")
    clip = read_clip(path, SMALL, start=0.0)
    assert np.abs(clip.sound - clicks(16_000)[8000:24_000]).max() < 1e-4


@pytest.mark.parametrize("name", ["LAV-DF/train/*.mp4", f"odd/{PLAIN}", "odd/mpeg4_mp3.avi"])
def test_a_window_is_a_slice_of_the_whole_sound(real_root: Path, name: str) -> None:
    for path in sorted(real_root.glob(name.replace("[", "[[]")))[:6]:
        whole = read_clip(path, ClipSpec(frames=0, sound_samples=32_000), start=0.0).sound
        for start in (0.137, 0.64, 1.0001):
            first = round(start * 16_000)
            window = read_clip(path, ClipSpec(frames=0, sound_samples=12_000), start=start).sound
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
    whole = read_clip(path, ClipSpec(frames=0, sound_samples=32_000), start=0.0).sound
    assert np.abs(whole).max() > 0.1
    for start in (0.137, 0.64, 1.0001):
        first = round(start * 16_000)
        window = read_clip(path, ClipSpec(frames=0, sound_samples=12_000), start=start).sound
        assert np.abs(window - whole[first : first + 12_000]).max() < 1e-3


def test_a_sought_window_is_the_same_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 64_000)
    path = write_clock(tmp_path / "long.mov", RATES["25"], sound=noise, sound_codec="pcm_s16le")
    monkeypatch.setattr(sound_module, "SEEK_BEYOND", 1.5)
    clip = read_clip(path, ClipSpec(frames=0, sound_samples=16_000), start=2.3)
    assert np.abs(clip.sound - noise[36_800:52_800]).max() < 1e-4


def test_resampled_sound_keeps_time_and_level(tmp_path: Path) -> None:
    for rate in (8000, 44_100, 48_000):
        time = np.arange(int(2.2 * rate)) / rate
        path = write_clock(
            tmp_path / f"{rate}.mov", RATES["25"], sound=0.5 * np.sin(2 * np.pi * 440 * time), sound_rate=rate,
            sound_codec="pcm_s16le",
        )  # fmt: skip
        clip = read_clip(path, SMALL, start=0.3)
        expected = 0.5 * np.sin(2 * np.pi * 440 * (0.3 + np.arange(16_000) / 16_000))
        assert np.abs(clip.sound - expected).max() < 1e-3, rate


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
    late = read_clip(real_root / "odd" / "audio_starts_0_3s_late.mp4", ClipSpec(sound_samples=32_000), start=0.0)
    plain = read_clip(real_root / "odd" / PLAIN, ClipSpec(sound_samples=32_000), start=0.0)
    assert not late.sound[:3776].any()  # 0.236 s, then 64 ms of the encoder's priming: nearly nothing
    assert np.abs(late.sound[3776:4780]).max() < 0.02 < np.abs(late.sound[4800:12_000]).max()
    assert int(correlate(late.sound, plain.sound).argmax()) - 31_999 == 4800
    np.testing.assert_array_equal(late.frames, plain.frames)


def test_a_silent_channel_halves_the_level(real_root: Path) -> None:
    plain = read_clip(real_root / "odd" / PLAIN, ClipSpec(frames=0, sound_samples=32_000), start=0.0).sound
    half = read_clip(
        real_root / "odd" / "audio_48khz_stereo_right_silent.mp4", ClipSpec(frames=0, sound_samples=32_000), start=0.0
    ).sound
    assert plain @ half / (plain @ plain) == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(plain, half)[0, 1] > 0.99


def test_pictures_are_upright(real_root: Path) -> None:
    upright = read_clip(real_root / "odd" / PLAIN, ClipSpec(size=32), start=0.4).frames.astype(float)
    turned = read_clip(real_root / "odd" / "rotated_by_metadata.mp4", ClipSpec(size=32), start=0.4).frames
    assert np.abs(turned - upright).mean() < 8 < np.abs(np.rot90(turned, axes=(1, 2)) - upright).mean()


def test_what_a_cut_file_still_holds_is_used(real_root: Path) -> None:
    path = real_root / "odd" / "truncated_data_cut.mp4"
    clip = read_clip(path, SMALL, start=0.0)
    assert (clip.valid_frames, probe(path).frames) == (17, 52)
    assert clip.frames[16].any() and not clip.frames[17:].any() and not clip.sound[clip.valid_samples :].any()
    with pytest.raises(MediaError, match=r"from 1\.000 s") as caught:
        read_clip(path, SMALL, start=1.0)
    assert caught.value.reason == Reason.UNREADABLE


def test_a_short_video_is_padded_or_too_short(tmp_path: Path) -> None:
    path = write_clock(tmp_path / "short.mov", RATES["25"][:10], sound=clicks(16_000, 0.4), sound_codec="pcm_s16le")
    clip = read_clip(path, SMALL, fraction=0.7)
    assert (clip.start, clip.end, clip.valid_frames, clip.valid_samples) == (0.0, 1.0, 10, 6400)
    assert not clip.frames[10:].any() and not clip.sound[6400:].any()
    read_clip(path, ClipSpec(size=64, least_frames=10), start=0.0)
    with pytest.raises(MediaError) as caught:
        read_clip(path, ClipSpec(size=64, least_frames=11), start=0.0)
    assert caught.value.reason == Reason.TOO_SHORT


def test_only_the_streams_that_are_wanted(tmp_path: Path) -> None:
    path = write_clock(tmp_path / "clock.mov", RATES["25"], sound=clicks(16_000), sound_codec="pcm_s16le")
    only_sound = read_clip(path, ClipSpec(frames=0, sound_samples=64_600), start=0.0)
    assert only_sound.frames.shape == (0, 224, 224, 3) and not only_sound.seen and only_sound.end == 64_600 / 16_000
    assert only_sound.valid_samples == 35_200
    only_pictures = read_clip(path, ClipSpec(size=64, sound_samples=0), start=0.0)
    assert only_pictures.sound.shape == (0,) and not only_pictures.heard and only_pictures.seen
    unheard = read_clip(path, SMALL, start=0.0, audio=False)
    assert unheard.sound.shape == (16_000,) and not unheard.sound.any() and not unheard.heard
    with av.open(str(tmp_path / "voice.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.full((1, 24_000), 16_384, np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
    voice = read_clip(tmp_path / "voice.wav", SMALL, fraction=1.0)
    assert (voice.start, voice.seen, voice.heard, voice.valid_samples) == (0.5, False, True, 16_000)
    np.testing.assert_array_equal(voice.sound, 0.5)


def test_the_whole_video_is_one_clip(tmp_path: Path) -> None:
    path = write_clock(tmp_path / "clock.mov", RATES["29.97"], sound=clicks(16_000), sound_codec="pcm_s16le")
    clip = read_clip(path, ClipSpec(frames=500, size=64, whole=True), centre=1.7)
    seconds = 65 * 1001 / 30_000
    assert (clip.start, clip.valid_frames, len(clip.frames)) == (0.0, 54, 54) and round(seconds * 25) == 54
    assert (clip.end, len(clip.sound)) == (54 / 25, round(54 / 25 * 16_000))
    assert numbers(clip.frames)[-1] == 64
    assert len(read_clip(path, ClipSpec(frames=30, size=64, whole=True), start=0.0).frames) == 30


def test_placement() -> None:
    assert place(10.0, 1.0, start=3.25) == 3.25
    assert place(10.0, 1.0, fraction=0.5) == 4.5 and place(0.4, 1.0, fraction=0.5) == 0.0
    assert place(10.0, 1.0, centre=5.0) == 4.5
    assert place(10.0, 1.0, centre=0.2) == 0.0 and place(10.0, 1.0, centre=9.9) == 9.0
    assert place(0.4, 1.0, centre=0.3) == 0.0
    for both in ({}, {"start": 1.0, "centre": 2.0}):
        with pytest.raises(ValueError, match="places a clip"):
            place(10.0, 1.0, **both)


def test_headers(real_root: Path, tmp_path: Path) -> None:
    info = probe(real_root / "odd" / "fps_29_97.mp4")
    assert (info.frames, info.has_video, info.has_audio) == (62, True, True)
    assert (info.duration, info.fps) == (pytest.approx(2.0687, abs=1e-4), pytest.approx(29.97, abs=1e-3))
    assert not probe(real_root / "odd" / "no_audio.mp4").has_audio
    assert probe(real_root / "odd" / "vp9_opus.webm").duration == pytest.approx(2.1, abs=0.05)
    for name, reason in (("gone.mp4", Reason.MISSING_FILE), ("", Reason.UNREADABLE)):
        with pytest.raises(MediaError) as caught:
            probe(tmp_path / name)
        assert caught.value.reason == reason


def test_regions_of_a_picture() -> None:
    rows, columns = np.mgrid[0:100, 0:160]
    picture = np.stack([rows, columns, np.zeros_like(rows)], axis=2).astype(np.uint8)
    frame = cut_region(picture, "frame", 100)
    assert frame.shape == (100, 100, 3) and tuple(frame[0, 0]) == (0, 30, 0) and tuple(frame[99, 99]) == (99, 129, 0)
    np.testing.assert_array_equal(cut_region(picture, "face", 100), frame)
    mouth = cut_region(picture, "mouth", 50)
    assert tuple(mouth[0, 0]) == (50, 55, 0) and tuple(mouth[49, 49]) == (99, 104, 0)
    box = np.array([60.0, 30.0, 90.0, 70.0])  # centre (75, 50), the square's side is 1.3 x 40
    face = cut_tracked(picture, box, "face", 52)
    assert tuple(face[0, 0]) == (24, 49, 0) and tuple(face[51, 51]) == (75, 100, 0)
    mouth = cut_tracked(picture, box, "mouth", 26)
    assert tuple(mouth[0, 0]) == (50, 62, 0) and tuple(mouth[25, 25]) == (75, 87, 0)
    corner = cut_tracked(picture, np.array([-20.0, -20.0, 20.0, 20.0]), "face", 52)
    assert tuple(corner[0, 0]) == (0, 0, 0) and tuple(corner[51, 51]) == (25, 25, 0)
    assert cut_region(picture, "frame", 25).shape == (25, 25, 3)


def test_frames_without_a_face_take_their_neighbours_box() -> None:
    boxes = np.full((5, 4), np.nan)
    assert fill_gaps(boxes) is None
    boxes[1], boxes[4] = 1.0, 4.0
    np.testing.assert_array_equal(fill_gaps(boxes), np.repeat([[1.0], [1.0], [1.0], [4.0], [4.0]], 4, axis=1))


class FacePlugin:
    """Tracks the same box everywhere, or none in files called empty."""

    @hookimpl
    def avbench_face_track(self, path: Path, frames: np.ndarray, times: np.ndarray) -> np.ndarray:
        assert frames.shape == (25, 64, 64, 3) and times[0] == pytest.approx(0.22)
        return np.full((25, 4), np.nan) if path.stem == "empty" else np.tile([8.0, 8.0, 28.0, 28.0], (25, 1))


class DecodePlugin:
    """Decodes grey clips for files that end in .mine."""

    @hookimpl
    def avbench_decode(self, path: Path, start: float, seconds: float) -> Clip | None:
        if path.suffix != ".mine":
            return None
        frames = np.full((25, 64, 64, 3), round(start * 10), np.uint8)
        return Clip(frames, np.zeros(16_000, np.float32), 25, 16_000, True, True, start, start + seconds)


def request(path: Path, **where: float) -> ClipRequest:
    sample = Sample(path.name, path, Forgery.FARV, fps=25.0, frames=125)
    return ClipRequest(sample, Forgery.FARV, seed=7, **where)


def test_plugins_track_faces_and_decode(tmp_path: Path) -> None:
    plugins = Plugins()
    plugins.manager.register(FacePlugin())
    plugins.manager.register(DecodePlugin())
    hook = plugins.manager.hook
    face = ClipSpec(size=26, region="face")
    path = write_clock(tmp_path / "face.mp4", RATES["25"])
    tracked = load_clip(request(path, start=0.2), face, frozenset({"video"}), hook)
    full = read_clip(path, SMALL, start=0.2)
    np.testing.assert_array_equal(tracked.frames, full.frames[:, 5:31, 5:31])
    path.rename(tmp_path / "empty.mp4")
    with pytest.raises(MediaError) as caught:
        load_clip(request(tmp_path / "empty.mp4", start=0.2), face, frozenset({"video"}), hook)
    assert caught.value.reason == Reason.NO_FACE
    mine = load_clip(request(tmp_path / "a.mine", fraction=0.5), SMALL, frozenset({"video", "audio"}), hook)
    assert mine.start == 2.0 and (mine.frames == 20).all()
    with pytest.raises(MediaError, match="a plugin decoded"):
        load_clip(request(tmp_path / "a.mine", start=0.0), ClipSpec(), frozenset({"video"}), hook)


def test_a_batch_holds_its_clips(tmp_path: Path) -> None:
    spec = ClipSpec(frames=100, size=64, whole=True)
    paths = [
        write_clock(tmp_path / f"{n}.mov", RATES["25"][:n], sound=clicks(16_000, n / 25), sound_codec="pcm_s16le")
        for n in (12, 30)
    ]
    loaded = [(request(p, start=0.0), load_clip(request(p, start=0.0), spec, frozenset({"video"}))) for p in paths]
    batch = collate(loaded)
    assert batch.video.shape == (2, 30, 3, 64, 64) and batch.audio.shape == (2, 19_200)
    assert batch.frames.tolist() == [12, 30] and batch.samples.tolist() == [7680, 19_200]
    assert not batch.video[0, 12:].any() and not batch.audio[0, 7680:].any()
    np.testing.assert_array_equal(batch.video[1].permute(0, 2, 3, 1).numpy(), loaded[1][1].frames)
    assert batch.forgery.tolist() == [2, 2] and batch.seed.tolist() == [7, 7] and batch.ids == ("12.mov", "30.mov")
    assert batch.seen.tolist() == batch.heard.tolist() == [True, True] and batch.video.is_contiguous()
