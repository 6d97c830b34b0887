"""What one media file may take: time in all, memory; and whose fault an error is, the file's or the code's."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from avbench.data.blame import blamed
from avbench.data.file_times import FileTimes
from avbench.data.lengths import probe_files
from avbench.data.loading import Loading, load_batches
from avbench.data.memory import GIB, bounded, ran_out
from avbench.data.requests import ClipRequest
from avbench.data.scanning import REASON, scan_files
from avbench.engine.failures import FailureBudget
from avbench.errors import UserError
from avbench.hookspecs import hookimpl
from avbench.plugins.registry import installed
from avbench.types import Clip, ClipSpec, Forgery, MediaError, MediaInfo, Reason, Sample

SPEC = ClipSpec(frames=4, size=16, audio_samples=100)
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux")


class Odd:
    """Makes clips by the names of files: some hang, are slow, are greedy or wrong; `opened` counts tries."""

    def __init__(self, log: Path) -> None:
        self.log = log

    @hookimpl
    def avbench_decode(self, path: Path, start: float, spec: ClipSpec) -> Clip | None:
        with self.log.open("a") as file:
            file.write(f"{path.stem}\n")
        match path.stem:
            case "hang":
                time.sleep(1000)
            case "slow":
                time.sleep(0.4)
            case "greedy":
                np.ones(GIB, np.uint8)
            case "wrong":
                raise TypeError("'>=' not supported between instances of 'NoneType' and 'int'")
            case "setting":
                raise UserError("--set clip.size: no such model")
            case "real":
                return None
        frames = np.zeros((4, 16, 16, 3), np.uint8)
        return Clip(frames, np.zeros(100, np.float32), 4, 100, True, True, start, start + spec.seconds)

    def count(self, stem: str) -> int:
        return self.log.read_text().split().count(stem)


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Odd]:
    plugin = Odd(tmp_path / "log")
    installed().manager.register(plugin)
    yield plugin
    installed().manager.unregister(plugin)


def clips_of(stem: str, count: int, size: int = 4) -> list[list[ClipRequest]]:
    """Return batches of requests for `count` clips of one file, each beside as many of a sound one."""
    names = [name for _ in range(count) for name in (stem, "sound")]
    requests = [
        ClipRequest(Sample(name, Path(f"{name}.x"), Forgery.RARV), Forgery.RARV, start=k / 10)
        for k, name in enumerate(names)
    ]
    return [requests[k : k + size] for k in range(0, len(requests), size)]


loaded_by = partial(load_batches, spec=SPEC, requires=frozenset({"video"}), workers=2)


def test_a_file_that_hangs_costs_two_limits_however_many_clips_it_has(odd: Odd) -> None:
    loaded = list(loaded_by(clips_of("hang", 30), time_limit=5.0))
    failures = [failure for one in loaded for failure in one.failures]
    assert [(f.request.sample.id, f.reason) for f in failures] == [("hang", Reason.DECODER_TIMEOUT)] * 30
    assert sum(len(one.requests) for one in loaded) == 30, "what lies beside it is loaded"
    assert odd.count("hang") <= 4, "opened by each worker, by one that was restarted, and once alone"


def test_a_file_that_is_slow_with_every_clip_has_a_bound_in_all(odd: Odd) -> None:
    loaded = list(loaded_by(clips_of("slow", 30), time_limit=60.0, files=FileTimes(2.0)))
    failed = [failure for one in loaded for failure in one.failures]
    assert 15 <= len(failed) <= 25 and {f.reason for f in failed} == {Reason.DECODER_TIMEOUT}
    assert "--file-seconds" in failed[0].message and 5 <= odd.count("slow") <= 15


def test_a_long_film_may_take_longer_and_a_header_cannot_claim_that(tmp_path: Path) -> None:
    def info(seconds: float, size: int) -> MediaInfo:
        return MediaInfo(seconds, 25.0, 1, True, True, size)

    film, liar, hung = tmp_path / "film", tmp_path / "liar", tmp_path / "hung"
    lost = MediaError(Reason.DECODER_TIMEOUT, "loading took longer")
    files = FileTimes.after_probing(300.0, {film: info(3600, 10**9), liar: info(2000, 16_000), hung: lost})
    assert [files.allowed(path) for path in (film, liar)] == pytest.approx([300 + 3600 * 10, 300 + 16 * 10])
    for _ in range(3600):
        files.count(film, 9.0)  # seconds for each clip of a second
    assert list(files.given_up) == [hung]


@linux
def test_a_file_that_takes_too_much_memory_costs_its_clip_only(odd: Odd) -> None:
    (one,) = loaded_by(clips_of("greedy", 2), memory=0.5)
    assert [f.reason for f in one.failures] == [Reason.OUT_OF_MEMORY] * 2 and len(one.requests) == 2
    assert "--file-memory" in one.failures[0].message
    (one,) = loaded_by(clips_of("greedy", 2), memory=2)
    assert not one.failures


@linux
def test_memory_is_bounded_beyond_what_is_held_whoever_asks_for_it() -> None:
    held = np.ones(GIB // 4, np.uint8)
    asking = (
        lambda: np.ones(GIB // 2, np.uint8),
        lambda: cv2.resize(np.zeros((99, 99, 3), np.uint8), (20_000, 20_000)),
        lambda: av.VideoFrame(12_000, 12_000, "rgb24"),
    )
    for ask in asking:
        with pytest.raises((MemoryError, cv2.error, av.FFmpegError)) as raised, bounded(0.25):
            np.ones(GIB // 8, np.uint8)
            ask()
        assert ran_out(raised.value)
        ask()
    del held


def lying_wav(path: Path) -> Path:
    """Write 16 kB that say they are sampled at a rate for which a resampler needs 100 MB."""
    rate, data = 767_999, bytes(range(256)) * 63
    about = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    body = about + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def huge_picture(path: Path) -> Path:
    """Write a video of a few kB whose one picture takes 400 MB."""
    with av.open(str(path), "w", format="mov") as file:
        stream = file.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 12_000, 12_000, "gray"
        picture = av.VideoFrame.from_ndarray(np.zeros((12_000, 12_000), np.uint8), format="gray")
        file.mux([*stream.encode(picture), *stream.encode()])
    return path


def tell_reasons(folder: str) -> None:
    """Print why files that lie cannot be read, in little memory and in as much as is usual."""
    paths = [lying_wav(Path(folder, "lie.wav")), huge_picture(Path(folder, "huge.mov"))]
    requests = [ClipRequest(Sample(p.name, p, Forgery.RARV), Forgery.RARV, start=0.0) for p in paths]
    for bound in ({"memory": 0.02}, {}):
        (one,) = load_batches([requests], SPEC, frozenset(), workers=1, **bound)
        print(*(failure.reason for failure in one.failures), sep=",")


@linux
def test_files_that_lie_about_their_size_are_out_of_memory(tmp_path: Path) -> None:
    """In a new process: one that ran other tests has so much freed memory in hand that it need not ask for more."""
    code = f"import runpy; runpy.run_path({__file__!r})['tell_reasons']({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == ["out_of_memory,out_of_memory", ""], done.stderr


def test_what_hangs_when_it_is_measured_is_not_opened_to_be_judged(odd: Odd) -> None:
    lost = MediaError(Reason.DECODER_TIMEOUT, "hang.x: loading took longer than 60 s")
    files = FileTimes.after_probing(300.0, {Path("hang.x"): lost})
    loaded = list(loaded_by(clips_of("hang", 8), files=files))
    assert {(f.reason, f.message) for one in loaded for f in one.failures} == {(lost.reason, str(lost))}
    assert odd.count("hang") == 0 and sum(len(one.requests) for one in loaded) == 8


def _scan(path: Path) -> dict[str, Any]:
    match path.name:
        case "hang":
            time.sleep(1000)
        case "slow":
            time.sleep(0.7)
        case "greedy":
            np.ones(GIB, np.uint8)
        case "wrong":
            raise KeyError("own")
        case "library":
            cv2.resize(np.zeros((0, 0), np.uint8), (1, 1))
    return {"found": 1}


@pytest.mark.slow
def test_files_that_are_scanned_have_their_own_time_and_reasons(tmp_path: Path) -> None:
    names = ("hang", "slow", "greedy", "wrong", "library", "sound")
    paths = [tmp_path / name for name in names]
    slow = [tmp_path / "slow" / str(k) / "slow" for k in range(7)]
    found = scan_files([*paths, *slow], _scan, "test", workers=1, time_limit=2.0, memory=0.5)
    reasons = {name: found[tmp_path / name].get(REASON) for name in names}
    greedy = "out_of_memory" if sys.platform == "linux" else None
    assert reasons == {
        "hang": "decoder_timeout", "slow": None, "greedy": greedy, "wrong": "bad_media", "library": "bad_media",
        "sound": None,
    }  # fmt: skip
    assert all(found[path] == {"found": 1} for path in slow), "eight take longer than one may"


def test_errors_are_blamed_on_whom_they_come_from() -> None:
    def told(error: Exception) -> tuple[Reason, bool]:
        try:
            raise error
        except Exception as raised:
            found, fault = blamed(raised, "a.mp4")
        assert not fault or (f"{Path(__file__)}:" in fault and fault in str(found))
        return found.reason, bool(fault)

    assert told(MediaError(Reason.NO_FACE, "a.mp4: no face")) == (Reason.NO_FACE, False)
    assert told(OSError(5, "Input/output error")) == (Reason.BAD_MEDIA, False)
    assert told(av.error.InvalidDataError(1, "invalid")) == (Reason.BAD_MEDIA, False)
    assert told(TypeError("none is no size")) == (Reason.BAD_MEDIA, True)
    assert told(av.error.MemoryError(12, "cannot allocate")) == (Reason.OUT_OF_MEMORY, False)


def test_an_error_that_no_file_is_to_blame_for_is_told_in_one_line(odd: Odd) -> None:
    samples = [Sample(f"{k}/wrong", Path(f"{k}/wrong.x"), Forgery.RARV) for k in range(9)]
    requests = [ClipRequest(sample, Forgery.RARV, start=0.0) for sample in samples]
    budget = FailureBudget(len(samples), Loading(max_errors=1.0))
    with pytest.raises(UserError, match=r"NoneType.*test_bounds\.py:\d+.*--set clip.*report") as raised:
        for one in loaded_by([requests[:2], requests[2:4], requests[4:]]):
            budget.note(one)
    assert "mend" not in str(raised.value) and "unreadable" not in str(raised.value) and "\n" not in str(raised.value)


def test_one_file_over_which_code_fails_is_a_row_and_too_many_are_told_of(odd: Odd) -> None:
    budget = FailureBudget(100, Loading())
    for one in loaded_by(clips_of("wrong", 4)):
        budget.note(one)
    assert budget.reasons == {"bad_media": 1}
    samples = [Sample(f"{k}/wrong", Path(f"{k}/wrong.x"), Forgery.RARV) for k in range(9)]
    with pytest.raises(UserError, match="not theirs: TypeError"):
        for one in loaded_by([[ClipRequest(sample, Forgery.RARV, start=0.0) for sample in samples]]):
            budget.note(one)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_plugin_says_that_its_user_can_mend_is_said(odd: Odd, workers: int) -> None:
    with pytest.raises(UserError, match=r"^--set clip\.size: no such model$"):
        list(load_batches(clips_of("setting", 1), SPEC, frozenset(), workers=workers))


def test_a_pipe_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "stalled.mp4")
    started = time.monotonic()
    (found,) = probe_files([tmp_path / "stalled.mp4"], workers=1).values()
    assert isinstance(found, MediaError) and found.reason == Reason.UNREADABLE and time.monotonic() - started < 50
