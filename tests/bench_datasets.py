"""Times listing and placing at the official sizes: 136,304 rows of LAV-DF, 21,566 of FakeAVCeleb."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from avbench.data.placement import oracle, sliding
from avbench.data.splits import split
from avbench.hashing import stable_hash
from avbench.types import ClipSpec, Sample
from avbench_fakeavceleb import reader as fakeavceleb
from avbench_lavdf import reader as lavdf

SPLIT_SIZES = {"train": 78_703, "dev": 31_501, "test": 26_100}


def write_lavdf(root: Path, sizes: dict[str, int]) -> Path:
    """Write metadata like the official ones: each real video followed by three or fewer fakes of it."""
    rows: list[dict[str, Any]] = []
    for part, size in sizes.items():
        for number in range(size):
            kind, frames = number % 4, 60 + stable_hash(part, number) % 400
            start = stable_hash(part, number, "start") % 1000 / 1000 * (frames / 25 - 1)
            rows.append(
                {
                    "file": f"{part}/{len(rows):06d}.mp4",
                    "n_fakes": int(kind > 0),
                    "fake_periods": [[start, start + 0.65]] if kind else [],
                    "duration": frames / 25 + 0.128,
                    "original": f"{part}/{len(rows) - kind:06d}.mp4" if kind else None,
                    "modify_video": bool(kind & 1),
                    "modify_audio": bool(kind & 2),
                    "split": part,
                    "video_frames": frames,
                    "audio_channels": 1,
                    "audio_frames": frames * 640,
                }
            )
    (root / "metadata.min.json").write_text(json.dumps(rows))
    return root


def write_fakeavceleb(root: Path, size: int, identities: int) -> Path:
    """Write a table like the official one, with its unnamed tenth column."""
    types = list(fakeavceleb.TYPES)
    with (root / fakeavceleb.TABLE).open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow([*fakeavceleb.COLUMNS, "path", ""])
        for number in range(size):
            person, kind = number % identities, number // identities % 4
            race, gender = fakeavceleb.RACES[person % 5], ("men", "women")[person // 5 % 2]
            folder = f"FakeAVCeleb/{types[kind]}/{race}/{gender}/id{person:05d}"
            target = f"id{(person + 7) % identities:05d}"
            row = [f"id{person:05d}", target, "-", "wav2lip", "ABCD"[kind], types[kind], race, gender]
            table.writerow([*row, f"{number:05d}.mp4", folder])
    return root


@pytest.fixture(scope="module")
def lavdf_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lavdf(tmp_path_factory.mktemp("lavdf"), SPLIT_SIZES)


@pytest.fixture(scope="module")
def lavdf_test(lavdf_root: Path) -> list[Sample]:
    return [sample for sample in lavdf.scan(lavdf_root) if sample.split == "test"]


def test_scan_lavdf(benchmark: Callable[..., Any], lavdf_root: Path) -> None:
    assert len(benchmark(lavdf.scan, lavdf_root)) == 136_304


def test_scan_fakeavceleb(benchmark: Callable[..., Any], tmp_path: Path) -> None:
    assert len(benchmark(fakeavceleb.scan, write_fakeavceleb(tmp_path, 21_566, 500))) == 21_566


def test_split_lavdf(benchmark: Callable[..., Any], lavdf_root: Path) -> None:
    samples = lavdf.scan(lavdf_root)
    assert len(benchmark(split, samples).test) == 26_100


def test_labelled(benchmark: Callable[..., Any], lavdf_test: list[Sample]) -> None:
    assert len(benchmark(oracle, lavdf_test, ClipSpec(), 1)) == 26_100


def test_sweep(benchmark: Callable[..., Any], lavdf_test: list[Sample]) -> None:
    assert len(benchmark(sliding, lavdf_test, ClipSpec(), None, 1)) > 26_100 * 5
