"""The main job on real faces: full size, with and without the Whisper encoder, and every odd file."""

from __future__ import annotations

import csv
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from avbench.cli import main
from avbench.records.card import Card

Run = Callable[..., tuple[Card, Path]]


def test_odd_files_are_scored_or_have_a_reason(real_root: Path, small_run: Run, tiny: Path, tmp_path: Path) -> None:
    with (real_root / "odd" / "index.csv").open(encoding="utf-8") as file:
        expected = {row["file"]: row["expected_now"] for row in csv.DictReader(file)}
    shutil.copytree(real_root / "odd", tmp_path / "odd")
    rows = [(name, i % 2, f"odd{i}", "test") for i, name in enumerate(expected)]
    trained = pd.read_csv(tiny / "labels.csv").query("split != 'test'")
    for name in trained["path"]:
        shutil.copy(tiny / name, tmp_path / "odd" / name)
    listed = pd.DataFrame(rows, columns=["path", "label", "identity", "split"])
    pd.concat([trained, listed]).to_csv(tmp_path / "odd" / "labels.csv", index=False)
    words = ("--placement", "oracle", "--set", "epochs=1", "--max-errors", "0.5")
    _, run = small_run(tmp_path / "out", *words, data=tmp_path / "odd")
    table = pd.read_parquet(run / "scores.parquet").set_index("id")
    for name, what in expected.items():
        row = table.loc[name]
        if what == "score":
            assert row["score"] >= 0 and row["reason"] == "", name
        elif what.startswith("reason code"):
            assert row["reason"] == "no_audio", name
        elif what == "clear error":
            assert row["reason"] == "unreadable", name
        else:
            assert (row["score"] >= 0) != (row["reason"] != ""), name


@pytest.mark.slow
@pytest.mark.parametrize("whisper", [False, True])
def test_official_size_trains_and_judges_real_faces(
    real_root: Path, weights_root: Path, tmp_path: Path, whisper: bool
) -> None:
    words = ["run", "--detector", "fauforensics", "--protocol", "cross_lavdf_to_fakeav", "--task", "binary"]
    words += ["--preset", "official", "--set", "epochs=1", "--set", "micro_batch=4"]
    words += ["--data", str(real_root), "--out", str(tmp_path), "--limit", "16", "--from-scratch"]
    if whisper:
        words += ["--set", f"whisper_weights={weights_root / 'whisper_base_encoder.pt'}", "--limit", "4"]
    assert main(words) == 0
    card = Card.load(next((tmp_path / "runs").iterdir()))
    assert card.reported == {}, "published values do not stand beside a limited list"
    assert card.training.parameters == 68_023_785 and card.training.trainable == 43_465_641
    scored = 4 if whisper else 13  # the first fold's test list holds 13 videos, fewer than the limit
    assert card.counts.scored == scored and card.caveats and not card.is_demo
    assert (card.training.weights["whisper_weights"] == "random") != whisper
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 10e6  # kilobytes
