"""Several seeds and folds from one command: a run each, their mean and spread beside them, nothing pooled."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

import pandas as pd
import pytest

from avbench.cli import main
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


def test_all_folds_and_two_seeds_are_runs_of_their_own_with_mean_and_spread(
    unsplit: Path,
    small_command: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(figures, "draw_run", lambda *args, **more: [])  # drawing takes longer than all the rest
    words = ("--fold", "all", "--seed", "0", "1", "--set", "epochs=1", "--placement", "oracle", "--workers", "1")
    assert main(small_command(tmp_path, *words, data=unsplit)) == 0
    runs = {path.parent: Card.load(path.parent) for path in (tmp_path / "runs").glob("*/card.json")}
    assert sorted((c.data.fold, c.seed) for c in runs.values()) == [(k, s) for k in (1, 2, 3, 4) for s in (0, 1)]
    assert len({c.training.id for c in runs.values()}) == 8 and {c.counts.scored for c in runs.values()} == {4}

    tested = {(c.data.fold, tuple(pd.read_parquet(f / "scores.parquet")["identity"].unique())) for f, c in runs.items()}
    assert sorted(people for _, people in tested) == [("p0",), ("p1",), ("p2",), ("p3",)], "each person in one fold"
    summary = capsys.readouterr().out.split("Over seeds and folds")[1]
    for name in ("acc", "auc"):
        values = [100 * c.metrics["oracle"]["video"][name].value for c in runs.values()]
        shown = f"{mean(values):.1f} ± {stdev(values):.1f} ({min(values):.1f} to {max(values):.1f})"
        assert shown in summary, summary
    assert re.search(r"within_folder v1 +binary +oracle +8 ", summary)


def test_a_fold_of_a_database_with_its_own_split_is_refused(
    small_command: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(small_command(tmp_path, "--fold", "2")) == 2
    assert "has its own split and no folds" in capsys.readouterr().err
