"""Reports: from cards alone, with intervals, published values, caveats and the spread over seeds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from avbench.bench.card import with_measurements
from avbench.errors import UserError
from avbench.metrics.measuring import measure
from avbench.plugins.builtin import avbench_metrics
from avbench.records import scores
from avbench.records.card import Card
from avbench.records.card_parts import DataList, DataPart, DetectorPart, ProtocolRecord, TrainingRecord
from avbench.records.measured import Blind, Ceiling, Confusion, Counts, Measured, Setting
from avbench.records.table import with_interval
from avbench.report import figures
from avbench.report import html as report_html
from avbench.report import tables as report
from avbench.types import Task

METRICS = {spec.name: spec for spec in avbench_metrics()}


VIDEO = Setting("oracle", "video")


def measured(value: float | None, ci95: tuple[float, float] | None = None, **more: Any) -> Measured:
    """One measured value as a card holds it."""
    return Measured(value, ci95, 80, 40, **more)


def a_card(seed: int = 0, acc: float = 0.931, **changes: Any) -> Card:
    """A finished binary run."""
    card = Card(
        id=f"loudness-within_lavdf-binary-s{seed}-0a1b2c3d",
        status="finished",
        seed=seed,
        detector=DetectorPart("loudness", "Loudness", "1", preset="default"),
        protocol=ProtocolRecord("within_lavdf", placements=("oracle",)),
        training=TrainingRecord(chosen_epoch=3, selected_on="validation AUC", config={"width": 8}),
        data=DataPart(test=DataList(title="LAV-DF", n=81, identities=40, identity_is="original video")),
        counts=Counts(80, 1, {"no_audio": 1}, {"RARV": 40, "FAFV": 41}),
        metrics={
            "oracle": {
                "video": {
                    "acc": measured(acc, (0.902, 0.954)),
                    "auc": measured(0.988, (0.978, 0.995)),
                    "majority": measured(0.5, (0.4, 0.6)),
                    "balanced_acc": measured(0.9),
                    "eer": measured(0.06, (0.033, 0.086)),
                    "ap": measured(None, note="undefined"),
                }
            }
        },
        confusion={"oracle": {"video": Confusion(("real", "fake"), ((37, 3), (1, 39)))}},
        reported={"acc": 0.9978, "auc": 0.9997},
    )
    return replace(card, **changes)


def with_metrics(card: Card, **more: Measured) -> Card:
    """Return the card with more metrics per video."""
    return replace(card, metrics={"oracle": {"video": {**card.metrics_at(VIDEO), **more}}})


def test_the_terminal_shows_all_of_a_run() -> None:
    text = report.terminal(a_card())
    lines = [re.sub(r"\s{2,}", " | ", line) for line in text.splitlines()]
    assert lines[0] == "Loudness · within_lavdf v1 · binary · seed 0"
    assert lines[1] == "% | oracle, per video | reported"
    assert "Acc | 93.1 [90.2, 95.4] | 99.78" in lines and "AUC | 98.8 [97.8, 99.5] | 99.97" in lines
    assert "Balanced Acc | 90.0" in [line.rstrip(" |") for line in lines]
    assert "AP (fake): undefined" in lines and "AP (fake) | –" in [line.rstrip(" |") for line in lines]
    assert "real | 37 (92.5 %) | 3 (7.5 %)" in lines and "fake | 1 (2.5 %) | 39 (97.5 %)" in lines
    assert "80 of 81 videos scored (98.8 %): RARV 40, FAFV 41" in lines and "without a score: no_audio 1" in lines
    assert "epoch 3 chosen by validation AUC" in lines
    assert max(map(len, text.splitlines())) <= 100


def test_what_has_no_score_is_told_by_class_and_counted_beside_every_number() -> None:
    counts = Counts(
        80, 40, {"too_short": 40}, {"RARV": 60, "FAFV": 60}, unscored_by_class={"RARV": 10, "RAFV": 0, "FAFV": 30}
    )
    training = TrainingRecord(config={"clip": {"min_frames": 100, "fps": 25.0}}, without_clip={"too_short": 7})
    card = a_card(counts=counts, training=training)
    text = report.terminal(card)
    assert "80 of 120 videos scored (66.7 %)" in text and "without a score: too_short 40 (RARV 10, FAFV 30)" in text
    assert "too_short: fewer than 100 frames at 25 fps, 4 s" in text
    assert "training and validation videos without a clip: too_short 7" in text
    assert re.search(r"\b80 of 120\b", report.summary([card]))
    assert not re.search(r"\b80 of\b", report.summary([a_card(counts=replace(counts, unscored=0))]))


def test_demo_data_and_caveats_cannot_be_overlooked() -> None:
    card = a_card(caveats=("demo data", "selected on test"))
    assert report.terminal(card).startswith("DEMO DATA · Loudness")
    assert "caveats: demo data, selected on test" in report.terminal(card)
    assert "demo data, selected on test" in report.summary([card])
    assert "## DEMO DATA · Loudness" in report.markdown([card])
    assert "DEMO" not in report.terminal(a_card())


def test_few_clusters_carry_a_star_and_its_meaning() -> None:
    card = with_metrics(a_card(), acc=measured(0.931, (0.902, 0.954), few_clusters=True))
    assert "93.1 [90.2, 95.4]*" in report.terminal(card) and "* few clusters" in report.terminal(card)
    assert "few clusters" not in report.terminal(a_card())


def test_published_values_stand_beside_the_oracle_clips_alone() -> None:
    card = a_card(protocol=ProtocolRecord("within_lavdf", placements=("sliding", "oracle")))
    card = replace(card, metrics={**card.metrics, "sliding": card.metrics["oracle"]})
    assert report.metric_table(card).head == ("%", "sliding, per video", "oracle, per video", "reported")
    rows = report.summary_table([card]).rows
    assert [("99.78" in row, "sliding" in row) for row in rows] == [(False, True), (True, False)]


def test_a_stranger_s_metric_is_shown_in_the_full_table() -> None:
    card = with_metrics(a_card(), hit_rate=measured(0.25))
    assert ("hit_rate", "25.0", "") in report.metric_table(card).rows


def test_seeds_give_mean_and_spread_and_nothing_is_pooled() -> None:
    cards = [a_card(seed, acc) for seed, acc in enumerate((0.90, 0.92, 0.97))]
    (row,) = report.spread_table(cards).rows
    assert row[:5] == ("loudness", "within_lavdf v1", "binary", "oracle", "3")
    assert row[5] == "93.0 ± 3.6 (90.0 to 97.0)"
    assert len(report.summary_table(cards).rows) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"protocol": ProtocolRecord("within_lavdf", 2, placements=("oracle",))},
        {"caveats": ("demo data",)},
        {"task": "four_class"},
        {"training": TrainingRecord(config={"width": 16})},
        {"detector": DetectorPart("loudness", "Loudness", "2", preset="default")},
    ],
)
def test_runs_that_differ_in_more_than_the_seed_are_never_averaged(other: dict[str, Any]) -> None:
    assert report.spread_table([a_card(0), a_card(1, **other)]).rows == ()
    assert len(report.spread_table([a_card(0), a_card(1)]).rows) == 1


def test_unfinished_runs_say_so() -> None:
    running = a_card(status="running", metrics={})
    assert "nothing measured yet" in report.terminal(running)
    assert len(report.summary_table([running, a_card()]).rows) == 1
    with pytest.raises(UserError, match="no finished run"):
        report.summary([running])


def test_markdown_survives_a_bar_in_a_name() -> None:
    card = a_card(detector=DetectorPart("a|b", "A", "1", preset="default"))
    (line,) = [line for line in report.markdown([card]).splitlines() if "a\\|b" in line]
    assert len(re.findall(r"(?<!\\)\|", line)) == len(report.summary_table([card]).head) + 1


def scored(task: Task = "binary") -> tuple[Card, pd.DataFrame]:
    """A card measured from a table, marked as demo data."""
    random = np.random.default_rng(0)
    forgery = np.arange(80) % 4
    p = random.dirichlet([1, 1, 1, 1], 80)
    p[np.arange(80), forgery] += 0.7
    p /= p.sum(axis=1, keepdims=True)
    rows: dict[str, Any] = {"id": [f"{i:02d}" for i in range(80)], "identity": [f"p{i % 20}" for i in range(80)]}
    rows |= {"forgery": forgery, "placement": "oracle", "start": 0, "end": 1, "score": 1 - p[:, 0]}
    if task == "four_class":
        rows |= dict(zip(scores.PROBABILITIES, p.T, strict=True))
    table = scores.coerce(pd.DataFrame(rows))
    card = a_card(caveats=("demo data",), task=task)
    return with_measurements(card, measure(table, task, METRICS, resamples=50)), table


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_figures_are_complete_marked_and_the_same_twice(tmp_path: Path) -> None:
    card, table = scored()
    curves = tmp_path / "curves.csv"
    epochs = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "lr": [0.1, 0.1], "val_auc": [0.6, 0.7]})
    epochs.to_csv(curves, index=False)
    first = figures.draw_run(card, table, tmp_path / "one", curves=curves)
    names = ["confusion_oracle_video", "roc_oracle_video", "scores_oracle_video", "training"]
    assert [p.name for p in first] == [f"{name}{suffix}" for name in names for suffix in (".png", ".svg")]
    shuffled = table.sample(frac=1, random_state=0)
    for path, again in zip(first, figures.draw_run(card, shuffled, tmp_path / "two", curves=curves), strict=True):
        assert path.read_bytes() == again.read_bytes(), path.name
    drawn = [path.read_text("utf-8") for path in first if path.suffix == ".svg"]
    assert all("(demo data)" in text and "<dc:date>" not in text for text in drawn)
    assert ">RAFV<" in drawn[2] and ">validation AUC<" in drawn[3]
    matrix = card.confusion["oracle"]["video"].matrix
    assert all(f">{n}<" in drawn[0] for row in matrix for n in row)


def test_each_of_four_classes_has_its_curve(tmp_path: Path) -> None:
    card, table = scored("four_class")
    _, path = figures.roc(card, table, "oracle", tmp_path / "roc", card.metrics_at(VIDEO))
    drawn = path.read_text("utf-8")
    for name in ("RARV", "RAFV", "FARV", "FAFV"):
        value = with_interval(card.metrics_at(VIDEO)[f"rest_auc_{name.lower()}"])
        assert f">{name} AUC {value}<" in drawn and figures.COLOURS[name] in drawn


def test_a_test_set_of_one_class_still_has_figures(tmp_path: Path) -> None:
    _, table = scored()
    real = table[table["forgery"] == 0]
    card = with_measurements(a_card(), measure(real, "binary", METRICS))
    assert len(figures.draw_run(card, real, tmp_path)) == 6
    nothing = real.assign(score=np.nan, reason="no_face")
    card = with_measurements(a_card(), measure(nothing, "binary", METRICS))
    assert len(figures.draw_run(card, nothing, tmp_path)) == 2


def put_figures(folder: Path) -> None:
    """Leave three drawings in a folder, each with a PNG beside it."""
    folder.mkdir(parents=True)
    for name in ("confusion", "roc", "training"):
        (folder / f"{name}.svg").write_text("<svg/>")
        (folder / f"{name}.png").write_bytes(b"")


def test_the_page_is_self_contained_and_trusts_nobody_s_title(tmp_path: Path) -> None:
    card = a_card(caveats=("demo data",), detector=DetectorPart("x", "<script>alert(1)</script>", preset="demo"))
    put_figures(tmp_path / card.id / "figures")
    page = report_html.html([card, a_card(1)], tmp_path).read_text("utf-8")
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert page.count('src="data:image/svg+xml,') == 3
    assert not re.search(r'(src|href)="(?!data:|#)', page) and "@import" not in page and "http" not in page
    assert "93.1 [90.2, 95.4]" in page and "DEMO DATA" in page


def test_the_page_of_one_run_finds_the_figures_beside_its_card(tmp_path: Path) -> None:
    put_figures(tmp_path / "figures")
    assert report_html.html([a_card()], tmp_path).read_text("utf-8").count("data:image/svg+xml") == 3


def test_a_detector_of_one_stream_stands_beside_its_ceiling_and_its_blind_control(tmp_path: Path) -> None:
    ceiling = Ceiling("audio", 0.549, 0.769)
    blind = Blind("audio", "RAFV", 0.712, (0.65, 0.77), 40)
    card = a_card(ceilings={"oracle": {"video": ceiling}}, blind={"oracle": {"video": blind}})
    lines = [
        "a perfect detector of audio alone would reach Acc 54.9, AUC 76.9 here",
        "audio alone, RARV against RAFV, unseen by it: AUC 71.2 [65.0, 77.0], 50 is expected",
    ]
    page = report_html.html([card], tmp_path).read_text("utf-8")
    for line in lines:
        assert line in report.terminal(card) and line in report.markdown([card]) and line in page
