"""Every decoder shows the frames that PyAV shows; where it would not, that is known, and PyAV decodes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest

from avbench.cli import main
from avbench.data.loading import load_batches
from avbench.data.requests import ClipRequest
from avbench.engine.evaluation import Loading
from avbench.errors import UserError
from avbench.media import decoders
from avbench.media.decoders import Seen, pictures_at, require_decoder
from avbench.media.decoding import decodable
from avbench.media.frames import picture_stream
from avbench.media.geometry import Upright
from avbench.perturbations.conditions import choose
from avbench.plugins.registry import installed
from avbench.types import ClipSpec, Forgery, Sample

EVEN = [i / 25 for i in range(50)]
UNEVEN = sorted({round(t, 3) for t in np.random.default_rng(0).uniform(0.02, 1.95, 36)} | {0.0})
EVENLY = {"g": "12", "sc_threshold": "0"}  # no key frames between
B_FRAMES = {**EVENLY, "bf": "3"}
TURN_90 = (0, 65_536, 0, -65_536, 0, 0, 0, 0, 1 << 30)  # a display matrix, in the 16.16 and 2.30 of MP4
ALONE, FEW = "key frames that do not stand for themselves", "an edit list that leaves out frames"


@dataclass(frozen=True)
class Kind:
    """A kind of file, why it is left to PyAV (by decoder, or by all), and what a decoder unguarded would show."""

    name: str
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: EVENLY | {"bf": "2"})
    container: dict[str, str] = field(default_factory=dict)
    stamps: Sequence[float] = tuple(EVEN)
    pixels: str = "yuv420p"
    size: tuple[int, int] = (64, 64)
    rate: Fraction = Fraction(25)
    time_base: int = 30_000
    cut: float = 0.0  # seconds that an edit list leaves out
    turned: bool = False
    left: str | dict[str, str] = ""
    unguarded: dict[str, str] | None = None


# What the decoders show when they are asked for frames by number and nothing is checked: "same" frames as PyAV, "other"
# ones, or they "fail". None: not tried.
SAME, WRONG = {"decord": "same", "torchcodec": "same"}, {"decord": "other", "torchcodec": "other"}
KINDS = {
    "plain": Kind("plain.mp4", unguarded=SAME),
    "b-frames": Kind("film.mkv", options=B_FRAMES, unguarded=SAME),
    "one key frame": Kind("one.mp4", options={"g": "250", "bf": "3"}, unguarded=SAME),
    "starts late": Kind("late.mp4", stamps=[t + 0.5 for t in EVEN], options=B_FRAMES, unguarded=SAME),
    "no edit list": Kind("noedit.mp4", options=B_FRAMES, container={"use_editlist": "0"}, unguarded=SAME),
    "fragments": Kind("frag.mp4", container={"movflags": "frag_keyframe+empty_moov"}, unguarded=SAME),
    "variable rate": Kind("variable.mp4", stamps=UNEVEN, unguarded=SAME),
    "variable rate, mkv": Kind("variable.mkv", stamps=UNEVEN, unguarded=SAME),
    "29.97": Kind(
        "ntsc.mp4", stamps=[i * 1001 / 30_000 for i in range(50)], rate=Fraction(30_000, 1001), unguarded=SAME
    ),
    "turned": Kind("turned.mp4", turned=True, size=(64, 96), unguarded=SAME),
    "4:4:4": Kind("yuv444.mp4", pixels="yuv444p", unguarded=SAME),
    "full range": Kind("full.mp4", pixels="yuvj420p", unguarded=SAME),
    "vp9": Kind(
        "vp9.webm", "libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "25", "g": "12", "cpu-used": "8"},
        unguarded=SAME,
    ),
    "hevc": Kind(
        "hevc.mp4", "libx265", {"x265-params": "keyint=12:bframes=3:open-gop=1:log-level=none"},
        left={"decord": "open groups of pictures"},
    ),
    "open groups": Kind("open.mp4", options={**B_FRAMES, "x264-params": "open-gop=1"}, left=ALONE,
                        unguarded={"decord": "other", "torchcodec": "same"}),
    "rolling refresh": Kind("refresh.mp4", options={**EVENLY, "bf": "0", "x264-params": "intra-refresh=1"},
                            left=ALONE, unguarded=WRONG),
    "near key frames": Kind("near.mp4", options={"g": "12", "bf": "3"}, container={"use_editlist": "0"},
                            left="key frames one upon another", unguarded=WRONG),
    "edit list": Kind("cut.mp4", options=B_FRAMES, container={"use_editlist": "0"}, cut=0.3, left=FEW,
                      unguarded={"decord": "other", "torchcodec": "same"}),
    "ten bits": Kind("ten.mp4", pixels="yuv420p10le", left="64 x 64 pixels of yuv420p10le", unguarded=WRONG),
    "mpeg-ts": Kind("stream.ts", options=B_FRAMES, left="container mpegts",
                    unguarded={"decord": "other", "torchcodec": "fails"}),
    "mpeg-2 in ts": Kind("mpeg2.ts", "mpeg2video", time_base=25, left="container mpegts"),
    "avi": Kind("mpeg4.avi", "mpeg4", {"g": "12"}, left="container avi"),
    "no loss": Kind("odd.mkv", "ffv1", {}, size=(72, 59), left="codec ffv1"),
    "vp8": Kind("vp8.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16"}, left="codec vp8"),
}  # fmt: skip
STARTS = (0.0, 0.11, 0.44, 0.52, 0.9137, 1.4, 1.9)


def write(kind: Kind, folder: Path) -> Path:
    """Write 50 pictures that each show their number."""
    path = folder / kind.name
    width, height = kind.size
    with av.open(str(path), "w", options=kind.container) as file:
        stream = file.add_stream(kind.codec, rate=kind.rate, options=kind.options)
        stream.width, stream.height, stream.pix_fmt = width, height, kind.pixels
        stream.codec_context.time_base = Fraction(1, kind.time_base)
        for number, stamp in enumerate(kind.stamps):
            picture = np.zeros((height, width, 3), np.uint8)
            picture[..., 0] = np.repeat(20 + 200 * ((number >> np.arange(8)) & 1), width // 8)
            picture[height // 2 :, :, 2] = np.linspace(0, 255, width) * (number % 4) / 3
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(stamp * kind.time_base), stream.codec_context.time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    if kind.cut:
        path = shifted(path, kind.cut)
    if kind.turned:
        data = bytearray(path.read_bytes())
        matrix = data.find(b"tkhd") + 44
        data[matrix : matrix + 36] = np.array(TURN_90, ">i4").tobytes()
        path.write_bytes(bytes(data))
    return path


def shifted(source: Path, seconds: float) -> Path:
    """Copy a file with the first seconds before time zero, where an edit list hides them."""
    path = source.with_stem("shifted")
    with av.open(str(source)) as given, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as file:
        stream = given.streams.video[0]
        out = file.add_stream_from_template(stream)
        for packet in given.demux(stream):
            if packet.dts is not None:
                by = round(seconds / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - by, packet.dts - by, out
                file.mux(packet)
    return path


@pytest.fixture(params=["decord", "torchcodec"])
def decoder(request: pytest.FixtureRequest) -> str:
    """Return the name of a decoder beside PyAV; skip with the reason where it is not here."""
    try:
        require_decoder(request.param)
    except UserError as error:
        pytest.skip(str(error))
    return str(request.param)


def seen(path: Path, start: float, decoder: str = "pyav", count: int = 12) -> list[Seen]:
    with av.open(str(path)) as container:
        stream = picture_stream(container)
        assert stream is not None
        return list(pictures_at(container, stream, start + (np.arange(count) + 0.5) / 25, decoder))


def alike(left: Sequence[Seen], right: Sequence[Seen]) -> bool:
    return len(left) == len(right) and all(
        (a.index, a.count) == (b.index, b.count) and np.array_equal(a.picture, b.picture)
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("name", KINDS)
def test_a_decoder_shows_pyavs_frames_or_leaves_the_file_to_it(
    name: str, decoder: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, left = write(KINDS[name], tmp_path), KINDS[name].left
    with caplog.at_level(logging.DEBUG, "avbench.media.decoders"):
        for start in STARTS:
            assert alike(seen(path, start, decoder), seen(path, start)), start
    expected = left.get(decoder, "") if isinstance(left, dict) else left
    reasons = {record.getMessage().partition(f"instead of {decoder}: ")[2] for record in caplog.records}
    assert all(reason.startswith(expected) for reason in reasons) and bool(reasons) == bool(expected), reasons


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.unguarded])
def test_what_a_decoder_would_show_unguarded(name: str, decoder: str, tmp_path: Path) -> None:
    """Each kind that is left to PyAV is so for a reason, and none is used that shows other frames."""
    path, kind = write(KINDS[name], tmp_path), KINDS[name]
    assert kind.unguarded is not None
    with av.open(str(path)) as container:
        upright, stream = Upright(), picture_stream(container)
        assert stream is not None
        frames = [upright(frame) for frame in decodable(container, stream)]
    came = "same"
    for first in range(0, len(frames) - 10, 3):
        try:
            theirs = BY_NUMBER[decoder](path, list(range(first, first + 10)))
        except Exception:
            came = "fails"
            break
        if not np.array_equal(theirs, np.stack(frames[first : first + 10])):
            came = "other"
    assert came == kind.unguarded[decoder]
    assert came == "same" or kind.left, "a decoder that shows other frames must be kept from this kind"


def _decord(path: Path, numbers: list[int]) -> np.ndarray:
    import decord

    return decord.VideoReader(str(path), num_threads=1).get_batch(numbers).asnumpy()


def _torchcodec(path: Path, numbers: list[int]) -> np.ndarray:
    from torchcodec.decoders import VideoDecoder

    return VideoDecoder(str(path), dimension_order="NHWC").get_frames_at(numbers).data.numpy()


BY_NUMBER: dict[str, Callable[[Path, list[int]], np.ndarray]] = {"decord": _decord, "torchcodec": _torchcodec}


def held_to_pyav(paths: Sequence[Path], decoder: str, caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    """Compare two stretches of each file; return why those were left to PyAV that were."""
    with caplog.at_level(logging.DEBUG, "avbench.media.decoders"):
        for path in paths:
            for start in (0.0, 0.7):
                assert alike(seen(path, start, decoder, 25), seen(path, start, count=25)), path
    parts = [record.getMessage().partition(f": decoded by PyAV instead of {decoder}: ") for record in caplog.records]
    return {Path(path).name: reason for path, _, reason in parts}


@pytest.mark.slow
def test_demo_videos_look_the_same(demo_root: Path, decoder: str, caplog: pytest.LogCaptureFixture) -> None:
    folders: dict[Path, list[Path]] = {}
    for path in sorted(demo_root.rglob("*.mp4")):
        folders.setdefault(path.parent, []).append(path)
    some = [path for paths in folders.values() for path in paths[:1]]
    assert len(some) >= 5 and held_to_pyav(some, decoder, caplog) == {}


def test_real_videos_look_the_same(real_root: Path, decoder: str, caplog: pytest.LogCaptureFixture) -> None:
    paths = [path for name in ("LAV-DF", "FakeAVCeleb_v1.2") for path in sorted((real_root / name).rglob("*.mp4"))]
    assert len(paths) == 235 and held_to_pyav(paths[::10], decoder, caplog) == {}


@pytest.mark.slow
def test_every_real_video_looks_the_same(real_root: Path, decoder: str, caplog: pytest.LogCaptureFixture) -> None:
    paths = [path for name in ("LAV-DF", "FakeAVCeleb_v1.2") for path in sorted((real_root / name).rglob("*.mp4"))]
    assert held_to_pyav(paths, decoder, caplog) == {}


def test_odd_videos_look_the_same(real_root: Path, decoder: str, caplog: pytest.LogCaptureFixture) -> None:
    broken = {"index.csv", "truncated_no_moov.mp4", "zero_byte.mp4", "text_file.mp4"}
    paths = [path for path in sorted((real_root / "odd").iterdir()) if path.name not in broken]
    assert len(paths) == 17
    assert held_to_pyav(paths, decoder, caplog) == {"mpeg4_mp3.avi": "container avi"}


def test_workers_load_the_same_clips_by_any_decoder(tiny: Path, decoder: str) -> None:
    asked = choose(["gaussian_noise", "video_compression", "opus"], [3], installed().perturbations())
    sample = Sample("v", tiny / "person0_FARV.mp4", Forgery.FARV, skip=0.08)
    requests = [ClipRequest(sample, Forgery.FARV, start=0.05, condition=condition) for condition in asked]
    broken = ClipRequest(replace(sample, id="b", path=tiny / "labels.csv"), Forgery.FARV, start=0.0)
    batches = [requests, requests[:1], requests[:2], [broken]]

    def loaded(workers: int, **more: Any) -> list[Any]:
        both = frozenset({"video", "audio"})
        return list(load_batches(batches, ClipSpec(size=48), both, workers=workers, **more))  # type: ignore[arg-type]

    for plain, other in zip(loaded(0), loaded(1, decoder=decoder), strict=True):
        assert [f.message for f in plain.failures] == [f.message for f in other.failures]
        if plain.batch is not None:
            assert np.array_equal(plain.batch.video, other.batch.video)
            assert np.array_equal(plain.batch.audio, other.batch.audio)
            assert repr(plain.changes) == repr(other.changes)  # a change that was not measured is nan


@pytest.mark.slow
def test_the_decoder_stands_in_ids_and_in_the_card(small_run: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("decord")
    plain, where = small_run(tmp_path / "runs")
    other, there = small_run(tmp_path / "runs", "--decoder", "decord")
    assert (plain.request.decoder, other.request.decoder) == ("pyav", "decord")
    assert plain.id != other.id and plain.training.id != other.training.id
    pd.testing.assert_frame_equal(*(pd.read_parquet(folder / "scores.parquet") for folder in (where, there)))
    small_run(tmp_path / "runs", "--decoder", "pyav")
    assert {path.name for path in (tmp_path / "runs" / "runs").iterdir()} == {plain.id, other.id}


def test_a_decoder_that_is_not_there_is_one_line(
    small_command: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def missing(name: str) -> str:
        raise decoders.PackageNotFoundError(name)

    monkeypatch.setattr(decoders, "version", missing)
    for name in ("decord", "torchcodec"):
        assert main(small_command(tmp_path / "runs", "--decoder", name)) == 2
        assert f"--decoder {name}: not installed; pip install 'avbench[{name}]'" in capsys.readouterr().err
    with pytest.raises(UserError, match="did you mean 'decord'"):
        Loading(decoder="decrod")


def test_a_decoder_that_cannot_be_loaded_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise RuntimeError("Could not load libtorchcodec.\n The following exceptions were raised\n and so on")

    monkeypatch.setattr(decoders, "version", lambda name: "0.13")
    monkeypatch.setattr(decoders, "import_module", broken)
    with pytest.raises(UserError, match=r"^--decoder torchcodec: it cannot be loaded .*FFmpeg.*leave --decoder out$"):
        Loading(decoder="torchcodec")
