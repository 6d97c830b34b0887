"""Batches from worker processes: the same whatever the number of workers, and whatever a decoder does to them."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor

from avbench.data import workers as processes
from avbench.data.loading import AHEAD, LoadedBatch, Loading, load_batches
from avbench.data.requests import ClipRequest
from avbench.engine.evaluation import load
from avbench.hookspecs import hookimpl
from avbench.plugins.registry import installed
from avbench.types import Clip, ClipSpec, Forgery, Reason, Sample, Stream

SPEC = ClipSpec(frames=4, size=16, audio_samples=100)
BOTH: frozenset[Stream] = frozenset({"video", "audio"})


class Decoder:
    """Makes clips from the names of files; some names are fatal."""

    def __init__(self, once: Path) -> None:
        self.once = once

    @hookimpl
    def avbench_decode(self, path: Path, start: float, spec: ClipSpec) -> Clip | None:
        match path.stem.split("_")[0]:
            case "exit":
                os._exit(3)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(1000)
            case "collect":
                gc.collect()
            case "raise":
                raise ZeroDivisionError("of the decoder")
            case "once":
                if not self.once.exists():
                    self.once.touch()
                    os._exit(1)
            case "silent":
                return Clip(frames_of(path), np.zeros(100, np.float32), 4, 0, True, False, start, start + spec.seconds)
        sound = np.random.default_rng(len(path.stem)).uniform(-1, 1, 100).astype(np.float32)
        return Clip(frames_of(path), sound, 4, 100, True, True, start, start + spec.seconds)


def frames_of(path: Path) -> np.ndarray:
    return np.random.default_rng(int(path.stem.split("_")[-1])).integers(0, 255, (4, 16, 16, 3), np.uint8)


@pytest.fixture(autouse=True, scope="module")
def alone() -> None:
    """End the idle processes that joblib keeps of earlier tests: here children are counted."""
    get_reusable_executor().shutdown(wait=True)
    assert not multiprocessing.active_children()


@pytest.fixture(autouse=True)
def decoder(tmp_path: Path) -> Iterator[None]:
    manager = installed().manager
    plugin = Decoder(tmp_path / "once")
    manager.register(plugin)
    yield
    manager.unregister(plugin)
    assert not multiprocessing.active_children()


def batches(*names: str, size: int = 4) -> list[list[ClipRequest]]:
    """Return batches of requests for clips called `clip_<n>`, with `names` spread among them."""
    stems = [f"clip_{n}" for n in range(4 * size)]
    for place, name in enumerate(names):
        stems[5 * place + 1] = f"{name}_{5 * place + 1}"
    requests = [
        ClipRequest(Sample(stem, Path(f"{stem}.x"), Forgery(n % 4)), Forgery(n % 4), start=n / 4, seed=n)
        for n, stem in enumerate(stems)
    ]
    return [requests[n : n + size] for n in range(0, len(requests), size)]


def assert_same(left: list[LoadedBatch], right: list[LoadedBatch]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert (one.requests, one.starts, one.ends) == (other.requests, other.starts, other.ends)
        assert one.batch is not None and other.batch is not None
        for name in ("video", "audio", "frames", "samples", "forgery", "has_audio", "has_video", "seed"):
            assert torch.equal(getattr(one.batch, name), getattr(other.batch, name)), name
        assert one.batch.ids == other.batch.ids


def test_the_number_of_workers_changes_nothing() -> None:
    here = list(load_batches(batches(), SPEC, BOTH, workers=0))
    assert [r for loaded in here for r in loaded.requests] == [r for batch in batches() for r in batch]
    assert here[1].starts == (1.0, 1.25, 1.5, 1.75) and here[1].batch is not None
    assert here[1].batch.seed.tolist() == [4, 5, 6, 7]
    for workers in (1, 2, 3):
        assert_same(here, list(load_batches(iter(batches()), SPEC, BOTH, workers=workers)))


def test_culprits_are_named_and_nobody_else_is_lost() -> None:
    names = ("exit", "killed", "hang")
    loaded = list(load_batches(batches(*names), SPEC, BOTH, workers=2, time_limit=2.0))
    failures = [failure for one in loaded for failure in one.failures]
    assert [(f.request.sample.id, f.reason) for f in failures] == [
        ("exit_1", Reason.DECODER_CRASH),
        ("killed_6", Reason.DECODER_CRASH),
        ("hang_11", Reason.DECODER_TIMEOUT),
    ]
    assert "exit code 3" in failures[0].message and "exit_1.x" in failures[0].message
    assert "SIGKILL" in failures[1].message and "2 s" in failures[2].message
    culprits = {"exit_1", "killed_6", "hang_11"}
    innocent = [[r for r in batch if r.sample.id not in culprits] for batch in batches(*names)]
    assert_same(loaded, list(load_batches(innocent, SPEC, BOTH, workers=0)))


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_decoder_raises_costs_its_clip_only(workers: int) -> None:
    loaded = list(load_batches(batches("raise", "silent"), SPEC, BOTH, workers=workers))
    assert [[(f.request.sample.id, f.reason) for f in one.failures] for one in loaded] == [
        [("raise_1", Reason.BAD_MEDIA)], [("silent_6", Reason.NO_AUDIO)], [], [],
    ]  # fmt: skip
    assert "ZeroDivisionError: of the decoder" in loaded[0].failures[0].message
    assert [len(one.requests) for one in loaded] == [3, 3, 4, 4]
    nothing = list(load_batches([batches("raise")[0][1:2]], SPEC, BOTH, workers=workers))
    assert nothing[0].batch is None and len(nothing[0].failures) == 1


def test_a_crash_that_does_not_come_again_loses_nothing() -> None:
    loaded = list(load_batches(batches("once"), SPEC, BOTH, workers=2))
    assert not any(one.failures for one in loaded)
    assert_same(loaded, list(load_batches(batches("once"), SPEC, BOTH, workers=0)))


def test_a_worker_killed_while_it_waits_loses_nothing() -> None:
    generator = load_batches(batches(), SPEC, BOTH, workers=2)
    loaded = [next(generator)]
    for child in multiprocessing.active_children():
        os.kill(child.pid or 0, signal.SIGKILL)
    loaded += generator
    assert_same(loaded, list(load_batches(batches(), SPEC, BOTH, workers=0)))


class Decoding:
    """Stands for an open decoder: to close it where its threads do not run is to hang."""

    def __init__(self) -> None:
        self.itself, self.process = self, os.getpid()

    def __del__(self) -> None:
        if os.getpid() != self.process:
            time.sleep(1000)


def test_workers_leave_the_garbage_of_their_parent_alone() -> None:
    gc.disable()
    try:
        Decoding()
        loaded = list(load_batches(batches("collect"), SPEC, BOTH, workers=2, time_limit=2.0))
    finally:
        gc.enable()
    assert not any(one.failures for one in loaded)


def test_endless_batches_are_taken_as_needed() -> None:
    taken = 0

    def endless() -> Iterator[list[ClipRequest]]:
        nonlocal taken
        for n in count():
            taken += 1
            yield [ClipRequest(Sample(f"clip_{n}", Path(f"clip_{n}.x"), Forgery.RARV), Forgery.RARV, start=0.0)]

    generator = load_batches(endless(), SPEC, BOTH, workers=2)
    ids = [next(generator).requests[0].sample.id for _ in range(20)]
    assert ids == [f"clip_{n}" for n in range(20)] and taken <= 20 + 2 * AHEAD
    assert len(multiprocessing.active_children()) == 2
    generator.close()
    assert not multiprocessing.active_children()


def test_batches_that_are_kept_cost_one_descriptor_each() -> None:
    before = len(os.listdir("/proc/self/fd"))
    kept = list(load_batches(batches(size=1) * 10, SPEC, BOTH, workers=1))
    assert len(os.listdir("/proc/self/fd")) - before <= len(kept) == 40
    kept.clear()
    assert len(os.listdir("/proc/self/fd")) - before <= 2


def test_setup_runs_in_every_worker_and_may_fail(tmp_path: Path) -> None:
    def mark() -> None:
        (tmp_path / f"worker{os.getpid()}").touch()

    def fail() -> None:
        raise OSError("no plugin here")

    list(load_batches(batches(), SPEC, BOTH, workers=2, setup=mark))
    assert len(list(tmp_path.glob("worker*"))) == 2
    with pytest.raises(RuntimeError, match="no plugin here"):
        list(load_batches(batches(), SPEC, BOTH, workers=2, setup=fail))


PLUGIN = """
import numpy as np
from avbench.hookspecs import hookimpl
from avbench.types import Clip

@hookimpl
def avbench_decode(path, start, spec):
    frames, sound = np.full((4, 16, 16, 3), int(path.stem.split("_")[-1]), np.uint8), np.zeros(100, np.float32)
    return Clip(frames, sound, 4, 100, True, True, start, start + spec.seconds)
"""


def test_a_spawned_worker_knows_the_plugins_named_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "sys", SimpleNamespace(platform="not linux"))
    path = tmp_path / "decodes.py"
    path.write_text(PLUGIN, "utf-8")
    detector: Any = SimpleNamespace(config=SimpleNamespace(clip=SPEC, requires=BOTH))
    loaded = list(load(detector, batches(), Loading(workers=1, plugins=(str(path),))))
    assert not any(one.failures for one in loaded), "there is no such file: only the plugin can decode it"
    assert [[int(v) for v in one.batch.video[:, 0, 0, 0, 0]] for one in loaded if one.batch] == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15],
    ]  # fmt: skip


SCRIPT = """
import sys
import avbench.data.workers
from test_loading import *
avbench.data.workers.ORPHAN_SECONDS = float(sys.argv[1])
installed().manager.register(Decoder(Path("never")))
generator = load_batches(batches("clip", "hang", "hang"), SPEC, BOTH, workers=2)
next(generator)
print(*[child.pid for child in multiprocessing.active_children()], flush=True)
if sys.argv[2] == "wait":
    time.sleep(1000)
"""


def start_script(*arguments: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a process whose two workers hang; return it and the ids of its workers."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
    )
    assert process.stdout is not None
    return process, [int(pid) for pid in process.stdout.readline().split()]


def await_end(pids: list[int], seconds: float) -> None:
    """Wait until none of the processes runs any more (a zombie that nobody waits for does not)."""
    deadline = time.monotonic() + seconds
    while any(running(pid) for pid in pids):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.05)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_interpreter_ends_while_a_worker_hangs() -> None:
    process, workers = start_script("30", "go")
    assert len(workers) == 2 and process.wait(20) == 0
    await_end(workers, 2)


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed() -> None:
    process, workers = start_script("-57", "wait")  # an alarm after 3 s
    process.kill()
    process.wait()
    await_end(workers, 10)
