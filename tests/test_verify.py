"""Runs and tables that were kept are recomputed from their scores; whatever was changed is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from avbench.bench.run import measured
from avbench.cli import main
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.plugins.registry import installed
from avbench.records import scores
from avbench.records.card import Card
from avbench.records.card_parts import DetectorPart, Environment, ProtocolRecord, Request, TrainingRecord
from avbench.records.run import SCORES, Run
from avbench.report.keeping import keep, without_paths
from avbench.report.verifying import TOLERANCE

PATHS = {
    "request": Request(data={"lavdf": "/home/jo doe/LAV-DF", "": "/databases"}, checkpoint="C:\\Users\\jo\\mine.pt"),
    "environment": Environment(command=("run", "--out", "/scratch/jo/results", "--set", "fau_weights=/home/jo/au.pt")),
}


def a_run(results: Path, detector: str, seed: int = 0, **changes: Any) -> Run:
    """Measure and write a run of 24 people within FakeAVCeleb, with paths of a machine in its card."""
    random = np.random.default_rng((seed, len(detector)))
    number = np.arange(96)
    table = scores.coerce(
        pd.DataFrame(
            {
                "id": [f"video/{k:03d}.mp4" for k in number],
                "cluster": [f"p{k // 4}" for k in number],
                "forgery": number % 4,
                "placement": "oracle",
                "start": 0.0,
                "end": 1.0,
                "score": np.clip(0.3 * (number % 4 > 0) + 0.7 * random.random(96), 0, 1),
            }
        )
    )
    name = f"{detector}-within_fakeav-binary-s{seed}-00000000"
    card = Card(
        id=name,
        status="finished",
        seed=seed,
        detector=DetectorPart(detector, version="1"),
        protocol=ProtocolRecord("within_fakeav", placements=("oracle",)),
        training=TrainingRecord(threshold=0.4),
        **{**PATHS, **changes},
    )
    folder = results / "runs" / name
    folder.mkdir(parents=True)
    scores.write(table, folder / SCORES, {"run": name, "task": "binary", "threshold": 0.4})
    card = replace(measured(card, table, installed()), scores_sha256=sha256(folder / SCORES))
    card.save(folder)
    return Run(card, folder)


@pytest.fixture
def kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a folder with Table I of two detectors, one with two seeds, and the runs it is made of."""
    for detector, seed in (("mrdf", 0), ("mrdf", 1), ("avts", 0), ("nobody", 0)):
        a_run(tmp_path / "results", detector, seed)
    words = ["report", "--paper", "table1", "--out", str(tmp_path / "results"), "--keep-runs"]
    assert main(words) == 2 and "--csv" in capsys.readouterr().err
    assert main([*words, "--csv", str(tmp_path / "kept")]) == 0
    assert "kept: 3 runs" in capsys.readouterr().out, "those in the table"
    return tmp_path / "kept"


def changed(card: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a card on disk."""
    values = json.loads(card.read_text("utf-8"))
    change(values)
    card.write_text(json.dumps(values), "utf-8")


def verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Return the exit code and the lines of `avbench report --verify`."""
    code = main(["report", "--verify", str(folder)])
    return code, capsys.readouterr().out.splitlines()


def test_what_was_kept_is_what_its_scores_come_to(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, (line,) = verified(kept, capsys)
    assert code == 0 and line.startswith("3 of 3 runs") and "1 of 1 tables" in line and f"{TOLERANCE:g}" in line
    assert {path.name for path in kept.glob("runs/*/*")} == {"card.json", SCORES}
    assert verified(kept.parent / "results", capsys)[0] == 0, "as are the runs that were copied"


def test_a_number_that_was_changed_in_a_card_is_named(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = kept.glob("runs/avts-*/card.json")
    true = json.loads(path.read_text("utf-8"))["metrics"]["oracle"]["video"]["auc"]["value"]

    def better(card: dict[str, Any]) -> None:
        card["metrics"]["oracle"]["video"]["auc"]["value"] = true + 1e-9
        card["confusion"]["oracle"]["video"]["matrix"][0][0] += 1

    changed(path, better)
    code, lines = verified(kept, capsys)
    assert code == 1 and len(lines) == 3 and lines[-1].startswith("2 of 3 runs")
    assert lines[0] == f"{path}: metrics.oracle.video.auc.value: {true + 1e-9} there, {true} recomputed"
    assert "confusion.oracle.video.matrix.0.0" in lines[1]


def test_scores_that_were_changed_are_told_even_where_no_metric_moves(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = kept.glob(f"runs/avts-*/{SCORES}")
    table, about = scores.read(path)
    scores.write(table.assign(score=table["score"] * 0.999999), path, about)
    code, lines = verified(kept, capsys)
    assert code == 1 and f"{path}: sha256" in lines[0]
    scores.write(table.assign(score=1 - table["score"]), path, {**about, "run": "another", "threshold": 0.5})
    code, lines = verified(kept, capsys)
    assert code == 1 and lines[0] == f"{path}: run: another there, {path.parent.name} in the card"
    assert any("metrics.oracle.video.auc.value" in line for line in lines)
    path.unlink()
    code, lines = verified(kept, capsys)
    assert code == 1 and SCORES in lines[0] and lines[-1].startswith("2 of 3 runs")


def test_a_cell_that_was_changed_in_a_table_is_named(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (table,) = kept.glob("*.csv")
    text = table.read_text("utf-8")
    first = next(line for line in text.splitlines() if line.startswith("MRDF"))
    value = next(cell for cell in first.split(",") if "±" in cell)
    table.write_text(text.replace(value, "99.9 ± 0.1", 1), "utf-8")
    code, lines = verified(kept, capsys)
    assert code == 1 and f"MRDF, fakeav Acc: 99.9 ± 0.1 there, {value} recomputed" in lines[0]
    table.write_text(text + "One,more\n", "utf-8")
    assert "rows of" in verified(kept, capsys)[1][0]
    table.rename(kept / "other.csv")
    assert "none of the runs" in verified(kept, capsys)[1][0]


def test_what_is_kept_has_no_path_of_the_machine(kept: Path) -> None:
    text = "".join(path.read_text("utf-8") for path in kept.glob("runs/*/card.json"))
    assert not any(word in text for word in ("/jo", "doe", "/scratch", "Users", "/home", str(kept.parent)))
    card = Run.read(next(kept.glob("runs/avts-*"))).card
    assert card.request == Request(data={"lavdf": "LAV-DF", "": "databases"}, checkpoint="mine.pt")
    assert card.environment.command == ("run", "--out", "results", "--set", "fau_weights=au.pt")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plugin file /home/jo/mine.py, sha256 00", "plugin file mine.py, sha256 00"),
        ("folder=../../jo/own files", "folder=own files"),
        ("~jo/x.py", "x.py"),
        ("(/a/b) '/c/d' file:///e/f", "(b) 'd' f"),
        (f"{Path.home()}/with space/x.pt: cannot be read", "x.pt: cannot be read"),
        ("https://github.com/x/y", "https://github.com/x/y"),
        ("results/runs/x and w/o FAU, 1/2, km / h", "results/runs/x and w/o FAU, 1/2, km / h"),
    ],
)
def test_paths_are_told_from_other_texts(text: str, shown: str) -> None:
    card = Card(id="x", detector=DetectorPart("d", source=text), protocol=ProtocolRecord("p"))
    assert without_paths(card).detector.source == shown


def test_what_is_kept_no_more_is_removed_and_nothing_else(tmp_path: Path) -> None:
    runs = [a_run(tmp_path / "results", "avts", seed) for seed in (0, 1)]
    keep(runs, tmp_path / "kept")
    (tmp_path / "kept" / "runs" / "own").mkdir()
    (tmp_path / "kept" / "runs" / "own" / "card.json").touch()
    keep(runs[:1], tmp_path / "kept")
    assert {path.name for path in (tmp_path / "kept" / "runs").iterdir()} == {runs[0].id, "own"}
    with pytest.raises(UserError, match="lie there themselves"):
        keep(runs, tmp_path / "results")
    with pytest.raises(UserError, match="running"):
        keep([Run(replace(runs[0].card, status="running"), runs[0].folder)], tmp_path / "kept")
    assert main(["report", "--verify", str(tmp_path)]) == 2
