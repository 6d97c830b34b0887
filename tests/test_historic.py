"""Results folders and plugins of earlier versions are still read: cards are upgraded, and every reader shows them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from avbench.bench.spec import of_run
from avbench.cli import main
from avbench.errors import UserError
from avbench.records import suite
from avbench.records.card import Card
from avbench.records.card_file import plain
from avbench.records.measured import Setting
from avbench.records.run import Run
from avbench.records.runs import Runs
from avbench.report.html import html
from avbench.report.suite_tables import suite_tables
from avbench.report.tables import terminal
from avbench.types import ClipSpec

HISTORIC = Path(__file__).with_name("historic")
CARDS = sorted(HISTORIC.rglob("card.json"))
FAMILIES = ("runs", "pretrainings")


def written(beginning: str) -> dict[str, Any]:
    """Return the values of the stored card whose id begins so, as they were written."""
    (path,) = (path for path in CARDS if path.parent.name.startswith(beginning))
    values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return values


def loaded(beginning: str) -> Card:
    (path,) = (path for path in CARDS if path.parent.name.startswith(beginning))
    return Card.load(path)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a copy of the stored results folder."""
    shutil.copytree(HISTORIC, tmp_path / "old")
    return tmp_path / "old"


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_a_stored_card_is_of_format_1_loads_and_survives_being_saved(path: Path, tmp_path: Path) -> None:
    assert json.loads(path.read_text("utf-8"))["format"] == 1
    card = Card.load(path)
    card.save(tmp_path)
    again = json.loads((tmp_path / "card.json").read_text("utf-8"))
    assert Card.load(tmp_path) == card and again["format"] == card.format == 2
    assert not {"marks", "asked", "labelled", "sweep"} & set(json.dumps(again).replace('"', " ").split())


def test_the_upgrade_changes_words_and_no_number() -> None:
    old, card = written("small-within_folder-binary"), loaded("small-within_folder-binary")
    assert [*card.settings()] == [Setting("oracle", "video"), Setting("sliding", "video"), Setting("sliding", "clip")]
    for placement, former in (("oracle", "labelled"), ("sliding", "sweep")):
        for granularity, metrics in old["metrics"][former].items():
            assert plain(card.metrics[placement][granularity]) == metrics
            matrix = [list(row) for row in card.confusion[placement][granularity].matrix]
            assert matrix == old["confusion"][former][granularity]["matrix"]
    assert card.counts is not None and card.counts.clips["sliding"].scored == old["counts"]["clips"]["sweep"]["scored"]
    assert card.protocol.placements == ("oracle", "sliding") and card.caveats == ("few clusters",)
    clip = card.training.config["clip"]
    assert clip["sample_rate"] == 16000 and clip["min_frames"] == 1 and "sound_rate" not in clip
    trained = old["training"]
    assert card.training.validation == {"auc": trained["validation_auc"], "nll": trained["validation_nll"]}
    spec = of_run(Run(card, Path()), {})
    assert (spec.detector, spec.task, spec.training) == ("small", "binary", trained["id"])
    assert spec.protocol.placements == ("oracle", "sliding") and spec.protocol.digest()


def test_a_stored_sweep_keeps_its_levels() -> None:
    old, card = written("small-perturb")["perturbations"], loaded("small-perturb")
    part = card.perturbations
    assert part is not None and part.placement == "oracle" and part.clean["auc"] == card.headline("auc")
    for name, one in old["types"].items():
        assert list(part.types[name].levels) == [2, 5]
        for level, found in part.types[name].levels.items():
            theirs = one["levels"][str(level)]
            assert found.metrics["acc"].value == theirs["acc"]["value"] and found.parameter == theirs["parameter"]
            assert found.drop["auc"].value == theirs["drop"]["auc"]["value"]
            counts = {"clips": found.strength.clips, "unchanged": found.strength.unchanged}
            assert counts | found.strength.medians() == theirs["strength"]


def test_an_ensemble_external_scores_and_a_pretraining_keep_what_is_theirs() -> None:
    both = loaded("both")
    assert [(m.detector, m.requires) for m in both.members] == [("flicker", ("video",)), ("buzz", ("audio",))]
    assert both.members[0].training is not None and both.members[0].training.chosen_epoch is not None
    assert "combined by mean" in terminal(both)
    mine = loaded("mine")
    assert mine.caveats == ("external", "few clusters") and mine.variant == ("external",)
    with pytest.raises(UserError, match="does not say how it was made"):
        of_run(Run(mine, Path()), {})
    taught = loaded("graphau")
    assert taught.encoder is not None and taught.task == "action units" and taught.detector.requires == ()
    assert (
        taught.metrics["every_frame"]["frame"]["f1"].value
        == written("graphau")["metrics"]["every_frame"]["frame"]["f1"]["value"]
    )
    with pytest.raises(UserError, match="action units is no task of the benchmark"):
        taught.benchmark_task()


def test_report_and_html_show_every_stored_run(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [path.parent for family in FAMILIES for path in sorted((results / family).glob("*/card.json"))]
    assert len(folders) == len(CARDS) == 7
    assert main(["report", *map(str, folders), "--out", str(results), "--html"]) == 0
    printed = capsys.readouterr().out
    for folder in folders:
        assert f"run {folder.name} (finished)" in printed
    assert "caveats: external, few clusters" in printed and "oracle, per video" in printed
    assert "DEMO DATA" in printed and "Saturation" in printed and "every_frame, per frame" in printed
    page = (results / "runs" / "report.html").read_text("utf-8")
    assert all(f'id="{folder.name}"' in page for folder in folders) and "external" in page
    assert main(["report", "--out", str(results)]) == 0 and "caveats" in capsys.readouterr().out


def test_compare_reads_a_run_of_the_former_words_and_one_of_todays(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "small-within_folder-binary", "small-within_folder-four", "--out", str(results)]) == 0
    printed = capsys.readouterr().out
    assert "12 videos that both scored, in 3 clusters, oracle" in printed and "a tie" in printed
    assert main(["compare", "small-within_folder-binary", "graphau", "--out", str(results)]) == 2
    assert "no run called 'graphau'" in capsys.readouterr().err


def test_a_paper_s_table_holds_a_stored_run() -> None:
    card = loaded("fauforensics-cross")
    assert card.is_demo and "limited to 32" in card.caveats and card.title.startswith("DEMO DATA · ")
    (table,) = suite_tables(suite.find("table3"), [card], card.overrides)
    auc = card.headline("auc")
    assert table.title.startswith("DEMO DATA · limited to 32 · Table III") and auc is not None and auc.value is not None
    (row,) = (row for row in table.rows if row[0] == "FauForensics")
    assert any(cell.startswith(f"{100 * auc.value:.1f}") for cell in row)


@pytest.mark.parametrize("missing", sorted({key for path in CARDS for key in json.loads(path.read_text("utf-8"))}))
def test_readers_do_without_a_part_that_an_old_card_lacks(missing: str, tmp_path: Path) -> None:
    for number, path in enumerate(CARDS):
        values = json.loads(path.read_text("utf-8"))
        values.pop(missing, None)
        (tmp_path / "runs" / str(number)).mkdir(parents=True)
        (tmp_path / "runs" / str(number) / "card.json").write_text(json.dumps(values), "utf-8")
    if missing in ("id", "detector", "protocol"):
        with pytest.raises(UserError, match=f"not a card: .*{missing}"):
            Runs(tmp_path).all()
        return
    cards = [run.card for run in Runs(tmp_path).all()]
    assert all(card.id in terminal(card) for card in cards)
    if any(card.metrics for card in cards):
        assert html(cards, tmp_path).stat().st_size > 5_000
    list(suite_tables(suite.find("table3"), cards))


def test_a_clip_that_is_asked_for_by_its_former_words_is_the_same() -> None:
    with pytest.warns(DeprecationWarning, match="sound_samples is called audio_samples now"):
        assert ClipSpec(0, sound_samples=16_000, sound_rate=8_000) == ClipSpec(
            0, audio_samples=16_000, sample_rate=8_000
        )
    with pytest.raises(TypeError, match="sound_samples"):
        ClipSpec(sound_samples=1, audio_samples=2)
