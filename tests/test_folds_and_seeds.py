"""Several seeds and folds from one command: a run each, their mean and spread beside them, nothing pooled."""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

import pandas as pd
import pytest

from avbench.bench.matrix import Outcome
from avbench.bench.seeds import usual_seeds
from avbench.bench.spec import RunSpec
from avbench.cli import main, selecting
from avbench.cli import run as run_command
from avbench.data.databases import Database
from avbench.plugins.registry import installed
from avbench.progress import silent
from avbench.records.card import Card
from avbench.report import figures


@pytest.fixture
def unsplit(tiny: Path, tmp_path: Path) -> Path:
    """Return the small videos of four people, without a split of their own."""
    data = tmp_path / "data"
    shutil.copytree(tiny, data)
    listed = pd.read_csv(data / "labels.csv").drop(columns="split")
    listed[listed["identity"] <= "p3"].to_csv(data / "labels.csv", index=False)
    return data


@pytest.mark.slow
def test_all_folds_and_two_seeds_are_runs_of_their_own_with_mean_and_spread(
    unsplit: Path,
    small_command: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(figures, "draw_run", lambda *args, **more: [])  # drawing takes longer than all the rest
    words = (
        "--fold",
        "all",
        "--seed",
        "0",
        "1",
        "--jobs",
        "1",
        "--set",
        "epochs=1",
        "--placement",
        "oracle",
        "--workers",
        "1",
    )
    assert main(small_command(tmp_path, *words, data=unsplit)) == 0
    runs = {path.parent: Card.load(path.parent) for path in (tmp_path / "runs").glob("*/card.json")}
    assert sorted((c.data.fold, c.seed) for c in runs.values()) == [(k, s) for k in (1, 2, 3, 4) for s in (0, 1)]
    assert len({c.training.id for c in runs.values()}) == 8 and {c.counts.scored for c in runs.values()} == {4}

    tested = {(c.data.fold, tuple(pd.read_parquet(f / "scores.parquet")["identity"].unique())) for f, c in runs.items()}
    assert sorted(people for _, people in tested) == [("p0",), ("p1",), ("p2",), ("p3",)], "each person in one fold"
    printed = capsys.readouterr().out
    assert printed.index("Over seeds and folds") < printed.index("Runs\n"), "mean and deviation first"
    summary = printed.split("Over seeds and folds")[1].split("Runs\n")[0]
    for name in ("acc", "auc"):
        values = [100 * c.metrics["oracle"]["video"][name].value for c in runs.values()]
        shown = f"{mean(values):.1f} ± {stdev(values):.1f} ({min(values):.1f} to {max(values):.1f})"
        assert shown in summary, summary
    assert re.search(r"within_folder v1 +binary +oracle +8 ", summary)


BRITTLE = '''
"""A detector that cannot be built with seed 1."""

import torch

from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Preset, Stage
from avbench.detector import Detector
from avbench.types import Output


class Brittle(Detector):
    def __init__(self, config):
        super().__init__(config)
        if torch.initial_seed() == 1:
            raise RuntimeError("seed one is unlucky")
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, batch):
        return Output(logits=self.weight.expand(len(batch), 2))


@hookimpl
def avbench_detectors():
    preset = Preset(clip=ClipSpec(frames=10, size=32), stages=(Stage(epochs=1, batch=8),))
    yield DetectorSpec(name="brittle", load=f"{__name__}:Brittle", tasks=("binary",), presets=(preset,))
'''


def test_a_seed_that_fails_costs_the_others_nothing_and_all_are_shown_again(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures, "draw_run", lambda *args, **more: [])
    (tmp_path / "brittle.py").write_text(BRITTLE)
    words = ["run", "--detector", "brittle", "--plugin", str(tmp_path / "brittle.py"), "--protocol", "within_folder"]
    words += ["--data", f"folder={tiny}", "--out", str(tmp_path), "--workers", "0", "--jobs", "1"]
    assert main([*words, "--seed", "0", "1", "2"]) == 1
    printed = capsys.readouterr()
    number = BRITTLE[1:].splitlines().index('            raise RuntimeError("seed one is unlucky")') + 2
    line = re.escape(f"{tmp_path / 'brittle.py'}:{number}")
    told = rf"failed: brittle seed 1, within_folder binary: brittle cannot be built .*Error at {line}: seed one is"
    assert len(re.findall(told, printed.out)) == 1 and "failed, for" not in printed.out
    assert "3 runs, one after the other, seeds 0 1 2" in printed.out
    assert re.search(r"within_folder v1 +binary +oracle +2 ", printed.out), "mean and deviation of the others"
    assert "Traceback" not in printed.err
    spec = RunSpec(detector="chance", protocol=installed().protocol("within_folder"), task="binary")
    failed = [Outcome(spec=spec, reason="worn", trace="Traceback: x") for _ in range(2)]
    run_command._require_some(failed, 3, traceback=True)
    assert capsys.readouterr().err == "Traceback: x\n", "once, and where it is asked for"
    monkeypatch.setattr("avbench.bench.matrix.run_matrix", lambda *args, **more: pytest.fail("computed again"))
    assert main([*words, "--seed", "0", "2"]) == 0
    assert "Over seeds and folds" in capsys.readouterr().out


def test_what_is_wrong_with_all_seeds_is_told_in_one_line(
    small_command: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(small_command(tmp_path, "--seed", "0", "1", "--set", "epoch=1")) == 2
    assert "did you mean 'epochs'" in capsys.readouterr().err
    assert main(small_command(tmp_path, "--seed", "0", "1", "--jobs", "0")) == 2
    assert "--jobs 0" in capsys.readouterr().err


def test_demo_data_are_learnt_with_three_seeds_and_real_data_with_one(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = installed()
    assert usual_seeds(plugins.protocol("within_folder"), plugins, {"folder": tiny}, silent) == (0,)
    located = Database(plugins.dataset("lavdf"), tiny, True)
    monkeypatch.setattr("avbench.data.databases.locate", lambda *args, **more: located)
    assert usual_seeds(plugins.protocol("within_lavdf"), plugins, {}, silent) == (0, 1, 2)


@pytest.mark.parametrize(
    ("words", "seeds"),
    [([], (0, 1, 2)), (["--seed", "5", "5"], (5,)), (["--checkpoint", __file__], (0,))],
)
def test_seeds_that_are_named_win(words: list[str], seeds: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avbench.bench.seeds.usual_seeds", lambda *args, **more: (0, 1, 2))
    parser = argparse.ArgumentParser()
    run_command.configure(parser)
    arguments = parser.parse_args(["--detector", "chance", "--protocol", "within_lavdf", *words])
    assert selecting.seeds_of(installed().protocol("within_lavdf"), arguments, installed()) == seeds


def test_a_fold_of_a_database_with_its_own_split_is_refused(
    small_command: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(small_command(tmp_path, "--fold", "2")) == 2
    assert "has its own split and no folds" in capsys.readouterr().err
