"""Ensembles: the rules, the join of scores, runs that use their members' again, sweeps, what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from avbench.bench.ensemble import settings_of
from avbench.cli import main
from avbench.config import resolve
from avbench.errors import UserError
from avbench.metrics.combining import Scored, by_rule, combined
from avbench.plugins.registry import installed
from avbench.records import scores
from avbench.records.card import Card
from avbench.types import DetectorSpec

PLUGIN = Path(__file__).with_name("member_detectors.py")
SOUND = next(p.name for p in installed().perturbations().values() if p.stream == "audio" and not p.voices)
FAST = ["--no-mlflow", "--workers", "0"]
Do = Callable[..., int]


def test_the_rules() -> None:
    p = np.array([[0.2, 0.8], [0.9, 0.9], [0.0, 1.0], [0.5, 0.9]])
    members = [pd.DataFrame({"score": column}) for column in p.T]
    assert by_rule("mean", members) == pytest.approx([0.5, 0.9, 0.5, 0.7])
    assert by_rule("max", members) == pytest.approx([0.8, 0.9, 1.0, 0.9])
    assert by_rule("noisy_or", members) == pytest.approx([0.84, 0.99, 1.0, 0.95])
    assert by_rule("logit_mean", members) == pytest.approx([0.5, 0.9, 0.5, 0.75])  # odds of 1 and 9: their root is 3
    surer = [pd.DataFrame({"score": [1.0], "logit": [z]}) for z in (60.0, -20.0)]
    assert by_rule("logit_mean", surer) == pytest.approx([1 / (1 + np.exp(-20.0))], abs=1e-15)


def table(rows: list[tuple[str, float, float | None, str]], **more: Any) -> pd.DataFrame:
    """Return clips (id, start, score, reason) as a scores table."""
    frame = pd.DataFrame(rows, columns=["id", "start", "score", "reason"])
    return scores.coerce(frame.assign(end=frame["start"] + 1, placement="sliding", forgery=2, **more))


def test_members_are_pooled_each_in_its_way_and_joined_by_video() -> None:
    seen = table([("a", 0, 0.1, ""), ("a", 1, 0.5, ""), ("b", 0, 0.6, ""), ("c", 0, None, "no_face")])
    heard = table([("a", 0.0, 0.9, ""), ("a", 4.0, 0.5, ""), ("b", 0, None, "no_audio"), ("c", 0, None, "no_audio")])
    members = [Scored(seen, frozenset({"video"}), "mean"), Scored(heard, frozenset({"audio"}), "mean_logit")]
    found = combined(members, "mean").set_index("id")
    assert found.index.tolist() == ["a", "b", "c"] and found["forgery"].tolist() == [2, 2, 2]
    assert found.loc["a", ["score", "p_video", "p_audio"]].tolist() == pytest.approx([0.525, 0.3, 0.75])
    assert found.loc["b", "p_video"] == 0.6 and found["score"].isna().tolist() == [False, True, True]
    assert found["reason"].tolist() == ["", "no_audio", "no_face"]  # of the first member that has none
    scores.validate(combined(members, "noisy_or"))


def test_a_member_that_a_condition_does_not_touch_keeps_its_clean_score() -> None:
    clean = table([("a", 0, 0.2, "")])
    noisy = table([("a", 0, 0.6, "")], perturbation="jpeg", level=3, psnr=30.0)
    both = pd.concat([clean, noisy], ignore_index=True)
    heard = table([("a", 0, 0.8, "")])
    members = [Scored(heard, frozenset({"audio"}), "mean"), Scored(both, frozenset({"video"}), "mean")]
    found = combined(members, "mean").set_index("level")
    assert found.loc[0, "score"] == pytest.approx(0.5) and found.loc[3, "score"] == pytest.approx(0.7)
    assert found.loc[3, "perturbation"] == "jpeg" and found.loc[3, "psnr"] == 30.0 and np.isnan(found.loc[0, "psnr"])


def test_settings_reach_the_ensemble_one_member_or_all() -> None:
    spec = DetectorSpec("both", members=("flicker", "buzz"))
    rule, own = settings_of(spec, ["combine=max", "epochs=2", "buzz.lr=0.1", "buzz.train.epochs=3"])
    assert rule == "max"
    assert own == {"flicker": ("epochs=2",), "buzz": ("epochs=2", "lr=0.1", "train.epochs=3")}
    assert settings_of(spec, [])[0] == "mean"
    with pytest.raises(UserError, match="did you mean 'max'"):
        settings_of(spec, ["combine=maxx"])
    assert spec.tasks == ("binary",)
    with pytest.raises(UserError, match="both cannot do four_class: it does binary"):
        resolve(spec, "four_class")


@pytest.fixture(scope="module")
def do(tiny: Path) -> Do:
    """Return a function that gives avbench a command over the small videos."""

    def command(words: str, out: Path, *more: str) -> int:
        data = ["--plugin", str(PLUGIN), "--data", f"folder={tiny}", "--out", str(out)]
        return main([*words.split(), *data, *FAST, *more])

    return command


@pytest.fixture(scope="module")
def done(do: Do, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results folder of a run of the ensemble."""
    out = tmp_path_factory.mktemp("ensemble")
    assert do("run --detector both --protocol within_folder --placement oracle sliding", out) == 0
    return out


def card_of(out: Path, pattern: str) -> tuple[Card, Path]:
    (folder,) = (out / "runs").glob(pattern)
    return Card.load(folder), folder


def test_an_ensemble_trains_each_member_on_its_own_label_and_names_their_runs(done: Path) -> None:
    card, folder = card_of(done, "both-*")
    flicker, seen = card_of(done, "flicker-*")
    buzz, heard = card_of(done, "buzz-*")
    assert card.is_finished and [m.run for m in card.members] == [flicker.id, buzz.id]
    assert card.members[0].training.id == flicker.training.id
    found = pd.read_parquet(folder / "scores.parquet")
    assert found.groupby("placement").size().to_dict() == {"oracle": 12, "sliding": 12}
    labelled = found[found["placement"] == "oracle"].set_index("id")
    for member, column, bit in ((seen, "p_video", 1), (heard, "p_audio", 2)):
        theirs = pd.read_parquet(member / "scores.parquet")
        theirs = theirs[theirs["placement"] == "oracle"].set_index("id")["score"]
        np.testing.assert_allclose(labelled[column], theirs[labelled.index])
        # Each learnt the label of its own stream and knows nothing of the other.
        assert ((labelled[column] > 0.5) == (labelled["forgery"] & bit > 0)).all()
    np.testing.assert_allclose(labelled["score"], (labelled["p_video"] + labelled["p_audio"]) / 2)
    # One has a ceiling and the control of what it cannot see, the two together have neither.
    assert flicker.ceilings and flicker.blind and flicker.metrics["oracle"]["video"]["auc"].value < 1
    assert not card.ceilings and not card.blind and card.metrics["oracle"]["video"]["auc"].value == 1
    assert card.detector.requires == ("audio", "video")


def test_its_threshold_was_fixed_on_the_validation_scores_of_its_members(done: Path) -> None:
    card, folder = card_of(done, "both-*")
    parts = [pd.read_csv(path).set_index("id") for path in sorted((done / "trainings").glob("*/validation.csv"))]
    assert [len(part) for part in parts] == [4, 4]
    mean = (parts[0]["score"] + parts[1]["score"]) / 2
    real, fake = mean[parts[0]["forgery"] == 0], mean[parts[0]["forgery"] > 0]
    assert real.max() < card.training.threshold < fake.min()
    assert card.metrics["oracle"]["video"]["acc_at_threshold"].value == 1
    assert scores.read(folder / "scores.parquet")[1]["threshold"] == card.training.threshold


def test_another_rule_uses_the_members_runs_again(do: Do, done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in done.glob("*/[fb][lu]*/*")}
    words = "run --detector both --protocol within_folder --placement oracle sliding"
    assert do(words, done, "--set", "combine=max") == 0
    printed = capsys.readouterr().out
    assert printed.count("finished before") == 2 and "member 2 of 2 of both: buzz" in printed
    assert (
        "Acc at validation threshold" in printed
        and "scores combined by max" in printed
        and "member buzz: run buzz-within_folder" in printed
    )
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps and len(stamps) > 8
    newest = max((done / "runs").glob("both-*/card.json"), key=lambda path: path.stat().st_mtime_ns)
    found = pd.read_parquet(newest.parent / "scores.parquet")
    np.testing.assert_allclose(found["score"], found[["p_video", "p_audio"]].max(axis=1))
    assert json.loads(newest.read_text())["training"]["config"]["settings"] == {"combine": "max"}
    before = newest.stat().st_mtime_ns
    assert do(words, done, "--set", "combine=max") == 0 and newest.stat().st_mtime_ns == before
    newest.unlink()
    newest.parent.rename(done / "max")  # the other tests know one run of the ensemble


@pytest.mark.slow
def test_a_sweep_perturbs_each_member_with_what_it_can_feel(do: Do, done: Path, tmp_path: Path) -> None:
    assert do(f"perturb --detector both --protocol within_folder --types jpeg {SOUND} --levels 5", tmp_path) == 0
    card, folder = card_of(tmp_path, "both-*")
    assert set(card.perturbations.types) == {"jpeg", SOUND}
    found = pd.read_parquet(folder / "scores.parquet").set_index(["perturbation", "id"])
    for name, moved, kept in (("jpeg", "p_video", "p_audio"), (SOUND, "p_audio", "p_video")):
        clean, changed = found.loc[""], found.loc[name]
        assert changed[kept].equals(clean[kept]) and not changed[moved].equals(clean[moved])
    felt = {m: {t for t in card_of(tmp_path, f"{m}-*")[0].perturbations.types} for m in ("flicker", "buzz")}
    assert felt == {"flicker": {"jpeg"}, "buzz": {SOUND}}


@pytest.mark.slow
def test_what_a_detector_is_not_fed_is_left_out_of_its_sweep_or_refused(
    do: Do, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, message in (
        ("buzz --types jpeg", "buzz is not fed what jpeg change"),
        ("metadata --types jpeg", "metadata is not fed what jpeg change"),
        ("ears --types jpeg", "ears is not fed what jpeg change"),
    ):
        assert do(f"perturb --protocol within_folder --levels 5 --detector {words}", tmp_path) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "trainings").exists()  # it is told before anything is trained
    assert do(f"perturb --protocol within_folder --levels 5 --detector ears --types jpeg {SOUND}", tmp_path) == 0
    assert "left out, ears is not fed what they change: jpeg" in capsys.readouterr().out
    card, _ = card_of(tmp_path, "ears-*")
    assert list(card.perturbations.types) == [SOUND]
    # Of one stream alone, an ensemble has the ceiling and the control of this stream.
    member, _ = card_of(tmp_path, "buzz-*")
    assert card.ceilings["oracle"]["video"].stream == "audio" and card.ceilings == member.ceilings
    assert card.blind["oracle"]["video"].against == "RAFV" and card.blind == member.blind


def test_what_cannot_be_is_told_in_one_line(do: Do, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"")
    for detector, more, message in (
        ("nobody", [], "ensemble of flicker and buz: no detector called 'buz'; did you mean 'buzz'"),
        ("nested", [], "both is an ensemble too; name its members flicker, buzz"),
        ("both", ["--task", "four_class"], "an ensemble does binary; use --task binary"),
        ("flicker", ["--task", "four_class"], "flicker cannot do four_class: it does binary; use --task binary"),
        ("both", ["--checkpoint", str(weights)], "no weights of its own"),
        ("both", ["--set", "combine=sum"], "no value of combine called 'sum'"),
        ("both", ["--set", "buzz.epoch=1"], "did you mean 'epochs'"),
        ("both", ["--set", "buzz.preset=demo"], "no preset of buzz called 'demo'"),
    ):
        assert do(f"run --detector {detector} --protocol within_folder", tmp_path, *more) == 2
        error = capsys.readouterr().err
        assert message in error and len(error.strip().splitlines()) == 1


def test_check_and_ls_know_ensembles(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--plugin", str(PLUGIN), "both"]) == 0
    printed = capsys.readouterr().out
    assert "mean of flicker and buzz" in printed and "buzz, binary: learns from its loss" in printed
    assert main(["check", "--plugin", str(PLUGIN), "nobody"]) == 1
    assert "BROKEN its members and its rule are known" in capsys.readouterr().out
    assert main(["ls", "detectors", "--plugin", str(PLUGIN)]) == 0
    assert "flicker + buzz" in capsys.readouterr().out


def test_the_paper_s_two_are_installed() -> None:
    detectors = installed().detectors()
    members = {name: spec.members for name, spec in detectors.items() if spec.members}
    assert members["lipforensics_rawgat"] == ("lipforensics", "rawgat_st")
    assert members["realforensics_rawgat"] == ("realforensics", "rawgat_st")
    for name in ("lipforensics_rawgat", "realforensics_rawgat"):
        assert settings_of(detectors[name], [])[0] == "mean"
