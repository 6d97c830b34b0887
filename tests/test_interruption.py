"""Processes that are asked to end, or are killed: cards say so, one cell is lost at most, repeating goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import pytest

from avbench.bench import backends, processes
from avbench.bench.backends import Backend
from avbench.bench.interruption import ending_in_order, exit_code
from avbench.cli import main
from avbench.records.runs import Runs

PLUGIN = Path(__file__).with_name("waiting_detector.py")
SMALL = Path(__file__).with_name("small_detector.py")
KILL = "__import__('os').kill(__import__('os').getpid(), 9)"


def test_each_signal_is_raised_once_and_has_its_exit_code() -> None:
    hung_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which is ignored where nohup began the tests
    before = signal.getsignal(signal.SIGTERM)
    codes = []
    for number in (signal.SIGTERM, signal.SIGHUP):
        try:
            with ending_in_order():
                try:
                    os.kill(os.getpid(), number)
                finally:
                    os.kill(os.getpid(), number)  # while it ends
        except KeyboardInterrupt as error:
            codes.append((exit_code(error), str(error)))
    assert codes == [(143, "ended by SIGTERM"), (129, "ended by SIGHUP")] and exit_code(KeyboardInterrupt()) == 130
    assert signal.getsignal(signal.SIGTERM) is before
    signal.signal(signal.SIGHUP, hung_up)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with ending_in_order():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_killed_process_costs_its_call_alone() -> None:
    chains = [[("1",), (KILL,), ("2",)], [("3",), ("4",)], [(KILL,)], [("5",)]]
    begun: list[str] = []
    found = processes.computed(
        eval,
        chains,
        lost=lambda call, reason: (call[0], reason),
        begun=lambda call: begun.append(call[0]),
        jobs=2,
        threads=1,
    )
    results = list(found)
    assert sorted(one for one in results if isinstance(one, int)) == [1, 2, 3, 4, 5]
    lost = [one for one in results if not isinstance(one, int)]
    assert len(lost) == 2 and all(call == KILL and "SIGKILL" in reason for call, reason in lost)
    assert sorted(begun) == sorted(call[0] for chain in chains for call in chain)


def test_an_error_of_a_process_is_told_in_one_line() -> None:
    (told,) = processes.computed(
        eval, [[("1 / 0",)]], lost=lambda call, reason: reason, begun=lambda call: None, jobs=1, threads=1
    )
    assert told == "ZeroDivisionError: division by zero"


def test_a_lost_process_of_a_cluster_costs_its_call_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in for a cluster: loky, which gives up all calls where a process is killed."""
    from contextlib import contextmanager

    @contextmanager
    def stand_in(name: str, jobs: int):
        with joblib.parallel_config(backend="loky"):
            yield "generator_unordered"

    monkeypatch.setattr(backends, "_joblib", stand_in)
    found = list(Backend(name="dask", jobs=2).computed(eval, [[("1",)], [(KILL,)], [("2",)]], lost=lambda c, r: r))
    assert sorted(map(str, found))[:2] == ["1", "2"] and "its process was lost" in str(found)


def words(command: str, tiny: Path, out: Path, *more: str) -> list[str]:
    fixed = ["--task", "binary", "--workers", "1", "--device", "cpu", "--set", "epochs=1", "--no-mlflow", "--seed", "0"]
    named = [command, "--detector", "waiting", *(["small"] if command == "matrix" else []), "--plugin", str(PLUGIN)]
    named += ["--plugin", str(SMALL)] if command == "matrix" else []
    return [*named, *fixed, "--data", f"folder={tiny}", "--out", str(out), *more]


def ended_by(number: int, command: list[str], out: Path) -> subprocess.CompletedProcess[str]:
    """Send a signal to a command as soon as its detector waits."""
    mark = out.parent / "waits"
    process = subprocess.Popen(
        [sys.executable, "-m", "avbench", *command],
        env=os.environ | {"WAITING_DETECTOR": str(mark)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 400
        while not mark.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    return subprocess.CompletedProcess(command, process.returncode, said, errors)


@pytest.mark.parametrize(
    ("command", "more", "number"),
    [
        ("run", ["--protocol", "within_folder"], signal.SIGTERM),
        pytest.param("run", ["--protocol", "within_folder"], signal.SIGHUP, marks=pytest.mark.slow),
        pytest.param("run", ["--protocol", "within_folder"], signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("matrix", ["--protocol", "within_folder", "--jobs", "1"], signal.SIGHUP, marks=pytest.mark.slow),
        pytest.param("matrix", ["--protocol", "within_folder", "--jobs", "2"], signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(
            "perturb", ["--protocol", "within_folder", "--levels", "1", "--types", "jpeg"], signal.SIGTERM,
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_the_card_of_what_a_signal_ends_says_interrupted_and_repeating_goes_on(
    command: str, more: list[str], number: signal.Signals, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = words(command, tiny, out, *more)
    ended = ended_by(number, asked, out)
    assert ended.returncode == 128 + number, ended.stderr
    assert "interrupted" in ended.stderr and "Traceback" not in ended.stderr + ended.stdout
    (card,) = [run.card for run in Runs(out) if run.card.detector.name == "waiting"]
    assert card.status == "interrupted" and (number == signal.SIGINT or number.name in card.error)
    assert main(asked) == 0
    assert [run.card.status for run in Runs(out) if run.card.detector.name == "waiting"] == ["finished"]


@pytest.mark.slow
def test_a_killed_process_of_a_matrix_costs_its_cell_and_is_tried_again(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = words("matrix", tiny, tmp_path / "out", "--protocol", "within_folder", "--jobs", "2")
    monkeypatch.setenv("KILLED_DETECTOR", "binary")
    assert main(asked) == 1
    said = capsys.readouterr()
    assert "1 of 2 cells finished" in said.out and "failed: waiting" in said.out and "SIGKILL" in said.out
    assert "Traceback" not in said.out + said.err
    monkeypatch.delenv("KILLED_DETECTOR")
    assert main(asked) == 0
    assert "2 of 2 cells finished" in capsys.readouterr().out
