"""What a card says of perturbations, the tables, the figure and MLflow: from scores whose numbers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from scipy.stats import t as student_t
from sklearn.metrics import roc_auc_score

from avbench.engine.effects import require_effects
from avbench.errors import UserError
from avbench.metrics.robustness import robustness
from avbench.perturbations.conditions import Condition, choose
from avbench.plugins.registry import installed
from avbench.records import scores
from avbench.records.card import Card
from avbench.records.card_parts import DataList, DataPart, DetectorPart, ProtocolRecord
from avbench.records.measured import CommonVideos, Confusion, Strength
from avbench.records.table import with_interval
from avbench.report import html as report_html
from avbench.report import robustness_tables
from avbench.report import tables as report
from avbench.report.robustness_figure import draw_robustness

PEOPLE = 20


def conditions() -> tuple[Condition | None, ...]:
    return choose(["saturation", "mp3"], [1, 5], installed().perturbations())


def table(seed: int = 0) -> pd.DataFrame:
    """Return scores of 80 videos under four conditions: less apart as the level grows, saturation worse than MP3."""
    random = np.random.default_rng(seed)
    rows = []
    for person in range(PEOPLE):
        for forgery in range(4):
            base = random.normal(2.0 * (forgery > 0), 1.0)
            for condition in conditions():
                level = condition.level if condition else 0
                worse = level * (0.5 if condition and condition.name == "saturation" else 0.1)
                score = 1 / (1 + np.exp(-(base - 1) / (1 + worse) - random.normal(0, worse)))
                rows.append(
                    {
                        "id": f"{person}-{forgery}",
                        "identity": f"p{person}",
                        "cluster": f"p{person}",
                        "forgery": forgery,
                        "placement": "oracle",
                        "start": 0.0,
                        "end": 1.0,
                        "score": score,
                        "perturbation": condition.name if condition else "",
                        "level": level,
                        "psnr": 30.0 - level if condition and condition.name == "saturation" else np.nan,
                        "snr": 20.0 - level if condition and condition.name == "mp3" else np.nan,
                        "kbps": 40.0 if condition and condition.name == "mp3" else np.nan,
                    }
                )
    return scores.coerce(pd.DataFrame(rows))


def rows_of(found: pd.DataFrame, name: str, level: int) -> pd.DataFrame:
    return found[(found["perturbation"] == name) & (found["level"] == level)].sort_values("id")


def auc(found: pd.DataFrame, name: str, level: int) -> float:
    rows = rows_of(found, name, level)
    return float(roc_auc_score(rows["forgery"] > 0, rows["score"]))


def test_values_means_and_drops_are_those_of_sklearn() -> None:
    known = table()
    part = robustness(known, conditions(), placement="oracle")
    clean = auc(known, "", 0)
    assert part.clean["auc"].value == pytest.approx(clean) and part.videos == CommonVideos(80, 0)
    for name in ("saturation", "mp3"):
        one = part.types[name]
        values = {level: auc(known, name, level) for level in (1, 5)}
        for level, value in values.items():
            entry = one.levels[level]
            assert entry.metrics["auc"].value == pytest.approx(value)
            assert entry.drop["auc"].value == pytest.approx(clean - value)
            rows = rows_of(known, name, level)
            assert entry.metrics["acc"].value == pytest.approx(((rows["score"] > 0.5) == (rows["forgery"] > 0)).mean())
        mean = np.mean(list(values.values()))
        assert one.mean["auc"].value == pytest.approx(mean)
        assert one.drop["auc"].value == pytest.approx(clean - mean)
        assert one.mean["auc"].clusters == PEOPLE
    assert part.types["saturation"].levels[5].strength == Strength(80, 0, psnr=25.0)
    assert part.types["mp3"].levels[1].strength == Strength(80, 0, snr=19.0, kbps=40.0)


@pytest.mark.slow
def test_the_interval_of_a_drop_is_that_of_paired_resamples() -> None:
    """A drop by nothing has an interval of nothing, however wide that of each AUC is."""
    known = table()
    same = rows_of(known, "", 0).assign(perturbation="saturation", level=1, psnr=20.0)
    part = robustness(pd.concat([rows_of(known, "", 0), same]), conditions()[:2], placement="oracle")
    entry = part.types["saturation"].levels[1]
    assert entry.drop["auc"].value == 0 and entry.drop["auc"].ci95 == (0, 0)
    low, high = entry.metrics["auc"].ci95
    assert (low, high) == part.clean["auc"].ci95 and low < high
    # A manual bootstrap over people, by another route.
    part = robustness(known, conditions(), placement="oracle", resamples=2000)
    random = np.random.default_rng(7)
    left, right = rows_of(known, "", 0), rows_of(known, "saturation", 5)
    drops = []
    for _ in range(500):
        drawn = np.concatenate([np.flatnonzero(left["cluster"] == f"p{p}") for p in random.integers(0, PEOPLE, PEOPLE)])
        pair = [roc_auc_score((side["forgery"] > 0).iloc[drawn], side["score"].iloc[drawn]) for side in (left, right)]
        drops.append(pair[0] - pair[1])
    low, high = part.types["saturation"].levels[5].drop["auc"].ci95
    wider = norm.cdf(np.sqrt(PEOPLE / (PEOPLE - 1)) * student_t.ppf([0.025, 0.975], PEOPLE - 1))
    assert (low, high) == pytest.approx(tuple(np.quantile(drops, wider)), abs=0.025)


def test_a_video_without_a_score_somewhere_is_left_out_everywhere() -> None:
    known = table()
    gone = (known["id"] == "3-2") & (known["perturbation"] == "mp3") & (known["level"] == 5)
    known.loc[gone, ["score", "reason"]] = [np.nan, "unreadable"]
    part = robustness(known, conditions(), placement="oracle")
    kept = known[known["id"] != "3-2"]
    assert part.videos == CommonVideos(79, 1)
    assert part.clean["auc"].value == pytest.approx(auc(kept, "", 0))
    assert part.types["saturation"].levels[1].metrics["auc"].value == pytest.approx(auc(kept, "saturation", 1))


def test_a_condition_that_never_changed_anything_is_an_error() -> None:
    known = table()
    require_effects(known)
    known.loc[(known["perturbation"] == "saturation") & (known["level"] == 1), "psnr"] = np.inf
    with pytest.raises(UserError, match="saturation at level 1 changed nothing in 80 clips"):
        require_effects(known)
    known.loc[known.index[known["psnr"] == np.inf][0], "psnr"] = 40.0
    require_effects(known)


def a_card(**more: Any) -> Card:
    part = robustness(table(), conditions(), placement="oracle", resamples=200)
    card = Card(
        id="mine-perturb_fakeav-binary-s0-0",
        status="finished",
        detector=DetectorPart("mine", "Mine", "1", preset="default"),
        protocol=ProtocolRecord("perturb_fakeav", placements=("oracle",)),
        metrics={"oracle": {"video": {"auc": part.clean["auc"], "acc": part.clean["acc"]}}},
        confusion={"oracle": {"video": Confusion(("real", "fake"), ((9, 1), (2, 8)))}},
        perturbations=part,
    )
    return replace(card, **more)


def test_tables_show_each_level_with_its_interval_and_strength() -> None:
    card = a_card()
    of_auc, of_acc, strength = robustness_tables.robustness_tables(card)
    assert of_auc.head == ("AUC % at level", "0", "1", "5", "mean", "drop") and of_acc.head[0] == "Acc % at level"
    row = of_auc.rows[0]
    entry = card.perturbations.types["saturation"].levels[5].metrics["auc"]
    assert row[0] == "Color Saturation" and row[3] == with_interval(entry).replace(" [", "\n[", 1)
    assert strength.rows[0][1:] == ("0.4\n29.0 dB", "0\n25.0 dB")
    assert strength.rows[1][1] == "64\n19.0 dB\n40.0 kbit/s"
    text = report.terminal(card)
    assert (
        "AUC % at level" in text and "How strong each level was" in text and "80 videos, the same in every cell" in text
    )
    assert "<br>[" in report.markdown([card])
    other = robustness_tables.compared([card, a_card(seed=1)])
    assert [row[0] for row in other.rows] == ["Mine\nbinary, seed 0", "Mine\nbinary, seed 1"]


def test_html_holds_the_tables(tmp_path: Path) -> None:
    page = report_html.html([a_card()], tmp_path).read_text("utf-8")
    assert "AUC % at level" in page and "0.4<br>29.0 dB" in page


def test_figure_is_the_same_each_time_and_shows_each_run(tmp_path: Path) -> None:
    first = draw_robustness([a_card()], tmp_path / "one")
    again = draw_robustness([a_card()], tmp_path / "again")
    assert [p.suffix for p in first] == [".png", ".svg"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    both, _ = draw_robustness([a_card(), a_card(seed=1, caveats=("demo data",))], tmp_path / "both")
    colours = {tuple(pixel) for pixel in np.round(matplotlib.image.imread(both)[..., :3].reshape(-1, 3), 2)}
    for wanted in ("#c8405a", "#2c7a9c"):
        assert tuple(np.round([int(wanted[i : i + 2], 16) / 255 for i in (1, 3, 5)], 2).astype(np.float32)) in colours
    assert both.read_bytes() != first[0].read_bytes()


def test_mlflow_has_a_child_for_each_condition_and_a_curve_for_each_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avbench.report import tracking
    from avbench.report.tracking_client import connect

    monkeypatch.setenv("AVBENCH_MLFLOW", "on")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "results" / "runs" / "mine"
    draw_robustness([a_card()], folder / "figures" / "robustness")
    card = a_card(device="CPU", data=DataPart(test=DataList(title="T", n=80, digest="d"), fold=1))
    run = tracking.log_run(card, folder)
    client = connect(tmp_path / "results")
    experiment = client.get_experiment_by_name("avbench")
    assert experiment is not None
    children = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{run}'")
    assert {(c.data.params["perturbation"], c.data.params["level"]) for c in children} == {
        (name, level) for name in ("saturation", "mp3") for level in ("1", "5")
    }
    found = card.perturbations.types["saturation"].levels[5]
    child = next(c for c in children if c.data.params == {**c.data.params, "perturbation": "saturation", "level": "5"})
    assert child.data.metrics["auc"] == pytest.approx(found.metrics["auc"].value)
    assert child.data.metrics["psnr"] == 25.0 and child.data.params["parameter"] == "0.0"
    curve = {m.step: m.value for m in client.get_metric_history(run, "perturbed/auc/saturation")}
    assert set(curve) == {0, 1, 5} and curve[5] == pytest.approx(found.metrics["auc"].value)
    assert "figures/robustness.png" in {a.path for a in client.list_artifacts(run, "figures")}
