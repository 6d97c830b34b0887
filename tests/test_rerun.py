"""A card is followed again: what came out the same is said to be so, and what did not is named, with its cause."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from avbench.cli import main
from avbench.hashing import sha256
from avbench.plugins import code, registry
from avbench.records import scores
from avbench.records.card import Card
from avbench.records.run import Run
from avbench.report.sameness import Sameness, sameness

Command = Callable[..., list[str]]
Out = pytest.CaptureFixture[str]
FEW = ("--set", "epochs=1", "--seed", "3")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("again")


@pytest.fixture(scope="module")
def made(small_command: Command, tiny: Path, place: Path) -> Iterator[Path]:
    """Return the folder of a finished run on data and with a plugin that may be changed."""
    data = Path(shutil.copytree(tiny, place / "data"))
    plugin = place / "small_again.py"
    text = Path(__file__).with_name("small_detector.py").read_text("utf-8")
    plugin.write_text(text.replace('name="small"', 'name="small_again"'), "utf-8")
    words = small_command(place / "out", *FEW, "--detector", "small_again", data=data)
    words[words.index("--plugin") + 1] = str(plugin)
    assert main(words) == 0
    (folder,) = (place / "out" / "runs").iterdir()
    yield folder
    forget_plugins()


def forget_plugins() -> None:
    """Forget the plugins that were named, and what was hashed of their code, as a new process would."""
    registry.installed.cache_clear()
    code._digest.cache_clear()


def again(card: Path | str, *more: str) -> int:
    return main(["run", "--from", str(card), *more])


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    values = json.loads(path.read_text("utf-8"))
    change(values)
    path.write_text(json.dumps(values), "utf-8")


def test_the_same_comes_out_the_same_and_the_run_is_left_alone(made: Path, capsys: Out) -> None:
    before = {path: path.read_bytes() for path in made.glob("*.*")}
    assert again(made / "card.json") == 0
    said = capsys.readouterr().out
    assert f"{made.name} came out the same" in said and "scores: the same bytes" in said
    assert "weights of the training: the same bytes" in said and "finished before" not in said
    first, second = (made.parents[1] / "reruns" / made.name / number for number in "12")
    assert (first / "comparison.txt").is_file() and not second.exists()
    assert Card.load(first / "runs" / made.name).training.reused is False
    (first / "comparison.txt").unlink()
    assert again(made) == 0 and not second.exists(), "as if it had been interrupted"
    assert "finished before" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in made.glob("*.*")} == before, "the run itself is left alone"


def test_what_differs_is_told_with_its_cause(made: Path, place: Path, capsys: Out) -> None:
    data, plugin = place / "data", place / "small_again.py"
    table, text = (data / "labels.csv").read_text("utf-8"), plugin.read_text("utf-8")
    (data / "labels.csv").write_text(table.replace("person7_RAFV.mp4,RAFV", "person7_RAFV.mp4,FAFV"), "utf-8")
    assert again(made) == 1
    said = capsys.readouterr().out
    assert "came out otherwise" in said and "columns that differ too: clip_forgery, forgery" in said
    assert "data that differ: test data (1 label)" in said and "code and weights that differ: none" in said
    (data / "labels.csv").write_text(table, "utf-8")

    plugin.write_text(text.replace("/ 16", "/ 15"), "utf-8")
    forget_plugins()
    assert again(made, "--plugin", str(plugin), "--out", str(place / "new")) == 1
    said = capsys.readouterr().out
    assert "clips have another score, by up to 0." in said and "code of small_again" in said
    assert "data that differ: none" in said and "weights of the training: others" in said
    assert (place / "new" / "reruns" / made.name / "1" / "comparison.txt").is_file()
    plugin.write_text(text, "utf-8")
    forget_plugins()


def test_numbers_decide_where_scores_are_not_there_and_are_held_to_the_scores_where_they_are(
    made: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    changed(copy / "card.json", lambda card: card["metrics"]["oracle"]["video"]["auc"].update(value=0.123))
    found = sameness(Run.read(copy), Run.read(made))
    assert not found.same and found.results[0] == "scores: the same bytes"
    assert found.results[1].startswith("numbers of the card: 1 differ: metrics.oracle.video.auc.value")
    assert found.results[1].endswith("was 0.123")

    shutil.copy(made / "card.json", copy / "card.json")
    changed(copy / "card.json", lambda card: card["metrics"]["oracle"]["video"].pop("eer"))
    assert "was nothing" in sameness(Run.read(copy), Run.read(made)).results[1], "what was taken out is missed"

    shutil.copy(made / "card.json", copy / "card.json")
    changed(copy / "card.json", lambda card: card.update(scores_sha256="0" * 64))
    (copy / "scores.parquet").unlink()
    assert not sameness(Run.read(copy), Run.read(made)).same, "other bytes under the same id"
    changed(copy / "card.json", lambda card: card.update(id="of another version"))
    found = sameness(Run.read(copy), Run.read(made))
    assert found.same and "its numbers alone are compared" in found.results[0]


def test_rows_are_compared_where_bytes_differ(made: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    table, about = scores.read(made / "scores.parquet")

    def kept(rows: pd.DataFrame, **more: Any) -> Sameness:
        scores.write(rows, copy / "scores.parquet", {**about, **more})
        changed(copy / "card.json", lambda card: card.update(scores_sha256=sha256(copy / "scores.parquet")))
        return sameness(Run.read(copy), Run.read(made))

    assert kept(table, run="another").same
    moved = table.assign(logit=np.nan)
    moved.loc[2, "score"] += 0.25 if moved.loc[2, "score"] < 0.5 else -0.25
    found = kept(moved)
    assert not found.same and f"1 of {len(table)} clips have another score, by up to 0.25" in found.results[0]
    assert "columns that differ too: logit" in found.results[0]
    found = kept(table.iloc[1:])
    assert not found.same and "1 clips in the new run alone" in found.results[0]
    lost = table.assign(logit=np.nan)
    lost.loc[0, ["score", "start", "end", "reason"]] = np.nan, np.nan, np.nan, "unreadable"
    found = kept(lost)
    assert not found.same and "1 clips in the former run alone; 1 clips in the new run alone" in found.results[0]
    lost.loc[0, ["start", "end"]] = table.loc[0, ["start", "end"]]
    found = kept(lost)
    assert not found.same and "1 clips have a score in one run only" in found.results[0]


def test_what_cannot_be_rerun_is_one_line(made: Path, place: Path, capsys: Out) -> None:
    card = made / "card.json"
    before = {*(made.parents[1] / "reruns").glob("*/*")}
    named = ("--plugin", str(place / "small_again.py"))
    good, plugin = card.read_text("utf-8"), place / "small_again.py"

    def refused(message: str, *more: str) -> None:
        assert again(card, *(more or named)) == 2
        said = capsys.readouterr()
        assert message in said.err and said.err.count("\n") == 1, said.err
        assert {*(made.parents[1] / "reruns").glob("*/*")} == before

    refused("--seed: with --from", "--seed", "1")
    refused("--strict-identity: with --from", "--strict-identity")
    refused("was trained, not given weights", *named, "--checkpoint", str(card))
    for change, message in (
        ({"format": 99}, "a card of format 99"),
        ({"status": "interrupted"}, "is interrupted"),
        ({"request": None}, "does not say how it was made"),
        ({"task": "lip reading"}, "no task of the benchmark"),
    ):
        changed(card, lambda values, change=change: values.update(change))
        refused(message)
        card.write_text(good, "utf-8")
    changed(card, lambda values: values["protocol"].update(fold=0))
    refused("fold: 0 is below 1")
    card.write_text(good, "utf-8")
    changed(card, lambda values: values["request"].update(checkpoint="/gone.safetensors"))
    refused("the weights /gone.safetensors are gone")
    card.write_text(good, "utf-8")
    (made / "scores.parquet").rename(made / "aside")
    (made / "scores.parquet").write_bytes((made / "aside").read_bytes()[:-1])
    refused("is not what was measured")
    (made / "aside").rename(made / "scores.parquet")

    forget_plugins()
    refused(f"whose code runs only if named: add --plugin {plugin}", "--workers", "1")
    plugin.rename(place / "away.py")
    refused("is gone; name it with --plugin", "--workers", "1")
    (place / "data").rename(place / "moved")
    refused("its data lay at", "--plugin", str(place / "away.py"))


def test_without_a_detector_something_is_asked_for(capsys: Out) -> None:
    assert main(["run", "--protocol", "within_folder"]) == 2
    assert "--detector: which?" in capsys.readouterr().err
