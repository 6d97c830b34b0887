"""What many tests share: the real miniatures where they are, the demo data made once, results in a scratch folder."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from avbench.records.card import Card

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is imported
os.environ["AVBENCH_MLFLOW"] = "off"  # unless a test asks for it

# The same examples each time, however slow the machine, and nothing left behind.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parents[1]


ABSENT = re.compile(r"no (\S+ \(set AVBENCH_\w+)")


def _beside(variable: str, name: str) -> Path:
    path = Path(os.environ.get(variable) or ROOT.parent / "shared" / name)
    if not path.is_dir():
        pytest.skip(f"no {path} (set {variable})")
    return path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped for want of shared data, folder by folder."""
    reasons = (str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    absent = Counter(found[1] for reason in reasons if (found := ABSENT.search(reason)))
    for what, count in sorted(absent.items()):
        terminalreporter.write_line(f"{count} test{'s' * (count > 1)} skipped: no {what})")


@pytest.fixture(scope="session")
def real_root() -> Path:
    """Return the folder of miniature databases of real faces; skip where it is absent."""
    return _beside("AVBENCH_REAL", "real")


@pytest.fixture(scope="session")
def weights_root() -> Path:
    """Return the folder of published weights for tests; skip where it is absent."""
    return _beside("AVBENCH_WEIGHTS", "weights")


@pytest.fixture(scope="session")
def specs_root() -> Path:
    """Return the folder of specification sheets with published names and weights; skip where it is absent."""
    return _beside("AVBENCH_SPECS", "specs")


@pytest.fixture(scope="session")
def demo_root() -> Path:
    """Return the demo data, made on first use."""
    from filelock import FileLock

    from avbench.paths import cache_folder
    from avbench_demo.make import make_demo

    cache_folder().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_folder() / "demo.lock"):  # of several test processes one makes them
        return make_demo(cache_folder() / "demo")


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty MLflow store; making one takes seconds, and a copy of it does as well."""
    from avbench.report.tracking_client import connect
    from avbench.report.tracking_store import FILE

    results = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("MLFLOW_TRACKING_URI", raising=False)
        connect(results)
    return results / FILE


@pytest.fixture(autouse=True)
def scratch_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every run of a test in its own folder."""
    monkeypatch.setenv("AVBENCH_RESULTS", str(tmp_path / "results"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV of 32 small videos by 8 people: forged pictures flicker, forged sound buzzes."""
    root = tmp_path_factory.mktemp("tiny")
    rows = ["path,label,identity,split"]
    for person in range(8):
        for forgery, name in enumerate(("RARV", "RAFV", "FARV", "FAFV")):
            path = root / f"person{person}_{name}.mp4"
            write_video(path, flicker=bool(forgery & 1), buzz=bool(forgery & 2), seed=person * 4 + forgery)
            split = "train" if person < 4 else "validation" if person < 5 else "test"
            rows.append(f"{path.name},{name},p{person},{split}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return root


@pytest.fixture(scope="session")
def small_command(tiny: Path) -> Callable[..., list[str]]:
    """Return a function (results folder, further words, data) -> the words that train and judge the small detector.

    It does the binary task on the small videos, in both placements; of an option given twice the last one counts.
    """
    plugin = Path(__file__).with_name("small_detector.py")
    fixed = "run --detector small --protocol within_folder --task binary --placement oracle sliding"

    def words(out: Path, *more: str, data: Path = tiny) -> list[str]:
        return [*fixed.split(), "--plugin", str(plugin), "--data", f"folder={data}", "--out", str(out), *more]

    return words


@pytest.fixture(scope="session")
def small_run(small_command: Callable[..., list[str]]) -> Callable[..., tuple[Card, Path]]:
    """Return a function that carries that command out -> the newest card and its folder."""
    from avbench.cli import main
    from avbench.records.runs import Runs

    def run(out: Path, *more: str, data: Path | None = None) -> tuple[Card, Path]:
        assert main(small_command(out, *more, **({} if data is None else {"data": data}))) == 0
        newest = Runs(out).newest()
        assert newest is not None
        return newest.card, newest.folder

    return run


def write_video(path: Path, *, flicker: bool, buzz: bool, seed: int, frames: int = 30, side: int = 64) -> None:
    """Write a short H.264 + AAC file of moving noise and hiss."""
    import av
    import numpy as np

    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width = video.height = side
        video.pix_fmt = "yuv420p"
        audio = file.add_stream("aac", rate=16_000, layout="mono")
        base = random.integers(80, 140, (side, side, 3))
        for k in range(frames):
            picture = base + (40 if flicker and k % 2 else 0) + random.integers(0, 9, base.shape)
            shown = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8), format="rgb24")
            file.mux(video.encode(shown))
        file.mux(video.encode())
        count = frames * 640
        sound = 0.05 * random.standard_normal(count)
        if buzz:
            sound += 0.2 * np.sign(np.sin(2 * np.pi * 200 * np.arange(count) / 16_000))
        for start in range(0, count, 1024):
            block = sound[start : start + 1024].astype(np.float32)[None]
            heard = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
            heard.sample_rate = 16_000
            heard.pts = start
            file.mux(audio.encode(heard))
        file.mux(audio.encode())
