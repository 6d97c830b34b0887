"""Kills, full and read-only disks, two commands at once, a file that vanishes: the same command ends as if nothing was.

Results are compared with those of a command that nothing happened to, byte for byte.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from faults import forked
from faults.counting import SHARE, Tally, times

PLUGIN = Path(__file__).parents[1] / "small_detector.py"
LASTING = ("runs/*/scores.parquet", "trainings/*/weights.safetensors", "runs/*/curves.csv")
COMMANDS = {
    "run": ["run", "--detector", "small"],
    "perturb": ["perturb", "--detector", "small", "--types", "contrast", "--levels", "0", "3"],
    "matrix": ["matrix", "--detector", "small", "majority", "--jobs", "1", "--seed", "0"],
}


@dataclass(frozen=True)
class Whole:
    """A command that nothing happened to: its words but for the folder, what it left, its touches, its seconds."""

    words: list[str]
    left: dict[str, bytes]
    touches: int
    seconds: float

    def into(self, folder: Path) -> list[str]:
        return [*self.words, "--out", str(folder)]

    def require_same(self, folder: Path) -> None:
        found = left(folder)
        assert found.keys() == self.left.keys()
        assert [name for name in found if found[name] != self.left[name]] == []


def left(folder: Path) -> dict[str, bytes]:
    """Return what must come out the same, by its place in a results folder."""
    paths = [path for pattern in LASTING for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def whole(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Whole]:
    """Return a function that carries out a command by its name, once."""
    done: dict[str, Whole] = {}

    def carried_out(name: str) -> Whole:
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            shared = ["--protocol", "within_folder", "--data", f"folder={tiny}", "--task", "binary", "--no-mlflow"]
            shared += ["--plugin", str(PLUGIN), "--limit", "8", "--set", "epochs=2", "--workers", "0"]
            words, note = [*COMMANDS[name], *shared], folder / "touches"
            ended = forked.run([*words, "--out", str(folder / "out")], forked.counted(folder / "out", note))
            assert ended.code == 0, ended.said
            touches = len(note.read_text("utf-8").splitlines())
            done[name] = Whole(words, left(folder / "out"), touches, ended.seconds)
            assert done[name].left and touches > 20
        return done[name]

    return carried_out


Wholes = Callable[[str], Whole]


@pytest.mark.parametrize("name", COMMANDS if SHARE else ["run"])
def test_a_kill_at_any_moment_costs_nothing_but_time(name: str, whole: Wholes, tmp_path: Path, tally: Tally) -> None:
    command, count, killed = whole(name), times(1, 40), 0
    chance = random.Random(name)
    for number in range(count):
        out = tmp_path / str(number)
        if number % 3 == 2:  # at a moment that is no touch of a file, with workers
            started = forked.start([*command.into(out), "--workers", "1"])
            ended = started.ended(kill_after=chance.uniform(0.2, 0.9) * command.seconds)
        else:
            moment = 1 + round((number + chance.random()) / count * (command.touches - 1))
            ended = forked.run(command.into(out), forked.killed_at(out, moment))
            assert ended.code == -9, (moment, ended.said)
        killed += ended.code == -9
        again = forked.run(command.into(out))
        assert again.code == 0, again.said
        command.require_same(out)
        shutil.rmtree(out)
    tally(f"`avbench {name}` killed (-9)", killed, "each continued to the same bytes of scores, weights and curves")


@pytest.mark.parametrize("kind", ["full", "read-only", "short files"] if SHARE else ["full"])
def test_a_disk_that_takes_no_more_is_one_clear_line(kind: str, whole: Wholes, tmp_path: Path, tally: Tally) -> None:
    command, count, stopped = whole("run"), times(1, 30), 0
    for number in range(count):
        out = tmp_path / str(number)
        moment = 1 + round((number + 0.5) / count * (command.touches - 1))
        if kind == "short files":
            before = forked.files_at_most(round(40_000 * (number + 0.1) / count))
        else:
            before = forked.refused_from(out, moment, errno.ENOSPC if kind == "full" else errno.EROFS)
        ended = forked.run(command.into(out), before)
        ended.require_clear()
        stopped += ended.code == 2
        again = forked.run(command.into(out))
        assert again.code == 0, again.said
        command.require_same(out)
        shutil.rmtree(out)
    told = {"full": "Disk full", "read-only": "Folder read-only", "short files": "No file beyond a size"}[kind]
    tally(f"{told} from some moment on", count, f"{stopped} stopped with one line, none lost anything")


@pytest.mark.skipif(not SHARE, reason="in the long form")
def test_two_commands_at_once_into_one_folder(whole: Wholes, tmp_path: Path, tally: Tally) -> None:
    command, count, refused = whole("run"), times(1, 10), 0
    for number in range(count):
        out = tmp_path / str(number)
        both = [forked.start(command.into(out)) for _ in range(2)]
        for ended in [one.ended() for one in both]:
            ended.require_clear()
            refused += ended.code != 0
        again = forked.run(command.into(out))
        assert again.code == 0, again.said
        command.require_same(out)
    tally(
        "Two commands at once into one folder", count, f"{refused} of {2 * count} ended early with one line; same bytes"
    )


@pytest.mark.skipif(not SHARE, reason="in the long form")
def test_a_file_that_vanishes_after_it_was_listed(tiny: Path, whole: Wholes, tmp_path: Path, tally: Tally) -> None:
    data = Path(shutil.copytree(tiny, tmp_path / "data"))
    words = [word.replace(str(tiny), str(data)) for word in whole("run").words]
    words[words.index("--limit") + 1] = "32"

    def vanish() -> None:
        import avbench.bench.run as module

        begin = module.begin

        def begun(*arguments: object, **named: object) -> object:
            for path in data.glob("person7_*.mp4"):
                os.unlink(path)
            return begin(*arguments, **named)

        module.begin = begun

    ended = forked.run([*words, "--out", str(tmp_path / "out"), "--max-errors", "1"], vanish)
    assert ended.code == 0, ended.said
    (scores,) = (tmp_path / "out" / "runs").glob("*/scores.parquet")
    table = pd.read_parquet(scores)
    gone = table["id"].str.startswith("person7")
    assert (table["score"].isna() == gone).all() and set(table[gone]["reason"]) == {"missing_file"}
    tally("Files that vanish between listing and reading", int(gone.sum()), "each a row with `missing_file`")
