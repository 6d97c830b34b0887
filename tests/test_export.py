"""Exported videos: perturbed as in a sweep, the other stream copied, times kept; a contact sheet; clear errors."""

from __future__ import annotations

from pathlib import Path

import av
import matplotlib.image
import numpy as np
import pytest

import numbered
from avbench.analysis.export import export
from avbench.cli import main
from avbench.media.decoding import frames_from
from avbench.media.frames import start_of
from avbench.media.sound import read_whole_sound, sound_stream
from avbench.perturbations.conditions import choose, perturb_picture, perturb_sound
from avbench.plugins.registry import installed
from numbered import number_in


def decoded(path: Path) -> tuple[list[av.VideoFrame], np.ndarray]:
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
    with av.open(str(path)) as file:
        sound = [frame.to_ndarray().astype(np.float64) for frame in file.decode(audio=0)]
    return frames, np.concatenate([piece[0] for piece in sound]) if sound else np.zeros(0)


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(getattr(file.streams, kind)[0]) if packet.size]


@pytest.fixture
def video(tiny: Path) -> Path:
    return tiny / "person0_RARV.mp4"


def test_pictures_are_perturbed_and_sound_is_copied(video: Path, tmp_path: Path) -> None:
    conditions = choose(["gaussian_noise", "video_compression", "contrast"], [0, 4], installed().perturbations())
    written = export(video, conditions, tmp_path)
    names = [f"person0_RARV-{name}-4.mp4" for name in ("gaussian_noise", "video_compression", "contrast")]
    assert [path.name for path in written] == [*names, "person0_RARV-contact-sheet.png"]
    source, _ = decoded(video)
    for path, condition in zip(written, conditions[1:], strict=False):
        assert condition is not None
        frames, _ = decoded(path)
        assert [f.time for f in frames] == [f.time for f in source]
        assert packets(path, "audio") == packets(video, "audio")
        if not condition.spec.whole_stream:
            expected = perturb_picture(condition, video.name, 7, source[7].to_ndarray(format="rgb24"))[0]
            difference = (frames[7].to_ndarray(format="rgb24") - expected.astype(float)) @ [0.299, 0.587, 0.114]
            assert np.abs(difference).mean() < 3, path.name  # chroma is halved, hardly anything else is lost
    sheet = matplotlib.image.imread(written[-1])
    assert (
        sheet.shape[0] > 300
        and sheet.shape[1] > 300
        and len(np.unique(sheet.reshape(-1, sheet.shape[2]), axis=0)) > 500
    )


def test_sound_is_perturbed_without_further_loss_and_pictures_are_copied(video: Path, tmp_path: Path) -> None:
    conditions = choose(["opus", "desync"], [5], installed().perturbations())
    _, source = decoded(video)
    for path, condition in zip(export(video, conditions, tmp_path), conditions[1:], strict=False):
        assert condition is not None
        assert packets(path, "video") == packets(video, "video")
        expected = perturb_sound(condition, video.name, source.astype(np.float32), 16_000)[0]
        _, sound = decoded(path)
        assert len(sound) == len(expected) and np.abs(sound / 32_768 - np.clip(expected, -1, 1)).max() < 2e-4


def test_babble_needs_voices_and_takes_them(
    video: Path, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["perturb", "--export", str(video), "--types", "babble", "--levels", "3", "--out", str(tmp_path)]
    assert main(words) == 2 and "--voices" in capsys.readouterr().err
    assert main([*words, "--voices", str(tiny / "person5_RARV.mp4")]) == 0
    assert str(tmp_path / "person0_RARV-babble-3.mp4") in capsys.readouterr().out


def test_sound_that_mp4_cannot_hold_goes_into_matroska(tmp_path: Path) -> None:
    source = tmp_path / "wave.mkv"
    with av.open(str(source), "w") as file:
        pictures, sound = file.add_stream("libx264", rate=25), file.add_stream("pcm_s16le", rate=16_000, layout="mono")
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for k in range(20):
            picture = np.full((48, 64, 3), 10 * k, np.uint8)
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(pictures.encode())
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 12_800), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 0
        file.mux(sound.encode(frame))
    (path, _) = export(source, choose(["contrast"], [1], installed().perturbations()), tmp_path / "out")
    assert path.name == "wave-contrast-1.mkv" and packets(path, "audio") == packets(source, "audio")


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), (b"no video", "--export: ")])
def test_a_file_that_cannot_be_read_is_told(
    content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.mp4"
    if content is not None:
        path.write_bytes(content)
    assert main(["perturb", "--export", str(path), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_missing_stream_is_told(real_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = str(real_root / "odd" / "no_audio.mp4")
    words = ["perturb", "--export", silent, "--levels", "5", "--out", str(tmp_path)]
    assert main([*words, "--types", "mp3"]) == 2 and "has no sound: mp3" in capsys.readouterr().err
    assert main([*words, "--types", "contrast"]) == 0


def test_rotated_video_is_written_upright(real_root: Path, tmp_path: Path) -> None:
    source = real_root / "odd" / "rotated_by_metadata.mp4"
    conditions = choose(["contrast", "video_compression"], [1], installed().perturbations())
    for path in export(source, conditions, tmp_path)[:2]:
        frames, _ = decoded(path)
        with av.open(str(source)) as file:
            first = next(file.decode(video=0))
        upright = np.rot90(first.to_ndarray(format="rgb24"), first.rotation // 90)
        assert first.rotation and (frames[0].height, frames[0].width) == upright.shape[:2] and frames[0].rotation == 0
        assert np.corrcoef(frames[0].to_ndarray(format="rgb24").ravel(), upright.ravel())[0, 1] > 0.95


SOURCES = {  # name: codecs of pictures and sound, seconds by which pictures and sound come late
    "full.mp4": ("libx264", "aac", 0.0, 0.0),
    "picture-late.mp4": ("libx264", "aac", 0.5, 0.0),
    "sound-late.mp4": ("libx264", "aac", 0.0, 0.3),
    "stream.ts": ("libx264", "aac", 0.0, 0.0),
    "bframes.mkv": ("libx264", "aac", 0.0, 0.0),
    "v.webm": ("libvpx", "libopus", 0.0, 0.0),
    "mpeg4.avi": ("mpeg4", "pcm_s16le", 0.0, 0.0),
    "film.mpg": ("mpeg2video", "mp2", 0.0, 0.0),
}


def between_burst_and_picture(path: Path) -> float:
    """Return how long after picture 25 the burst is heard (s)."""
    with av.open(str(path)) as file:
        stream, voice = file.streams.video[0], sound_stream(file)
        assert voice is not None
        zero = start_of(stream)
        shown = {number_in(f.to_ndarray(format="rgb24")): f.time - zero for f in frames_from(file, stream, 0.0)}
    assert set(shown) == set(range(50)), f"{path.name}: {sorted(set(range(50)) - set(shown))} are missing"
    with av.open(str(path)) as file:
        sound, rate = read_whole_sound(file, file.streams.audio[0], zero)
    return int(np.abs(sound).argmax()) / rate - shown[25]


@pytest.mark.parametrize("name", SOURCES)
def test_an_export_keeps_pictures_and_sound_together(name: str, tmp_path: Path) -> None:
    codec, voice, pictures_late, sound_late = SOURCES[name]
    options = {"g": "12", "bf": "3", "crf": "10"} if codec == "libx264" else {"g": "12", "b": "2000000"}
    options |= {"bf": "2"} if codec.startswith("mpeg") else {}
    source = numbered.write(tmp_path / name, codec, options, sound=voice)
    if pictures_late or sound_late:
        source = numbered.late(source, tmp_path / f"late-{name}", pictures=pictures_late, sound=sound_late)
    before = between_burst_and_picture(source)
    written = export(source, choose(["contrast", "white_noise"], [1], installed().perturbations()), tmp_path / "out")
    for path in written[:2]:
        assert abs(between_burst_and_picture(path) - before) < 5e-3, path.name
        with av.open(str(path)) as file:
            first = next(packet for packet in file.demux(video=0) if packet.size)
            assert first.is_keyframe, path.name


def test_what_no_container_takes_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = numbered.write(tmp_path / "v.webm", "libvpx", {"b": "500k"}, sound="libopus")
    monkeypatch.setattr("avbench.analysis.export.PICTURES_IN_MP4", {"vp8"})  # which MP4 cannot hold
    words = [
        "perturb",
        "--export",
        str(source),
        "--types",
        "white_noise",
        "--levels",
        "1",
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "--export: white_noise: vp8 cannot be written into MP4" in said and "Traceback" not in said


@pytest.mark.parametrize("turn", [(-1, 0, 0, 1), (0, 1, 1, 0)])
def test_a_mirrored_video_is_written_as_it_is_seen(turn: tuple[int, ...], tmp_path: Path) -> None:
    source = numbered.write(tmp_path / "plain.mp4", "libx264", {"crf": "4"}, sound="aac")
    data = bytearray(source.read_bytes())
    at = data.find(b"tkhd") + 44
    a, b, c, d = (65_536 * value for value in turn)
    data[at : at + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    source.write_bytes(bytes(data))
    seen = numbered.picture(7)[:, ::-1] if turn[0] else numbered.picture(7).transpose(1, 0, 2)
    for path in export(source, choose(["contrast", "video_compression"], [1], installed().perturbations()), tmp_path)[
        :2
    ]:
        frames, _ = decoded(path)
        assert np.corrcoef(frames[7].to_ndarray(format="rgb24").ravel(), seen.ravel())[0, 1] > 0.95
