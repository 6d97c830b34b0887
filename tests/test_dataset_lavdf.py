"""LAV-DF: its metadata become samples, whatever is broken in them is named, `check` compares with the files."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from avbench.data.splits import split
from avbench.errors import UserError
from avbench.types import Forgery
from avbench_lavdf.check import check
from avbench_lavdf.reader import scan

REAL = {
    "file": "dev/000001.mp4", "n_fakes": 0, "fake_periods": [], "duration": 4.128, "original": None,
    "modify_video": False, "modify_audio": False, "split": "dev", "video_frames": 100, "audio_channels": 1,
    "audio_frames": 64_000,
}  # fmt: skip
FAKE = REAL | {
    "file": "dev/000002.mp4", "n_fakes": 1, "fake_periods": [[1, 1.66]], "original": "dev/000001.mp4",
    "modify_audio": True,
}  # fmt: skip


def write(root: Path, *rows: Any, name: str = "metadata.min.json") -> Path:
    (root / name).write_text(json.dumps(list(rows)))
    return root


def test_a_row_becomes_a_sample(tmp_path: Path) -> None:
    real, fake = scan(write(tmp_path, REAL | {"transcript": "an unknown key"}, FAKE))
    assert (real.forgery, real.identity, real.cluster, real.fake_periods) == (0, REAL["file"], REAL["file"], ())
    assert (fake.id, fake.path) == ("dev/000002.mp4", tmp_path / "dev/000002.mp4")
    assert (fake.forgery, fake.split, fake.identity) == (Forgery.FARV, "validation", REAL["file"])
    assert fake.fake_periods == ((1.0, 1.66),)
    assert (fake.fps, fake.frames, fake.duration) == (25.0, 100, 4.0)  # not the 4.128 of the metadata


@pytest.mark.parametrize(
    ("video", "audio", "forgery"),
    [(True, False, Forgery.RAFV), (False, True, Forgery.FARV), (True, True, Forgery.FAFV)],
)
def test_the_two_flags_give_the_class(tmp_path: Path, video: bool, audio: bool, forgery: Forgery) -> None:
    [sample] = scan(write(tmp_path, FAKE | {"modify_video": video, "modify_audio": audio}))
    assert sample.forgery is forgery


def test_the_identity_is_the_root_of_a_chain_even_if_it_is_not_listed(tmp_path: Path) -> None:
    second = FAKE | {"file": "dev/000003.mp4", "original": FAKE["file"]}
    assert {s.identity for s in scan(write(tmp_path, second, FAKE, REAL))} == {REAL["file"]}
    assert {s.identity for s in scan(write(tmp_path, second, FAKE))} == {REAL["file"]}


@pytest.mark.parametrize(
    ("period", "kept"),
    [([3.5, 4.5], (3.5, 4.0)), ([4.2, 4.9], (3.96, 4.0)), ([0, 0.5], (0.0, 0.5))],
)
def test_periods_end_with_the_video(tmp_path: Path, period: list[float], kept: tuple[float, float]) -> None:
    [sample] = scan(write(tmp_path, FAKE | {"fake_periods": [period]}))
    assert sample.fake_periods == (kept,)


def test_the_long_metadata_serve_where_the_short_ones_are_missing(tmp_path: Path) -> None:
    assert len(scan(write(tmp_path, REAL, name="metadata.json"))) == 1
    assert len(scan(write(tmp_path, REAL, FAKE))) == 2  # the short ones come first
    with pytest.raises(UserError, match=r"metadata\.min\.json"):
        scan(tmp_path / "empty")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"original": ...}, "'original' is missing"),
        ({"fake_periods": None}, "'fake_periods' is None, expected list"),
        ({"video_frames": "100"}, "'video_frames' is '100', expected int"),
        ({"video_frames": 0}, "'video_frames' is 0"),
        ({"video_frames": 2**70}, f"'video_frames' is {2**70}, expected 1 to 90000"),
        ({"modify_audio": 1}, "'modify_audio' is 1, expected bool"),
        ({"split": "val"}, "'split' is 'val'"),
        ({"file": "../secret.mp4"}, "leaves the folder"),
        ({"file": "dev/../../secret.mp4"}, "leaves the folder"),
        ({"file": "/etc/passwd"}, "leaves the folder"),
        ({"file": "C:\\secret.mp4"}, "leaves the folder"),
        ({"file": "..\\secret.mp4"}, "leaves the folder"),
        ({"original": "../x.mp4"}, "leaves the folder"),
        ({"n_fakes": 0}, "'n_fakes', 'fake_periods' disagree"),
        ({"fake_periods": []}, "'n_fakes', 'fake_periods' disagree"),
        ({"modify_audio": False}, "'n_fakes', 'fake_periods' disagree"),
        ({"fake_periods": [[1.0]]}, r"'fake_periods' holds \[1.0\]"),
        ({"fake_periods": [["a", "b"]]}, "'fake_periods' holds"),
        ({"fake_periods": [[2.0, 1.0]]}, "expected 0 <= start <= end"),
        ({"original": "dev/000002.mp4"}, "its own origin"),
        ({"file": "dev/000001.mp4"}, "row 1 has 'dev/000001.mp4' with other values"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    row = {key: value for key, value in (FAKE | change).items() if value is not ...}
    with pytest.raises(UserError, match=rf"metadata\.min\.json, row 2: .*{message}.*correct or remove the row"):
        scan(write(tmp_path, REAL, row))


def test_a_file_that_is_not_a_list_of_objects_is_named(tmp_path: Path) -> None:
    for text, message in (("[{", "not valid JSON"), ("{}", "holds a dict"), ("[3]", "row 1: a int"), ("\xff", "JSON")):
        (tmp_path / "metadata.min.json").write_text(text, "latin-1")
        with pytest.raises(UserError, match=message):
            scan(tmp_path)


def test_a_repeated_row_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert [s.id for s in scan(write(tmp_path, REAL, FAKE, REAL))] == [REAL["file"], FAKE["file"]]
    assert "1 rows stand there twice" in caplog.text


def test_scanning_touches_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, *(REAL | {"file": f"dev/{n}.mp4"} for n in range(50)))
    stats: list[Path] = []
    before = Path.stat

    def counted(path: Path, **given: Any) -> Any:
        stats.append(path)
        return before(path, **given)

    monkeypatch.setattr(Path, "stat", counted)
    assert len(scan(tmp_path)) == 50
    assert {path.suffix for path in stats} <= {".json"}


def test_check_compares_with_files_and_official_counts(tmp_path: Path) -> None:
    odd = FAKE | {
        "file": "test/000004.mp4", "original": "dev/999999.mp4", "n_fakes": 2, "fake_periods": [[3.0, 4.2]],
        "audio_frames": 80_000,
    }  # fmt: skip
    crossing = FAKE | {"file": "train/000005.mp4", "split": "train"}
    write(tmp_path, REAL, FAKE, odd, crossing)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/000001.mp4").write_bytes(b"video")
    (tmp_path / "dev/000002.mp4").touch()
    (tmp_path / "demo dataset").mkdir()
    (tmp_path / "demo dataset/7.mp4").write_bytes(b"video")
    found = {(finding.level, finding.what) for finding in check(tmp_path)}
    assert found == {
        ("error", "2 files are missing: test/000004.mp4, train/000005.mp4"),
        ("error", "1 files are empty: dev/000002.mp4"),
        ("warning", "1 files are not in the metadata and are ignored: demo dataset/7.mp4"),
        ("warning", "1 rows name an original that is not listed: test/000004.mp4"),
        ("warning", "1 rows name an original of another split: train/000005.mp4"),
        ("warning", "1 rows lie in another folder than their split's: test/000004.mp4"),
        ("warning", "1 rows have more or fewer periods than n_fakes: test/000004.mp4"),
        ("warning", "1 rows have a period beyond the end of the video (it is cut there): test/000004.mp4"),
        ("warning", "1 rows have sound that differs from the video by over 3 frames: test/000004.mp4"),
        ("note", "train: 1 videos, official 78703"),
        ("note", "dev: 3 videos, official 31501"),
        ("note", "test: 0 videos, official 26100"),
        ("note", "real: 1 videos, official 36431"),
        ("note", "fake: 3 videos, official 99873"),
    }


def test_check_reports_a_broken_row(tmp_path: Path) -> None:
    [finding] = check(write(tmp_path, {}))
    assert finding.level == "error" and "row 1: key 'file' is missing" in finding.what


def test_the_miniature_of_real_faces(real_root: Path) -> None:
    root = real_root / "LAV-DF"
    samples = scan(root)
    assert Counter(s.forgery for s in samples) == dict(zip(Forgery, (30, 36, 36, 36), strict=True))
    assert Counter(s.split for s in samples) == {"train": 88, "validation": 28, "test": 22}
    assert all(s.path.is_file() for s in samples)
    assert all(s.frames and 50 <= s.frames <= 66 for s in samples)
    assert {s.identity for s in samples} == {s.id for s in samples if s.forgery is Forgery.RARV}
    assert all(0.29 < end - start < 0.69 for s in samples for start, end in s.fake_periods)
    parts = split(samples)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (88, 28, 22)
    assert {finding.level for finding in check(root)} == {"note"}
