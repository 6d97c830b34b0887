"""A card is followed again: what came out the same is said to be so, and what did not is named, with its cause."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from avbench.cli import main
from avbench.plugins import code, registry
from avbench.records.card import Card

Command = Callable[..., list[str]]
Out = pytest.CaptureFixture[str]
FEW = ("--set", "epochs=2", "--seed", "3", "--limit", "8")


@pytest.fixture
def known() -> Iterator[None]:
    """Forget the plugins that a test named, and what was hashed of their code."""
    yield
    registry.installed.cache_clear()
    code._digest.cache_clear()


@pytest.fixture
def made(small_command: Command, tiny: Path, tmp_path: Path, capsys: Out, known: None) -> Path:
    """Return the folder of a finished run on data and with a plugin that may be changed."""
    data = Path(shutil.copytree(tiny, tmp_path / "data"))
    plugin = tmp_path / "small_again.py"
    text = Path(__file__).with_name("small_detector.py").read_text("utf-8")
    plugin.write_text(text.replace('name="small"', 'name="small_again"'), "utf-8")
    words = small_command(tmp_path / "out", *FEW, "--detector", "small_again", data=data)
    words[words.index("--plugin") + 1] = str(plugin)
    assert main(words) == 0
    capsys.readouterr()
    (folder,) = (tmp_path / "out" / "runs").iterdir()
    return folder


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


def test_what_differs_is_told_with_its_cause(made: Path, tmp_path: Path, capsys: Out) -> None:
    data, plugin = tmp_path / "data", tmp_path / "small_again.py"
    table = (data / "labels.csv").read_text("utf-8")
    (data / "labels.csv").write_text(table.replace("person5_RAFV.mp4,RAFV", "person5_RAFV.mp4,FAFV"), "utf-8")
    assert again(made) == 1
    said = capsys.readouterr().out
    assert "came out otherwise" in said and "columns that differ too: clip_forgery, forgery" in said
    assert "data that differ: test data (1 label)" in said and "code and weights that differ: none" in said

    (data / "labels.csv").write_text(table, "utf-8")
    plugin.write_text(plugin.read_text("utf-8").replace("/ 16", "/ 15"), "utf-8")
    registry.installed.cache_clear()
    code._digest.cache_clear()
    assert again(made, "--plugin", str(plugin)) == 1
    said = capsys.readouterr().out
    assert "clips have another score, by up to 0." in said and "code of small_again" in said
    assert "data that differ: none" in said and "weights of the training: others" in said


def test_a_card_that_says_other_numbers_or_settings_is_told(made: Path, tmp_path: Path, capsys: Out) -> None:
    def better(card: dict[str, Any]) -> None:
        card["metrics"]["oracle"]["video"]["auc"]["value"] = 0.123

    copy = Path(shutil.copytree(made, tmp_path / "elsewhere" / "copy"))
    changed(copy / "card.json", better)
    assert again(copy, "--out", str(tmp_path / "new")) == 1
    said = capsys.readouterr().out
    assert "scores: the same bytes" in said and "1 differ: metrics.oracle.video.auc.value" in said
    assert "was 0.123" in said and (tmp_path / "new" / "reruns" / made.name / "1" / "runs" / made.name).is_dir()

    changed(copy / "card.json", lambda card: card.update(seed=4))
    (copy / "scores.parquet").unlink()
    assert again(copy / "card.json", "--out", str(tmp_path / "new")) == 1, "the card's numbers are compared alone"
    assert "are not beside the card" in capsys.readouterr().out


def test_what_cannot_be_rerun_is_one_line(made: Path, tmp_path: Path, capsys: Out) -> None:
    card = made / "card.json"
    good, plugin = card.read_text("utf-8"), tmp_path / "small_again.py"

    def refused(message: str, *more: str) -> None:
        assert again(card, *more) == 2
        said = capsys.readouterr()
        assert message in said.err and said.err.count("\n") == 1, said.err
        assert not (made.parents[1] / "reruns").exists()

    refused("--seed: with --from", "--seed", "1")
    refused("--strict-identity: with --from", "--strict-identity")
    refused("was trained, not given weights", "--checkpoint", str(card))
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
    changed(card, lambda values: values["request"].update(checkpoint="/gone.safetensors"))
    card.write_text(good, "utf-8")
    (made / "scores.parquet").rename(made / "aside")
    (made / "scores.parquet").write_bytes((made / "aside").read_bytes()[:-1])
    refused("is not what was measured")
    (made / "aside").rename(made / "scores.parquet")

    registry.installed.cache_clear()
    refused(f"--plugin {plugin}")
    plugin.rename(tmp_path / "away.py")
    refused("is gone; name it with --plugin")
    (tmp_path / "data").rename(tmp_path / "moved")
    refused("its data lay at", "--plugin", str(tmp_path / "away.py"))


def test_without_a_detector_something_is_asked_for(capsys: Out) -> None:
    assert main(["run", "--protocol", "within_folder"]) == 2
    assert "--detector: which?" in capsys.readouterr().err
