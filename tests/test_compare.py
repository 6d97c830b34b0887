"""Paired comparison of two runs: shared videos alone, the same people drawn for both, settings that differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from avbench.cli import main
from avbench.errors import UserError
from avbench.records import scores
from avbench.records.card import Card
from avbench.records.card_parts import DetectorPart, Environment, Processor, ProtocolRecord, TrainingRecord
from avbench.records.run import Run
from avbench.report.compare import compare_runs

PEOPLE, EACH = 40, 4


def a_run(folder: Path, score: np.ndarray, rows: slice = slice(None), **changes: Any) -> Run:
    """Write the scores of a run of 40 people with four videos each and return its card and folder."""
    folder.mkdir()
    number = np.arange(PEOPLE * EACH)
    table = pd.DataFrame(
        {
            "id": [f"v{k:03d}" for k in number],
            "identity": [f"p{k // EACH}" for k in number],
            "cluster": [f"p{k // EACH}" for k in number],
            "forgery": number % EACH,
            "clip_forgery": number % EACH,
            "placement": "oracle",
            "start": 0.0,
            "end": 1.0,
            "score": score,
            "reason": "",
        }
    ).iloc[rows]
    scores.write(scores.coerce(table), folder / "scores.parquet", {})
    config = {"settings": {"lr": 0.1, "width": 8}, "stages": [{"name": "train", "epochs": 3}]}
    card = Card(
        id=folder.name,
        status="finished",
        detector=DetectorPart(folder.name, version="1"),
        protocol=ProtocolRecord("p", placements=("oracle",)),
        metrics={"oracle": {}},
        training=TrainingRecord(config=config),
    )
    return Run(replace(card, **changes), folder)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(3).random(PEOPLE * EACH)


def row(table: Any, name: str) -> tuple[str, ...]:
    (found,) = (line for line in table.rows if line[0] == name)
    return tuple(found)


def test_the_difference_is_that_of_sklearn_on_shared_videos(tmp_path: Path, noise: np.ndarray) -> None:
    fake = np.arange(PEOPLE * EACH) % EACH > 0
    good = a_run(tmp_path / "good", 0.6 * noise + 0.4 * fake, slice(8, None))
    poor = a_run(tmp_path / "poor", noise, slice(0, 156))
    table, *_ = compare_runs(good, poor).tables()
    shared = slice(8, 156)
    auc = [roc_auc_score(fake[shared], score[shared]) for score in (0.6 * noise + 0.4 * fake, noise)]
    _, first, second, difference, verdict = row(table, "AUC")
    assert first.startswith(f"{100 * auc[0]:.1f} ") and second.startswith(f"{100 * auc[1]:.1f} ")
    assert difference.startswith(f"{100 * (auc[0] - auc[1]):+.1f} ") and verdict == "A is higher"
    assert "148 videos that both scored, in 37 clusters" in table.notes[2] and "4 that A alone" in table.notes[2]
    back, *_ = compare_runs(poor, good).tables()
    assert row(back, "AUC")[4] == "B is higher"


def test_a_pair_is_surer_than_its_two_intervals(tmp_path: Path, noise: np.ndarray) -> None:
    """A run that is a little better on every video is better for sure, though the two intervals overlap."""
    fake = np.arange(PEOPLE * EACH) % EACH > 0
    base = noise + 0.3 * fake
    first = a_run(tmp_path / "first", (base + 0.05 * fake) / 2)
    second = a_run(tmp_path / "second", base / 2)
    table, *_ = compare_runs(first, second).tables()
    _, a, b, _, verdict = row(table, "AUC")
    low = float(a.split("[")[1].split(",")[0])
    assert verdict == "A is higher" and low < float(b.split()[0]), "the single intervals would not tell"


def test_a_run_ties_with_itself_and_settings_that_differ_are_named(tmp_path: Path, noise: np.ndarray) -> None:
    one = a_run(tmp_path / "one", noise)
    config = {"settings": {"lr": 0.2, "width": 8}, "stages": [{"name": "train", "epochs": 4}]}
    two = a_run(tmp_path / "two", noise, training=TrainingRecord(config=config), seed=1)
    table, settings, environment = compare_runs(one, two).tables()
    assert {line[4] for line in table.rows} == {"a tie"}
    found = {line[0]: line[1:] for line in settings.rows}
    assert found["config.settings.lr"] == ("0.1", "0.2") and found["config.stages.train.epochs"] == ("3", "4")
    assert "config.settings.width" not in found and found["seed"] == ("0", "1")
    assert environment.title == "Environment that differs" and environment.rows == (("none", "", ""),)


def test_where_runs_were_judged_and_trained_is_compared_apart_from_settings(tmp_path: Path, noise: np.ndarray) -> None:
    avx2, avx512 = (Environment(command=(n,), threads=1, processor=Processor(capability=n)) for n in ("AVX2", "AVX512"))
    one, two = (
        a_run(tmp_path / name, noise, environment=avx2, training=TrainingRecord(environments=trained))
        for name, trained in (("one", (avx2,)), ("two", (avx2, avx512)))
    )
    found = compare_runs(one, two)
    assert found.settings["setting"].tolist() == ["detector.name"]
    told = {row.name: (row.a, row.b) for row in found.environment.itertuples(index=False)}
    assert told == {
        "environments of the training": ("1", "2"),
        "trained.processor.capability": ("AVX2", "AVX512"),
    }
    assert "Environment that differs" in str(found)
    moved = a_run(tmp_path / "moved", noise, environment=avx512, device="GPU", training=one.card.training)
    told = {row.name: (row.a, row.b) for row in compare_runs(one, moved).environment.itertuples(index=False)}
    assert told == {"device": ("", "GPU"), "judged.processor.capability": ("AVX2", "AVX512")}


def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path, noise: np.ndarray) -> None:
    one = a_run(tmp_path / "one", noise, slice(0, 80))
    with pytest.raises(UserError, match="no video in common"):
        compare_runs(one, a_run(tmp_path / "two", noise, slice(80, None)))
    with pytest.raises(UserError, match="is running"):
        compare_runs(one, a_run(tmp_path / "three", noise, status="running"))
    with pytest.raises(UserError, match="no clip placement"):
        compare_runs(one, a_run(tmp_path / "four", noise, metrics={"sliding": {}}))


@pytest.mark.slow
def test_the_command_compares_two_runs(
    small_run: Callable[..., tuple[Card, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = small_run(tmp_path, "--set", "epochs=1")
    second, _ = small_run(tmp_path, "--set", "epochs=2")
    capsys.readouterr()
    assert main(["compare", first.id, second.id, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "A − B" in printed and "config.stages.train.epochs" in printed and "few clusters" in printed
    assert main(["compare", "small", second.id, "--out", str(tmp_path)]) == 2
    assert "name one of them" in capsys.readouterr().err
