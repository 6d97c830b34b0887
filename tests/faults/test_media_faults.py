"""Damaged media files: every one is a row with a score or a reason, in bounded time and memory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from avbench.types import Reason
from faults.counting import Tally, times
from faults.forked import LIMIT
from faults.judging import database, judged
from faults.mutations import mutated
from making_media import recording

CONTAINERS = {"mp4": "mp4", "matroska": "mkv", "webm": "webm", "avi": "avi", "mpegts": "ts", "wav": "wav", "mp3": "mp3"}
SOUND_ALONE = ("wav", "mp3")
A_FILE = 2.0  # seconds of the whole, on average: what takes longer hangs
MOST_MEMORY = 4e6  # kB, of any process
MOST_CLIPS = 200  # of a file of a second


@pytest.mark.parametrize("detector", ["clock", "ear"])
def test_every_damaged_file_is_a_row(detector: str, tmp_path: Path, tally: Tally) -> None:
    each = times(3, 220)
    data = tmp_path / "data"
    data.mkdir()
    names = []
    for container, ending in CONTAINERS.items():
        if container in SOUND_ALONE and detector == "clock":
            continue
        sound = recording(container, seen=0 if container in SOUND_ALONE else 1.2, heard=1.2)
        for number in range(each):
            names.append(f"{ending}{number}.{ending}")
            (data / names[-1]).write_bytes(mutated(sound, container, number + (detector == "ear") * 10_000))
    table, ended = judged(
        detector, database(data, dict.fromkeys(names, "")), tmp_path / "out", limit=LIMIT + len(names) * A_FILE
    )
    assert set(table["id"]) == set(names), "every file has a row"
    scored = table["score"].notna()
    assert table[scored]["score"].between(0, 1).all() and (table[scored]["reason"] == "").all()
    assert set(table[~scored]["reason"]) <= {str(reason) for reason in Reason}
    assert table.groupby("id").size().max() <= MOST_CLIPS
    assert ended.memory < MOST_MEMORY, f"{ended.memory / 1e6:.1f} GB"
    reasons = Counter(table[~scored].groupby("id")["reason"].first())
    counts = ", ".join(f"{n} `{reason}`" for reason, n in reasons.most_common())
    whole = len(names) - sum(reasons.values())
    seen = f"{whole} scored, {counts}; {ended.memory / 1e6:.1f} GB at most, {ended.seconds:.0f} s"
    tally(f"Damaged media files, {'pictures and sound' if detector == 'clock' else 'sound'}", len(names), seen)
