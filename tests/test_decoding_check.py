"""Every file is decoded to its end: sound ones say nothing, the others are named with what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np

from avbench.data.decoding_check import check_by_decoding, decode
from avbench.types import Forgery, Sample


def write(path: Path, sound: bool = True) -> Path:
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("mpeg4", rate=25)
        pictures.width = pictures.height = 32
        voice = file.add_stream("aac", rate=16_000, layout="mono") if sound else None
        for number in range(10):
            picture = np.full((32, 32, 3), 20 * number, np.uint8)
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(pictures.encode(None))
        if voice is not None:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 6400), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            file.mux(voice.encode(frame))
            file.mux(voice.encode(None))
    return path


def test_all_frames_are_counted(tmp_path: Path) -> None:
    found = decode(write(tmp_path / "a.mp4"))
    assert found["pictures"] == 10 and found["sound"] >= 7 and found["damaged"] == 0
    assert decode(write(tmp_path / "b.mp4", sound=False))["sound"] is None


def test_what_is_wrong_with_a_file_is_named(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mp4")
    write(tmp_path / "silent.mp4", sound=False)
    (tmp_path / "none.mp4").write_bytes(b"nothing")
    os.mkfifo(tmp_path / "pipe.mp4")
    raw = bytearray(whole.read_bytes())
    start = raw.index(b"mdat") + 4
    raw[start : start + 300] = bytes(300)
    (tmp_path / "damaged.mp4").write_bytes(raw)
    names = ("whole", "silent", "none", "pipe", "damaged", "absent")
    samples = [Sample(name, tmp_path / f"{name}.mp4", Forgery.FARV) for name in names]
    told = {f.where: (f.level, f.what) for f in check_by_decoding(samples, workers=0)}
    assert "whole" not in told and told["all"] == ("note", "6 files decoded")
    assert told["silent"] == ("warning", "has no sound, though they are said to be fake")
    assert told["none"][0] == "error" and told["none"][1].startswith("unreadable")
    assert "not an ordinary file" in told["pipe"][1] and told["absent"][1].startswith("missing_file")
    assert told["damaged"][0] in ("warning", "error")
