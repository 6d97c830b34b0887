"""The built-in perturbations against values computed in another way: published formulas, scipy, Pillow, real files."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, signal

from avbench.perturbations.conditions import (
    Condition,
    choose,
    frames_context,
    perturb_frames,
    perturb_picture,
    perturb_sound,
)
from avbench.perturbations.transforms import bands, codecs, colour, detail, noise, rooms
from avbench.plugins.registry import installed
from avbench.types import Context

# DeeperForensics-1.0's table, then ImageNet-C's JPEG qualities, then avbench's own levels.
TABLE = {
    "video_compression": (30, 32, 35, 38, 40),
    "jpeg_df10": (2, 3, 4, 5, 6),
    "contrast": (0.85, 0.725, 0.6, 0.475, 0.35),
    "gaussian_blur": (7, 9, 13, 17, 21),
    "gaussian_noise": (0.001, 0.002, 0.005, 0.01, 0.05),
    "saturation": (0.4, 0.3, 0.2, 0.1, 0.0),
    "blockwise": (16, 32, 48, 64, 80),
    "blockwise_adapted": (16, 32, 48, 64, 80),
    "jpeg": (25, 18, 15, 10, 7),
    "resize": (0.75, 0.5, 0.375, 0.25, 0.15),
    "white_noise": (40, 30, 20, 10, 0),
    "babble": (20, 15, 10, 5, 0),
    "reverberation": (0.2, 0.35, 0.5, 0.7, 1.0),
    "mp3": (64, 48, 32, 16, 8),
    "opus": (24, 16, 12, 8, 6),
    "aac": (64, 48, 32, 24, 16),
    "low_pass": (7000, 5500, 4000, 2000, 1000),
    "resample": (12_000, 8000, 6000, 4000, 3000),
    "clipping": (6, 10, 14, 18, 22),
    "desync": (40, 80, 160, 320, 640),
}
RATE = 16_000


def context(seed: int = 0, rate: int = RATE, voices: tuple[np.ndarray, ...] = ()) -> Context:
    return Context(np.random.default_rng(seed), rate, voices)


def scene(side: int = 224, seed: int = 0) -> np.ndarray:
    """Return a picture with edges, gradients and texture."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    base = np.stack([x * 255 / side, y * 255 / side, 128 + 100 * np.sin(x / 9) * np.cos(y / 7)], axis=2)
    base[side // 4 : side // 2, side // 3 : side // 2] = (200, 120, 90)
    return np.clip(base + random.normal(0, 4, base.shape), 0, 255).astype(np.uint8)


def speech(seconds: float = 2.0, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Return a sound like speech: a buzz through two resonances, with syllables."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    buzz = signal.sawtooth(2 * np.pi * (120 + 10 * np.sin(5 * time)) * time) + 0.05 * random.standard_normal(len(time))
    for centre in (600, 1700):
        buzz = (
            signal.sosfilt(signal.butter(1, [centre - 150, centre + 150], "band", fs=rate, output="sos"), buzz)
            + 0.2 * buzz
        )
    loud = 0.2 * buzz * (0.2 + np.abs(np.sin(2 * np.pi * 2.3 * time))) / np.abs(buzz).max()
    return loud.astype(np.float32)


def of(name: str, level: int) -> Condition:
    condition = choose([name], [level], installed().perturbations())[1]
    assert condition is not None
    return condition


def test_level_tables_are_exact_and_the_papers_six_come_in_its_order() -> None:
    declared = installed().perturbations()
    assert {name: declared[name].levels for name in TABLE} == TABLE
    six = list(dict.fromkeys(c.name for c in choose(["paper"], range(6), declared) if c))
    assert six == list(TABLE)[:6]


def test_saturation_is_the_published_formula() -> None:
    def published(bgr: np.ndarray, p: float) -> np.ndarray:
        ycc = cv2.cvtColor(bgr.astype(np.float32), cv2.COLOR_BGR2YCR_CB)[:, :, (0, 2, 1)]
        ycc[:, :, 0] = (ycc[:, :, 0] * (235 - 16) + 16) / 255.0
        ycc[:, :, 1:] = (ycc[:, :, 1:] * (240 - 16) + 16) / 255.0
        ycc[:, :, 1:] = 0.5 + (ycc[:, :, 1:] - 0.5) * p
        ycc[:, :, 0] = (ycc[:, :, 0] * 255.0 - 16) / (235 - 16)
        ycc[:, :, 1:] = (ycc[:, :, 1:] * 255.0 - 16) / (240 - 16)
        return cv2.cvtColor(np.ascontiguousarray(ycc[:, :, (0, 2, 1)]), cv2.COLOR_YCR_CB2BGR)

    picture = scene()
    for p in TABLE["saturation"]:
        exact = published(picture[:, :, ::-1], p)[:, :, ::-1]
        got = colour.saturation(picture, p, context())
        assert np.abs(got - exact.clip(0, 255)).max() <= 1.01 and (got <= exact + 0.01).mean() > 0.999
    flat = np.zeros((2, 2, 3), np.uint8)
    # Measured with the published code: white, and red at its levels 5 and 1.
    assert colour.saturation(flat + 255, 0.0, context())[0, 0].tolist() == [254, 255, 254]
    red = flat + np.array([255, 0, 0], np.uint8)
    assert colour.saturation(red, 0.0, context())[0, 0].tolist() == [76, 76, 76]
    assert colour.saturation(red, 0.4, context())[0, 0].tolist() == [147, 45, 45]


def test_contrast_multiplies_and_truncates() -> None:
    picture = scene()
    for p in TABLE["contrast"]:
        assert np.array_equal(colour.contrast(picture, p, context()), (picture.astype(np.float32) * p).astype(np.uint8))


@pytest.mark.parametrize(("variance", "spread"), [(0.001, (15.8, 11.9, 18.8)), (0.05, (86.8, 74.5, 92.9))])
def test_noise_has_the_published_strength(variance: float, spread: tuple[float, ...]) -> None:
    grey = np.full((256, 256, 3), 128, np.uint8)
    noisy = colour.gaussian_noise(grey, variance, context())
    assert noisy.reshape(-1, 3).std(axis=0) == pytest.approx(spread, rel=0.02)  # measured with the published code, RGB


def test_noise_is_the_published_formula_for_the_same_draws() -> None:
    picture, variance = scene(), 0.01
    draws = np.random.default_rng(0).standard_normal(picture.shape, dtype=np.float32)
    rgb = picture.astype(np.float64)
    y = rgb @ [0.299, 0.587, 0.114]
    cb, cr = (rgb[:, :, 2] - y) * 0.564 + 0.5, (rgb[:, :, 0] - y) * 0.713 + 0.5
    scaled = np.stack([(y * 219 + 16) / 255, (cb * 224 + 16) / 255, (cr * 224 + 16) / 255], axis=2)
    noisy = (scaled / 255 + variance**0.5 * draws) * 255 * 255 - 16
    y, cb, cr = noisy[:, :, 0] / 219, noisy[:, :, 1] / 224 - 0.5, noisy[:, :, 2] / 224 - 0.5
    back = np.stack([y + 1.403 * cr, y - 0.714 * cr - 0.344 * cb, y + 1.773 * cb], axis=2).clip(0, 255)
    got = colour.gaussian_noise(picture, variance, context()).astype(int)
    # The published code's constants are rounded, so that its way there and back is off by a fraction of a level.
    assert np.abs(got - back).max() <= 2 and np.abs(got - back.astype(int)).mean() < 0.1


def test_blur_is_a_gaussian_of_a_sixth_of_the_kernel() -> None:
    picture = scene()
    for kernel in TABLE["gaussian_blur"]:
        reach = np.arange(kernel) - (kernel - 1) / 2
        weights = np.exp(-(reach**2) / (2 * (kernel / 6) ** 2))
        weights /= weights.sum()
        expected = picture.astype(np.float64)
        for axis in (0, 1):
            expected = ndimage.convolve1d(expected, weights, axis=axis, mode="mirror")
        assert np.abs(detail.blur(picture, kernel, context()) - expected).max() <= 1.5


def _bilinear(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    rows = (np.arange(height) + 0.5) * picture.shape[0] / height - 0.5
    columns = (np.arange(width) + 0.5) * picture.shape[1] / width - 0.5
    where = np.meshgrid(rows, columns, indexing="ij")
    planes = [ndimage.map_coordinates(picture[:, :, c].astype(float), where, order=1, mode="nearest") for c in range(3)]
    return np.stack(planes, axis=2).round()


def test_pixelation_goes_down_and_up_bilinearly() -> None:
    picture = scene(225)
    for factor in TABLE["jpeg_df10"]:
        expected = _bilinear(_bilinear(picture, 225 // factor, 225 // factor), 225, 225)
        got = detail.pixelate(picture, factor, context()).astype(float)
        assert np.abs(got - expected).max() <= 2 and np.abs(got - expected).mean() < 0.5


def test_blocks_as_published_need_256_pixels_and_adapted_ones_do_not() -> None:
    small, large = scene(224), scene(600)
    assert np.array_equal(detail.blockwise(small, 80, context()), small)
    for picture, function, count in ((small, detail.blockwise_adapted, 16), (large, detail.blockwise, 2 * 16)):
        blocked = function(picture, 16, context())
        changed = (blocked != picture).any(axis=2)
        assert (blocked[changed] == 128).all()
        assert 40 * count < changed.sum() <= 64 * count  # blocks may overlap
        assert not np.array_equal(function(picture, 16, context(1)), blocked)


def test_jpeg_is_that_of_another_encoder() -> None:
    picture = scene()
    for quality in TABLE["jpeg"]:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        expected = np.asarray(Image.open(file)).astype(int)
        known = context()
        got = detail.jpeg(picture, quality, known).astype(int)
        assert np.abs(got - expected).mean() < 0.5
        assert known.notes["kbytes"] * 1000 == pytest.approx(file.tell(), rel=0.1)


@pytest.mark.parametrize("name", [n for n in TABLE if n not in {"video_compression", "blockwise"}][:8])
def test_pictures_keep_their_size_and_lose_more_at_higher_levels(name: str) -> None:
    picture = scene()[:, :200]
    before = picture.copy()
    lost = []
    for level in range(1, 6):
        changed, _ = perturb_picture(of(name, level), "video", 7, picture)
        assert changed.shape == picture.shape and changed.dtype == np.uint8
        lost.append(((changed.astype(float) - picture) ** 2).mean())
    assert lost == sorted(lost) and lost[0] > 0 and np.array_equal(before, picture)


def frames_of(count: int, width: int = 64, height: int = 64, pix_fmt: str = "yuv420p") -> list[av.VideoFrame]:
    random = np.random.default_rng(0)
    still = scene(96)
    frames = []
    for k in range(count):
        moved = np.roll(still, k, axis=1)[:height, :width] + random.integers(0, 6, (height, width, 3))
        frame = av.VideoFrame.from_ndarray(moved.clip(0, 255).astype(np.uint8), format="rgb24").reformat(format=pix_fmt)
        frame.pts, frame.time_base = 512 * k + (128 if k == 3 else 0), Fraction(1, 12_800)
        frame.duration = 512
        frames.append(frame)
    return frames


def test_video_compression_is_what_a_file_at_that_crf_would_show(tmp_path: Path) -> None:
    frames, sizes = frames_of(60), []
    for level in (1, 5):
        condition = of("video_compression", level)
        known = frames_context(condition, "video")
        shown = list(perturb_frames(condition, "video", frames, known))
        with av.open(str(tmp_path / "file.mp4"), "w") as file:
            options = {"crf": str(int(condition.parameter)), "x264-params": "cpu-independent=1"}
            stream = file.add_stream("libx264", rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = frames[0].time_base
            for frame in frames:
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
        with av.open(str(tmp_path / "file.mp4")) as file:
            expected = [frame.to_ndarray() for frame in file.decode(video=0)]
        assert [f.time for f in shown] == [f.time for f in frames]
        assert np.array_equal(np.stack([f.to_ndarray() for f in shown]), np.stack(expected))
        sizes.append(known.notes["kbps"])
    assert sizes[0] > sizes[1] > 0


def test_video_compression_gives_the_same_each_time() -> None:
    frames, condition = frames_of(60), of("video_compression", 1)
    seen = {b"".join(f.to_ndarray().tobytes() for f in perturb_frames(condition, "v", frames)) for _ in range(8)}
    assert len(seen) == 1


def test_video_compression_of_odd_sides_and_of_one_frame() -> None:
    condition = of("video_compression", 3)
    shown = list(perturb_frames(condition, "video", frames_of(3, 63, 61, "yuv444p")))
    assert [(f.width, f.height) for f in shown] == [(63, 61)] * 3
    assert len(list(perturb_frames(condition, "video", frames_of(1)))) == 1


def power(sound: np.ndarray) -> float:
    return float((sound.astype(np.float64) ** 2).mean())


@pytest.mark.parametrize("snr", [*TABLE["white_noise"], 5])
def test_noise_and_babble_have_the_ratio_they_say(snr: float) -> None:
    sound = speech()
    voices = (speech(1.1, 1), speech(3.0, 2), np.zeros(100, np.float32))
    for function in (noise.white_noise, noise.babble):
        added = function(sound, snr, context(voices=voices)).astype(np.float64) - sound
        assert 10 * np.log10(power(sound) / power(added)) == pytest.approx(snr, abs=0.01)
    silence = np.zeros(1000, np.float32)
    assert np.array_equal(noise.white_noise(silence, snr, context()), silence)
    with pytest.raises(ValueError, match="other voices"):
        noise.babble(sound, snr, context())


def test_gain_clips_at_full_scale() -> None:
    sound = np.linspace(-0.9, 0.9, 50, dtype=np.float32)
    expected = np.clip(sound.astype(np.float64) * 10 ** (14 / 20), -1, 1)
    assert noise.clipping_gain(sound, 14, context()) == pytest.approx(expected, abs=1e-6)


def test_low_pass_is_butterworths_magnitude_without_delay() -> None:
    impulse = np.zeros(RATE, np.float32)
    impulse[RATE // 2] = 1
    for cutoff in TABLE["low_pass"]:
        heard = bands.low_pass(impulse, cutoff, context())
        assert heard.argmax() == RATE // 2
        b, a = signal.butter(6, 2 * np.pi * cutoff, analog=True)
        at = np.array([0.25, 0.5, 1.0]) * cutoff
        at = at[at < RATE / 2]
        got = np.abs(np.fft.rfft(heard))[at.astype(int)]  # one bin a hertz
        assert got == pytest.approx(np.abs(signal.freqs(b, a, 2 * np.pi * at)[1]), abs=2e-3)


def test_resampling_keeps_what_fits_and_loses_the_rest() -> None:
    time = np.arange(RATE) / RATE
    for rate in TABLE["resample"]:
        for share, kept in ((0.5, True), (1.3, False)):
            tone = np.sin(2 * np.pi * share * rate / 2 * time).astype(np.float32)
            if share * rate / 2 < RATE / 2:
                heard = bands.resample_and_back(tone, rate, context())[2000:-2000]
                assert (np.abs(heard - tone[2000:-2000]).max() < 0.02) if kept else (np.abs(heard).max() < 0.05)
    low = speech(rate=8000)
    assert bands.resample_and_back(low, 12_000, context(rate=8000)) is low


@pytest.mark.parametrize("seconds", TABLE["reverberation"])
def test_room_decays_by_60_db_in_its_reverberation_time(seconds: float) -> None:
    response = rooms.room(seconds, RATE, np.random.default_rng(0))
    left = 10 * np.log10(np.cumsum(response[:0:-1] ** 2)[::-1] / np.sum(response[1:] ** 2))  # Schroeder's integral
    time = np.arange(len(left)) / RATE
    fitted = (left < -5) & (left > -25)
    slope = np.polyfit(time[fitted], left[fitted], 1)[0]
    assert -60 / slope == pytest.approx(seconds, rel=0.1)
    assert np.sum(response[1:] ** 2) == pytest.approx(response[0] ** 2)


def lag(changed: np.ndarray, sound: np.ndarray) -> int:
    """Return by how many samples a sound comes late."""
    found = signal.correlate(changed.astype(np.float64), sound.astype(np.float64), "full")
    return int(found.argmax()) - len(sound) + 1


def test_reverberation_keeps_loudness_and_time() -> None:
    sound = speech()
    for seconds in TABLE["reverberation"]:
        heard = rooms.reverberation(sound, seconds, context())
        assert power(heard) == pytest.approx(power(sound), rel=1e-3) and lag(heard, sound) == 0


def test_desync_moves_all_of_the_sound_and_makes_no_silence() -> None:
    sound = speech()
    for milliseconds in TABLE["desync"]:
        steps = {int(lag(rooms.desync(sound, milliseconds, context(seed)), sound)) for seed in range(6)}
        assert steps == {milliseconds * 16, -milliseconds * 16}
        assert np.array_equal(np.sort(rooms.desync(sound, milliseconds, context())), np.sort(sound))


@pytest.mark.parametrize("rate", [16_000, 48_000, 8000])
@pytest.mark.parametrize("name", ["mp3", "opus", "aac"])
def test_codecs_keep_length_and_time_and_their_bitrate(name: str, rate: int) -> None:
    sound = speech(1.63, rate=rate)
    kept = []
    for level in range(1, 6):
        heard, known = perturb_sound(of(name, level), "video", sound, rate)
        assert heard.shape == sound.shape and abs(lag(heard, sound)) <= rate // 8000
        error = heard - sound
        kept.append(10 * np.log10(power(sound) / power(error)))
        assert known.notes["kbps"] == pytest.approx(of(name, level).parameter, rel=0.35)
    assert kept[0] > kept[-1] and kept[0] > 5, kept
    silence, _ = perturb_sound(of(name, 5), "video", np.zeros(5000, np.float32), rate)
    assert np.abs(silence).max() < 1e-2


@pytest.mark.parametrize("codec", ["libmp3lame", "libopus", "aac"])
def test_codecs_do_not_move_a_click(codec: str) -> None:
    click = np.zeros(RATE, np.float32)
    click[8000] = 0.9
    kbps = {"libmp3lame": 64, "libopus": 24, "aac": 64}[codec]
    function = {"libmp3lame": codecs.mp3, "libopus": codecs.opus, "aac": codecs.aac}[codec]
    energy = function(click, kbps, context()) ** 2
    centre = float((energy * np.arange(RATE)).sum() / energy.sum())
    assert centre == pytest.approx(8000, abs=80)  # 5 ms; an uncompensated AAC comes 64 ms late
