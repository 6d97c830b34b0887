"""A frame and its time do not depend on where reading began: every container, every way of ordering frames."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from avbench.media.decoding import frames_from
from avbench.media.frames import picture_stream, start_of
from avbench.media.placing import Place
from avbench.perturbations.open_clip import OpenClip
from avbench.types import ClipSpec, MediaError, Reason
from numbered import COUNT, late, number_in, picture, write

H264 = {"g": "12", "bf": "3", "crf": "10"}
MPEG = {"g": "12", "bf": "2", "b": "2000000"}
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "program.mpg": ("mpeg2video", MPEG),
    "old.mpg": ("mpeg1video", MPEG),
    "no-b.mpg": ("mpeg2video", MPEG | {"bf": "0"}),
    "disc.vob": ("mpeg2video", MPEG),
    "h264.vob": ("libx264", H264),
    "stream.ts": ("libx264", H264),
    "open.ts": ("libx264", H264 | {"x264-params": "open-gop=1"}),
    "refresh.ts": ("libx264", {"g": "12", "bf": "0", "x264-params": "intra-refresh=1"}),
    "mpeg2.ts": ("mpeg2video", MPEG),
    "mpeg4.avi": ("mpeg4", MPEG),
    "no-b.avi": ("mpeg4", MPEG | {"bf": "0"}),
    "h264.avi": ("libx264", H264),
    "film.flv": ("libx264", H264),
    "film.asf": ("mpeg4", MPEG | {"bf": "0"}),
    "raw.h264": ("libx264", H264),
    "film.mkv": ("libx264", H264),
    "open.mkv": ("libx264", H264 | {"x264-params": "open-gop=1"}),
    "film.mp4": ("libx264", H264),
    "open.mp4": ("libx264", H264 | {"x264-params": "open-gop=1"}),
    "refresh.mp4": ("libx264", {"g": "12", "bf": "0", "x264-params": "intra-refresh=1"}),
    "one-key.mp4": ("libx264", {"g": "250", "bf": "3"}),
    "mpeg4.mp4": ("mpeg4", MPEG),
}


def read(path: Path, start: float, count: int = COUNT) -> list[tuple[float, np.ndarray]]:
    """Return (seconds, picture) of frames on the screen from `start` on."""
    with av.open(str(path)) as container:
        stream = picture_stream(container)
        assert stream is not None
        zero = start_of(stream)
        frames = (f for f in frames_from(container, stream, start) if f.time - zero > start - 0.039)
        return [(float(f.time) - zero, f.to_ndarray(format="rgb24")) for f in islice(frames, count)]


@pytest.mark.parametrize("name", KINDS)
def test_sought_frames_are_those_of_a_decode_from_the_beginning(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, *KINDS[name])
    linear = read(path, 0.0)
    assert [number_in(shown) for _, shown in linear] == list(range(COUNT))
    assert np.allclose([time for time, _ in linear], np.arange(COUNT) / 25, rtol=0, atol=1e-3)
    for k in range(1, COUNT - 4, 3):
        for (time, shown), (expected, same) in zip(read(path, k / 25 + 0.02, 4), linear[k:], strict=False):
            assert abs(time - expected) < 1e-3 and np.array_equal(shown, same), (k, time, expected)


def test_edit_lists(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mp4", "libx264", H264, sound="aac")
    for path in (late(film, tmp_path / "late.mp4", pictures=0.5), late(film, tmp_path / "voice.mp4", sound=0.5)):
        for k in (0, 7, 13, 30):
            assert [number_in(shown) for _, shown in read(path, k / 25 + 0.02, 4)] == list(range(k, k + 4)), path.name


def test_times_of_decoding_in_a_container_of_times_are_put_right(tmp_path: Path) -> None:
    """Copied from an AVI, packets of Matroska can carry the order of decoding for the time of showing."""
    source, path = write(tmp_path / "film.mp4", "libx264", H264), tmp_path / "copied.mkv"
    with av.open(str(source)) as given, av.open(str(path), "w") as file:
        out = file.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(p for p in given.demux(video=0) if p.size):
            packet.pts = packet.dts = round(number / 25 / packet.time_base)
            packet.stream = out
            file.mux(packet)
    for k in (0, 7, 13, 30):
        assert [number_in(shown) for _, shown in read(path, k / 25 + 0.02, 4)] == list(range(k, k + 4))


def clip_at(path: Path, start: float) -> float | Reason:
    """Return the frozen share of the clip at `start`, or the reason why there is none."""
    try:
        return OpenClip(path, ClipSpec(frames=10, size=64, audio_samples=0), Place.start(start)).clean().frozen
    except MediaError as error:
        return error.reason


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts"])
@pytest.mark.parametrize("noise", [False, True])
def test_what_stands_still_before_damage_is_no_clip(name: str, noise: bool, tmp_path: Path) -> None:
    path = write(tmp_path / name, "libx264", {"g": "50"}, count=200)
    starts = np.arange(0.0, 7.6, 0.4)
    assert [clip_at(path, start) for start in starts] == [0.0] * len(starts)
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * 0.40), int(len(data) * 0.65)
    data[first:last] = np.random.default_rng(0).bytes(last - first) if noise else bytes(last - first)
    path.write_bytes(bytes(data))
    healthy = 0
    for start in starts:
        found = clip_at(path, start)
        if isinstance(found, Reason):
            assert found == Reason.UNREADABLE
            continue
        clip = OpenClip(path, ClipSpec(frames=10, size=64, audio_samples=0), Place.start(start)).clean()
        frames = clip.frames[: clip.valid_frames]
        still = sum(np.array_equal(a, b) for a, b in pairwise(frames)) / len(frames)
        assert still <= found + 0.4, (start, found, still)  # a frame may stay for twice its time; decoders fill up
        expected = np.stack([picture(round(start * 25) + k) for k in range(len(frames))])
        healthy += bool(np.abs(frames.astype(int) - expected).mean() < 40)
    assert healthy >= 5
