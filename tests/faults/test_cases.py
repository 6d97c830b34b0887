"""Recordings that real cameras, browsers and editors make and that once gave wrong clips: each shows the time it is.

What else went wrong once has its tests elsewhere: results that outlived a change of label, file or code, and files that
came back (tests/test_integrity.py); linked folders and endings that were left out (tests/test_dataset_folder.py).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from avbench.analysis.export import export
from avbench.perturbations.conditions import choose
from avbench.plugins.registry import installed
from faults.clock_detector import SPAN
from faults.counting import SHARE, Tally
from faults.judging import database, judged
from making_media import picture, recording, tone, with_box_value

SECONDS = 2.4
PICTURE = 0.15  # seconds: a second is twenty steps of brightness, and codecs miss one or two
SOUND = 0.03


def two_tracks(first_seen: float, first_heard: float, *, default: bool) -> bytes:
    """Return Matroska with a still picture and commentary (of other times) before the film and the voice."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as file:
        films = [file.add_stream("libx264", rate=25) for _ in range(2)]
        voices = [file.add_stream("aac", rate=48_000, layout="mono") for _ in range(2)]
        for film in films:
            film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        for kind in (films, voices):
            kind[0].disposition = av.stream.Disposition(0)
            kind[1].disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
        for number in range(round(SECONDS * 25)):
            for film, first in zip(films, (first_seen, 0.0), strict=True):
                frame = av.VideoFrame.from_ndarray(picture(first + number / 25), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                file.mux(film.encode(frame))
        for film in films:
            file.mux(film.encode())
        for voice, first in zip(voices, (first_heard, 0.0), strict=True):
            sound = (tone(first, SECONDS, 48_000) * 32_767).astype(np.int16)[None]
            heard = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 48_000, 0, Fraction(1, 48_000)
            file.mux(voice.encode(heard))
            file.mux(voice.encode())
    return buffer.getvalue()


def antiphase() -> bytes:
    """Return an MP4 whose right channel is the left one upside down: mono is silence."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as file:
        film = file.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        sound = file.add_stream("pcm_s16le", rate=16_000, layout="stereo")
        for number in range(round(SECONDS * 25)):
            file.mux(film.encode(av.VideoFrame.from_ndarray(picture(number / 25), format="rgb24")))
        file.mux(film.encode())
        left = (tone(0.0, SECONDS, 16_000) * 32_767).astype(np.int16)
        both = np.stack([left, -left], axis=1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate = 16_000
        file.mux(sound.encode(frame))
        file.mux(sound.encode())
    return buffer.getvalue()


def damaged_middle() -> bytes:
    """Return an MP4 whose pictures from the second second on are zeros up to the last one."""
    good = bytearray(recording("mp4", seen=SECONDS, heard=SECONDS))
    start = good.find(b"mdat") + 4
    size = int.from_bytes(good[start - 8 : start - 4])
    good[start + size // 4 : start + 3 * size // 4] = bytes(3 * size // 4 - size // 4)
    return bytes(good)


WHOLE = {"seen": SECONDS, "heard": SECONDS}
STREAMED: dict[str, Callable[[], bytes]] = {
    f"streamed.{ending}": lambda container=container: recording(container, **WHOLE, streamed=True)
    for container, ending in (("webm", "webm"), ("matroska", "mkv"), ("avi", "avi"), ("mpegts", "ts"))
}
# Names, and what makes each: all show and sound their time from 0 s on.
CASES: dict[str, Callable[[], bytes]] = {
    **STREAMED,
    "wrong length.mp4": lambda: with_box_value(recording("mp4", **WHOLE), b"mdhd", 12_800),
    "outlasts.mkv": lambda: recording("matroska", seen=SECONDS, heard=SECONDS + 2),
    "outlasts.flv": lambda: recording("flv", seen=SECONDS, heard=SECONDS + 2, rate=44_100),
    "appended.ts": lambda: recording("mpegts", **WHOLE) + recording("mpegts", **WHOLE, first=SECONDS),
    "default track.mkv": lambda: two_tracks(9.0, 9.0, default=True),
    "12:30 interview.mp4": lambda: recording("mp4", **WHOLE),
    "file:x.mp4": lambda: recording("mp4", **WHOLE),
    " blank.mp4": lambda: recording("mp4", **WHOLE),
    "-x.mp4": lambda: recording("mp4", **WHOLE),
    "e\u0301.mp4": lambda: recording("mp4", **WHOLE),  # on disk; the table has one sign
}
CLIPS = {"appended.ts": 2 * SECONDS}


def wrong(rows: pd.DataFrame, seconds: float) -> str:
    """Say how clips of a file do not cover it, or show or sound another time than theirs; empty where all is right."""
    if rows["score"].isna().any():
        return f"no score: {sorted(set(rows['reason']))}"
    if rows["start"].min() > 0.1 or rows["end"].max() < seconds - 0.3:
        return f"clips from {rows['start'].min():.2f} to {rows['end'].max():.2f} s"
    seen, heard = ((rows[name] * SPAN - rows["start"]).abs().max() for name in ("p_video", "p_audio"))
    return f"seen {seen:.3f} s, heard {heard:.3f} s off" if seen > PICTURE or heard > SOUND else ""


@pytest.mark.skipif(not SHARE, reason="in the long form")
def test_every_clip_shows_and_sounds_its_time(tmp_path: Path, tally: Tally) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, make in CASES.items():
        (data / name).write_bytes(make())
    (data / "antiphase.mkv").write_bytes(antiphase())
    (data / "damaged.mp4").write_bytes(damaged_middle())
    exported = {}
    for ending in ("mkv", "webm", "ts"):
        source = tmp_path / f"source.{ending}"
        source.write_bytes(recording({"mkv": "matroska", "ts": "mpegts"}.get(ending, ending), **WHOLE))
        (made,) = (
            path
            for path in export(source, choose(["white_noise"], [1], installed().perturbations()), tmp_path / ending)
            if path.suffix in (".mp4", ".mkv", ".webm")
        )
        exported[f"exported {ending}{made.suffix}"] = made.read_bytes()
        (data / f"exported {ending}{made.suffix}").write_bytes(made.read_bytes())
    names = [*CASES, "antiphase.mkv", "damaged.mp4", *exported]
    listed = {"\u00e9.mp4" if name == "e\u0301.mp4" else name: "" for name in names}
    table, ended = judged("clock", database(data, listed), tmp_path / "out", "--placement", "sliding")
    by_name = {str(name): rows for name, rows in table.groupby("id")}
    assert by_name.keys() == listed.keys()
    shown = [name for name in listed if name not in ("antiphase.mkv", "damaged.mp4")]
    told = {name: wrong(by_name[name], CLIPS.get(name, SECONDS)) for name in shown}
    assert {name: what for name, what in told.items() if what} == {}
    silent = by_name["antiphase.mkv"]
    assert (silent["level_db"] == -np.inf).all() or (silent["level_db"] < -80).all()
    hurt = by_name["damaged.mp4"]
    scored = hurt[hurt["score"].notna()]
    moved = (scored["p_video"] * SPAN - scored["start"]).abs() > 0.5
    told = scored["frozen"] > 0  # clips that begin before the damage ends show the picture before it, and say so
    assert set(hurt[hurt["score"].isna()]["reason"]) <= {"unreadable"} and not (moved & ~told).any(), hurt
    assert "silent" in ended.said.lower()
    tally(
        "Recordings that once gave wrong clips", len(names), "each clip shows and sounds its own time, or says why not"
    )


@pytest.mark.skipif(not SHARE, reason="waits for time limits")
def test_a_file_that_blocks_costs_itself_alone(tmp_path: Path, tally: Tally) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "sound.mp4").write_bytes(recording("mp4", seen=1.2, heard=1.2))
    os.mkfifo(data / "blocks.mp4")
    table, _ = judged("clock", database(data, {"sound.mp4": "", "blocks.mp4": ""}), tmp_path / "out", limit=600)
    blocked = table[table["id"] == "blocks.mp4"]
    assert blocked["score"].isna().all() and table[table["id"] == "sound.mp4"]["score"].notna().all()
    tally("A file whose opening blocks", 1, f"`{blocked['reason'].iloc[0]}`")
