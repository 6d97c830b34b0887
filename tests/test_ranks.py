"""Several processes share a run: one speaks and writes, all wait for the end, the scores are those of one process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from avbench.cli.terminal import say
from avbench.engine.devices import make_fabric
from avbench.engine.ranks import leads
from avbench.errors import UserError
from avbench.records.card import Card


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "4", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, False),
        ({"SLURM_PROCID": "2"}, False),
    ],
)
def test_the_first_process_speaks(
    variables: dict[str, str], first: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    say("heard")
    assert leads() == first == (capsys.readouterr().out == "heard\n")


def test_processes_that_do_not_share_a_run_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_PROCID", "1")  # without this, each would write the same files
    with pytest.raises(UserError, match="start them with torchrun"):
        make_fabric("cpu")


@pytest.mark.slow
def test_two_processes_train_and_give_the_scores_of_one(
    small_command: Callable[..., list[str]], small_run: Callable[..., tuple[Card, Path]], tmp_path: Path
) -> None:
    words = ("--set", "eval_batch=1", "--set", "epochs=4")  # 48 batches of one clip are three parts: both have some
    shared = small_command(tmp_path / "two", *words, "--task", "binary", "four_class")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "avbench"]
    done = subprocess.run([*launch, *shared], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("Confusion, oracle, per video") == 2, "once for each task"
    found = [Card.load(folder) for folder in sorted((tmp_path / "two" / "runs").iterdir())]
    assert [card.status for card in found] == ["finished", "finished"]
    assert not list(tmp_path.glob("two/runs/*/parts")) and not list(tmp_path.glob("two/trainings/*/state-*"))

    (weights,) = (tmp_path / "two" / "trainings").glob("small-*-binary-*/weights.safetensors")
    _, alone = small_run(tmp_path / "one", *words, "--checkpoint", str(weights))
    (together,) = (tmp_path / "two" / "runs").glob("small-*-binary-*")
    one, two = (pd.read_parquet(folder / "scores.parquet") for folder in (alone, together))
    assert one[["id", "placement", "start"]].equals(two[["id", "placement", "start"]]) and len(one) == 48
    assert np.allclose(one["score"], two["score"], rtol=0, atol=1e-5) and one["score"].std() > 0.01
