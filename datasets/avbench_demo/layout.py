"""Write the metadata of both databases as the official archives have them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avbench_demo.plan import TYPES, Subject

_NOTICE = (
    "These are invented people, drawn and voiced by a program for trying out software.\n"
    "The layout is that of {name}; no clip of it is contained, and no number measured here says anything about it.\n"
)
_HEADER = ["source", "target1", "target2", "method", "category", "type", "race", "gender", "path", ""]


def write_lavdf(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write metadata.json, with words, and metadata.min.json, the fields every reader needs."""
    listed = sorted(rows, key=lambda row: str(row["file"]))
    extra = ("transcript", "timestamps")
    short = [{key: value for key, value in row.items() if key not in extra} for row in listed]
    (folder / "metadata.json").write_text(json.dumps(listed, indent=2))
    (folder / "metadata.min.json").write_text(json.dumps(short, separators=(",", ":")))
    (folder / "README.md").write_text(_NOTICE.format(name="LAV-DF"))


def lavdf_row(
    file: str,
    *,
    original: str | None,
    fake_periods: list[list[float]],
    modified: tuple[bool, bool],
    frames: int,
    samples: int,
    words: list[tuple[str, float, float]],
) -> dict[str, Any]:
    """One entry of metadata.json; modified is (video, audio), frames and samples as a decoder counts them."""
    return {
        "file": file,
        "n_fakes": len(fake_periods),
        "fake_periods": fake_periods,
        # The official field is this for every row, 0.128 s more than the sound lasts.
        "duration": round(samples / 16000 + 0.128, 3),
        "original": original,
        "modify_video": modified[0],
        "modify_audio": modified[1],
        "split": file.split("/")[0],
        "video_frames": frames,
        "audio_channels": 1,
        "audio_frames": samples,
        "transcript": " ".join(word for word, _, _ in words),
        "timestamps": [[word, round(start, 3), round(end, 3)] for word, start, end in words],
    }


def write_fakeav(folder: Path, subjects: Sequence[Subject]) -> None:
    """Write meta_data.csv: the tenth column has no name, `path` holds the file name and the tenth its folder."""
    lines = []
    for subject in subjects:
        entries = [("-", "-", "real", "A", name) for name, _ in subject.takes]
        entries += [(fake.target1, fake.target2, fake.method, fake.category, fake.name) for fake in subject.fakes]
        for target1, target2, method, category, name in entries:
            levels = [TYPES[category], subject.race, subject.gender]
            place = "/".join(["FakeAVCeleb", *levels, subject.identity])
            lines.append([subject.identity, target1, target2, method, category, *levels, name, place])
    lines.sort(key=lambda line: line[4])
    with (folder / "meta_data.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([_HEADER, *lines])
    (folder / "README.txt").write_text(_NOTICE.format(name="FakeAVCeleb"))
