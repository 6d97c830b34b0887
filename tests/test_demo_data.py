"""The demo databases: official layouts, honest measurements, truth that agrees with what is seen and heard."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from avbench_demo import make as making
from avbench_demo.plan import plan_scenes, plan_subjects
from avbench_demo.plugin import VERSION
from avbench_demo.recipe import Recipe

DATABASES = ("LAV-DF", "FakeAVCeleb_v1.2")
OFFICIAL_FIELDS = [
    "file", "n_fakes", "fake_periods", "duration", "original", "modify_video", "modify_audio", "split",
    "video_frames", "audio_channels", "audio_frames",
]  # fmt: skip
NAMES = {
    ("real", "A"): r"\d{5}\.mp4",
    ("rtvc", "B"): r"\d{5}_fake\.mp4",
    ("wav2lip", "C"): r"\d{5}_id\d{5}_wavtolip\.mp4",
    ("faceswap", "C"): r"\d{5}_id\d{5}_\w{11}_faceswap\.mp4",
    ("fsgan", "C"): r"\d{5}_id\d{5}_\w{11}\.mp4",
    ("wav2lip", "D"): r"\d{5}_id\d{5}_wavtolip\.mp4",
    ("faceswap-wav2lip", "D"): r"\d{5}_id\d{5}_\w{11}_faceswap_id\d{5}_wavtolip\.mp4",
    ("fsgan-wav2lip", "D"): r"\d{5}_id\d{5}_\w{11}_id\d{5}_wavtolip\.mp4",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One file, looked at without the plugins."""

    path: Path
    forgery: int
    frames: int
    video_bytes: int
    sound: NDArray[np.float32]
    format: tuple[Any, ...]


def read_lavdf(root: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((root / "LAV-DF" / "metadata.min.json").read_text())
    return rows


def read_fakeav(root: Path) -> list[dict[str, str]]:
    with (root / "FakeAVCeleb_v1.2" / "meta_data.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def fakeav_path(row: dict[str, str]) -> Path:
    return Path("FakeAVCeleb_v1.2", *row[""].split("/")[1:], row["path"])


def sound_of(path: Path) -> NDArray[np.float32]:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def luma_of(path: Path) -> NDArray[np.uint8]:
    """Luma (T, 224, 224)."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray()[:224] for frame in container.decode(video=0)])


def measure(path: Path, forgery: int) -> Measured:
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        form = (
            video.codec_context.name, video.width, video.height, video.average_rate, video.pix_fmt,
            audio.codec_context.name, audio.rate, audio.channels, video.start_time, audio.start_time,
        )  # fmt: skip
        packets = [packet.size for packet in container.demux(video) if packet.size]
    return Measured(path, forgery, len(packets), sum(packets), sound_of(path), form)


@pytest.fixture(scope="module")
def files(demo_root: Path) -> dict[str, list[Measured]]:
    local = [(row["file"], row["modify_video"] + 2 * row["modify_audio"]) for row in read_lavdf(demo_root)]
    whole = [(fakeav_path(row), "ACBD".index(row["category"])) for row in read_fakeav(demo_root)]
    return {
        "LAV-DF": [measure(demo_root / "LAV-DF" / name, forgery) for name, forgery in local],
        "FakeAVCeleb_v1.2": [measure(demo_root / path, forgery) for path, forgery in whole],
    }


def auc(fake: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    return float((fake[:, None] > real).mean() + 0.5 * (fake[:, None] == real).mean())


def first_above(sound: NDArray[np.float32], level: float) -> int:
    return int(np.argmax(np.abs(sound) > level))


@pytest.mark.parametrize("database", DATABASES)
def test_no_simple_measurement_tells_real_from_fake(files: dict[str, list[Measured]], database: str) -> None:
    measurements = {
        "file size": lambda m: m.path.stat().st_size,
        "duration": lambda m: m.frames,
        "loudness": lambda m: np.sqrt(np.mean(m.sound**2)),
        "first sample above 5e-4": lambda m: first_above(m.sound, 5e-4),
        "first sample above 0.02": lambda m: first_above(m.sound, 0.02),
        "video bitrate": lambda m: m.video_bytes / m.frames,
    }
    forgery = np.array([m.forgery for m in files[database]])
    found = {}
    for name, one in measurements.items():
        values = np.array([float(one(m)) for m in files[database]])
        found[name] = round(auc(values[forgery > 0], values[forgery == 0]), 3)
    assert all(0.4 <= value <= 0.6 for value in found.values()), found


@pytest.mark.parametrize("database", DATABASES)
def test_every_file_is_a_proper_mp4(files: dict[str, list[Measured]], database: str) -> None:
    expected = ("h264", 224, 224, 25, "yuv420p", "aac", 16000, 1, 0, 0)
    for one in files[database]:
        assert one.format == expected, one.path
        assert 0 <= len(one.sound) - one.frames * 640 < 1024, one.path
        assert 37 <= one.frames <= 105, one.path
    short = {forgery: [m.frames < 80 for m in files[database] if m.forgery == forgery] for forgery in range(4)}
    assert all(0.05 < np.mean(shares) < 0.25 for shares in short.values()), short


def test_lavdf_metadata_is_the_official_one(demo_root: Path, files: dict[str, list[Measured]]) -> None:
    rows = read_lavdf(demo_root)
    by_file = {row["file"]: row for row in rows}
    folder = demo_root / "LAV-DF"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.mp4")} == set(by_file)
    assert Counter(row["split"] for row in rows) == {"train": 128, "dev": 32, "test": 80}
    for row, one in zip(rows, files["LAV-DF"], strict=True):
        assert list(row) == OFFICIAL_FIELDS
        assert re.fullmatch(rf"{row['split']}/\d{{6}}\.mp4", row["file"])
        assert row["video_frames"] == one.frames and row["audio_frames"] == len(one.sound)
        assert row["duration"] == pytest.approx(row["audio_frames"] / 16000 + 0.128, abs=5e-4)
        fake = row["modify_video"] or row["modify_audio"]
        assert row["n_fakes"] == len(row["fake_periods"]) == int(fake)
        if not fake:
            assert row["original"] is None
            continue
        source = by_file[row["original"]]
        assert source["original"] is None and source["split"] == row["split"]
        ((start, end),) = row["fake_periods"]
        assert 0.299 <= end - start <= 1.301 and start >= 0.0 and end <= one.frames / 25
    full = json.loads((folder / "metadata.json").read_text())
    assert [{key: row[key] for key in OFFICIAL_FIELDS} for row in full] == rows
    assert all(row["transcript"].split() == [word for word, _, _ in row["timestamps"]] for row in full)


def test_fakeav_metadata_is_the_official_one(demo_root: Path) -> None:
    folder = demo_root / "FakeAVCeleb_v1.2"
    header = (folder / "meta_data.csv").read_text().splitlines()[0]
    assert header == "source,target1,target2,method,category,type,race,gender,path,"
    rows = read_fakeav(demo_root)
    assert {path.relative_to(demo_root) for path in folder.rglob("*.mp4")} == {fakeav_path(row) for row in rows}
    assert len(rows) == len({fakeav_path(row) for row in rows})
    identities = {row["source"] for row in rows}
    sexes = {row["source"]: row["gender"] for row in rows}
    assert {(row["method"], row["category"]) for row in rows} == set(NAMES)
    for row in rows:
        assert row[""] == f"FakeAVCeleb/{row['type']}/{row['race']}/{row['gender']}/{row['source']}"
        assert re.fullmatch(NAMES[row["method"], row["category"]], row["path"]), row
        named = re.findall(r"id\d{5}", row["path"])
        assert named == [target for target in (row["target1"], row["target2"]) if target != "-"]
        assert set(named) <= identities and all(sexes[target] == row["gender"] for target in named)
        if "fsgan" in row["method"] or "faceswap" in row["method"]:
            assert row["target1"] != row["source"]
    strata = Counter((row["race"], row["gender"]) for row in rows if row["method"] == "rtvc")
    assert len(strata) == 10 and set(strata.values()) == {5}
    # A fold has one identity of each stratum: at least 10 real videos, 15 and more as a rule.
    real = Counter(row["source"] for row in rows if row["category"] == "A")
    assert Counter(real.values()) == {2: 40, 1: 10}


def test_nobody_appears_twice(demo_root: Path) -> None:
    speakers: dict[str, set[str]] = {}
    for row in read_lavdf(demo_root):
        truth = np.load(demo_root / "truth" / "LAV-DF" / Path(row["file"]).with_suffix(".npz"))
        speakers.setdefault(row["split"], set()).add(str(truth["speaker"]))
    assert {split: len(names) for split, names in speakers.items()} == {"train": 16, "dev": 4, "test": 10}
    assert len(set().union(*speakers.values())) == 30


def correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def loudness_curve(sound: NDArray[np.float32], frames: int) -> NDArray[np.float64]:
    return 10 * np.log10(np.mean(sound[: frames * 640].reshape(frames, 640) ** 2, axis=1) + 1e-7)


def test_truth_agrees_with_picture_and_sound(demo_root: Path, files: dict[str, list[Measured]]) -> None:
    opening, elsewhere, voice = [], [], []
    for database in DATABASES:
        for one in [m for m in files[database] if m.forgery == 0][::6]:
            truth = np.load((demo_root / "truth" / one.path.relative_to(demo_root)).with_suffix(".npz"))
            assert truth["au"].shape == (one.frames, 8) and truth["au"].min() >= 0 and truth["au"].max() <= 5
            assert list(truth["au_names"]) == ["AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26"]
            times = truth["phoneme_times"]
            assert len(times) == len(truth["phonemes"]) and np.allclose(times[1:, 0], times[:-1, 1])
            assert times[0, 0] == 0 and times[-1, 1] == pytest.approx(one.frames / 25)
            lips = truth["au"][:, 6]
            # An open mouth looks unlike a closed one, whatever filters do to brightness and contrast.
            mouth = luma_of(one.path)[:, 146:182, 96:128].reshape(one.frames, -1).astype(np.float64)
            closed = mouth[np.argsort(lips)[:5]].mean(axis=0)
            unlike = np.array([1.0 - correlation(shown, closed) for shown in mouth])
            opening.append(correlation(unlike, lips))
            elsewhere.append(max(correlation(unlike, np.roll(lips, lag)) for lag in (-4, -3, 3, 4)))
            voice.append(correlation(loudness_curve(one.sound, one.frames), lips))
    assert np.median(opening) > 0.5, opening
    assert np.mean(np.array(opening) > elsewhere) > 0.8, (opening, elsewhere)
    assert np.median(voice) > 0.5, voice


def test_forged_lips_belong_to_another_word(demo_root: Path) -> None:
    agreement: dict[bool, list[float]] = {False: [], True: []}
    for row in read_lavdf(demo_root):
        if not row["modify_video"] or row["modify_audio"]:
            continue
        ((start, end),) = row["fake_periods"]
        first, last = int(start * 25), int(end * 25)
        sound = sound_of(demo_root / "LAV-DF" / row["file"])
        heard = loudness_curve(sound, row["video_frames"])[first:last]
        for forged, file in ((True, row["file"]), (False, row["original"])):
            lips = np.load(demo_root / "truth" / "LAV-DF" / Path(file).with_suffix(".npz"))["au"][:, 6]
            agreement[forged].append(correlation(heard, lips[first:last]))
    assert np.mean(agreement[False]) > np.mean(agreement[True]) + 0.1, {k: np.mean(v) for k, v in agreement.items()}


def test_untouched_streams_are_untouched(demo_root: Path) -> None:
    folder = demo_root / "LAV-DF"
    edits = [row for row in read_lavdf(demo_root) if row["original"] is not None and row["split"] == "dev"]
    for row in edits:
        ((start, end),) = row["fake_periods"]
        if row["modify_audio"]:
            new, old = sound_of(folder / row["file"]), sound_of(folder / row["original"])
            change, first, last = np.abs(new - old), int(start * 16000), int(end * 16000)
            outside = np.delete(change, np.s_[max(first - 3000, 0) : last + 3000])
            assert change[first:last].mean() > 20 * outside.mean()
        else:
            assert np.array_equal(sound_of(folder / row["file"]), sound_of(folder / row["original"]))
        seen, source = luma_of(folder / row["file"]), luma_of(folder / row["original"])
        if row["modify_video"]:
            change = np.abs(seen.astype(int) - source)[:, 140:190, 80:144].mean(axis=(1, 2))
            first, last = int(start * 25), int(np.ceil(end * 25))
            assert change[first:last].mean() > 2 * np.delete(change, np.s_[max(first - 1, 0) : last + 1]).mean()
        else:
            assert np.array_equal(seen, source)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    recipe = Recipe.named("medium", "published")
    scenes = [replace(plan_scenes(recipe.edition)[0], seconds=1.6)]
    subject = plan_subjects(recipe.edition)[0]
    subjects = [replace(subject, takes=tuple((name, 1.6) for name, _ in subject.takes))]
    seen: list[tuple[int, int]] = []
    making.make(tmp_path / "one", scenes, subjects, recipe, 1)
    making.make(tmp_path / "two", scenes, subjects, recipe, 2, lambda done, total: seen.append((done, total)))
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two and len([name for name in one if name.endswith(".mp4")]) == seen[-1][0] == seen[-1][1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.parametrize(("age", "survivor"), [(1, "new"), (0, "old")])
def test_folder_is_replaced_only_when_outdated(tmp_path: Path, age: int, survivor: str) -> None:
    root, building = tmp_path / "demo", tmp_path / "building"
    for folder, name, version in ((root, "old", VERSION - age), (building, "new", VERSION)):
        folder.mkdir()
        (folder / "who").write_text(name)
        (folder / "demo.json").write_text(json.dumps({"version": version, "seed": 1}))
    making._put_in_place(building, root, {"version": VERSION, "seed": 1})
    assert (root / "who").read_text() == survivor
