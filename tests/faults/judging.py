"""A folder of recordings and the command that has the clock judge them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pandas as pd

from faults import forked
from making_media import recording

PLUGIN = Path(__file__).with_name("clock_detector.py")
OPTIONS = ["--no-mlflow", "--workers", "1", "--max-errors", "1", "--seed", "0"]


@cache
def short() -> bytes:
    """Return a recording that is sound, 1.2 s of it."""
    return recording("mp4", seen=1.2, heard=1.2)


def database(folder: Path, rows: Mapping[str, str]) -> Path:
    """Make a folder of files for `--data folder=`; `rows` are the test files by name, each with the forged period.

    The files themselves are there already; those for training and validation are added.
    """
    folder.mkdir(exist_ok=True)
    lines = ["path,label,identity,split,fake_start,fake_end"]
    for number, (label, part) in enumerate((a, b) for b in ("train", "validation") for a in ("real", "fake")):
        (folder / f"other{number}.mp4").write_bytes(short())
        lines.append(f"other{number}.mp4,{label},other{number},{part},,")
    for number, (name, period) in enumerate(rows.items()):
        lines.append(f'"{name}",{"fake" if period else "real"},p{number},test,{period or ","}')
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def judged(
    detector: str, data: Path, out: Path, *more: str, limit: float = forked.LIMIT
) -> tuple[pd.DataFrame, forked.Ended]:
    """Have a detector of the clock's judge the test files; return the scores and how the command ended."""
    words = ["run", "--detector", detector, "--plugin", str(PLUGIN), "--protocol", "within_folder"]
    ended = forked.run([*words, "--data", f"folder={data}", "--out", str(out), *OPTIONS, *more], limit=limit)
    assert ended.code == 0, ended.said
    (scores,) = (out / "runs").glob(f"{detector}-*/scores.parquet")
    return pd.read_parquet(scores), ended
