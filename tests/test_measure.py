"""What a card says of a scores table: levels, counts, confusion, ceilings, caveats."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from avbench.errors import UserError
from avbench.metrics import definitions as metrics
from avbench.metrics.measuring import measure
from avbench.plugins.builtin import avbench_metrics
from avbench.records import scores
from avbench.records.card_file import plain
from avbench.records.measured import Blind, ClipCounts, Confusion, Counts
from avbench.types import Forgery, MetricSpec, Stream

METRICS = {spec.name: spec for spec in avbench_metrics()}
NATURAL = {Forgery.RARV: 500, Forgery.FARV: 500, Forgery.RAFV: 9709, Forgery.FAFV: 10835}  # FakeAVCeleb as it is


def swept(videos: int = 60, people: int = 20) -> pd.DataFrame:
    """One labelled clip and four sweep clips a video, of which the second alone holds the forgery."""
    random, rows = np.random.default_rng(0), []
    for i in range(videos):
        for placement, count in (("oracle", 1), ("sliding", 4)):
            for clip in range(count):
                own = i % 4 if placement == "oracle" or clip == 1 else 0
                score = float(np.clip(0.3 + 0.5 * (own > 0) + random.normal(0, 0.15), 0, 1))
                rows.append(
                    {
                        "id": f"{i:03d}",
                        "identity": f"p{i % people:02d}",
                        "forgery": i % 4,
                        "clip_forgery": own,
                        "placement": placement,
                        "start": clip,
                        "end": clip + 1,
                        "score": score,
                        "reason": "",
                    }
                )
    return scores.coerce(pd.DataFrame(rows))


def flat(counts: dict[Forgery, int], stream_bit: int) -> pd.DataFrame:
    """A perfect detector of one stream on so many videos, each of another person."""
    forgery = np.repeat(list(counts), list(counts.values()))
    ids = [f"{i:05d}" for i in range(len(forgery))]
    score = ((forgery & stream_bit) > 0) * 0.8 + 0.1
    rows = {"id": ids, "forgery": forgery, "placement": "oracle", "start": 0, "end": 1, "score": score}
    return scores.coerce(pd.DataFrame(rows))


def test_levels_placements_and_values() -> None:
    table = swept()
    card = measure(table, "binary", METRICS, threshold=0.4, resamples=50)
    levels = {placement: list(levels) for placement, levels in card.metrics.items()}
    assert levels == {"oracle": ["video"], "sliding": ["video", "clip"]}
    sweep = table[table["placement"] == "sliding"]
    video, clip = card.metrics["sliding"]["video"], card.metrics["sliding"]["clip"]
    assert video["auc"].value == metrics.auc(metrics.pool(sweep)) and video["auc"].n == 60
    assert clip["auc"].value == metrics.auc(sweep.assign(forgery=sweep["clip_forgery"])) and clip["auc"].n == 240
    assert clip["majority"].value == 195 / 240  # three clips of four are real, and a quarter of the videos
    assert video["auc_max"].value > video["auc"].value and "auc_max" not in clip
    assert video["acc_at_threshold"].value > video["acc"].value
    low, high = video["auc"].ci95
    assert low < video["auc"].value < high and video["auc"].clusters == 20
    assert card.caveats == ()
    json.dumps(plain(card), allow_nan=False)


def test_confusion_and_counts_tell_what_was_judged_and_what_not() -> None:
    table = swept()
    table.loc[table["id"] == "003", ["score", "reason"]] = [None, "no_face"]
    table.loc[(table["id"] == "002") & (table["start"] == 2), ["score", "reason"]] = [None, "unreadable"]
    card = measure(table, "binary", METRICS, placements=["sliding", "oracle"], resamples=20)
    assert card.counts == Counts(
        scored=59,
        unscored=1,
        reasons={"no_face": 1},
        by_class={"RARV": 15, "RAFV": 15, "FARV": 15, "FAFV": 15},
        unscored_by_class={"RARV": 0, "RAFV": 0, "FARV": 0, "FAFV": 1},
        clips={"sliding": ClipCounts(235, 5), "oracle": ClipCounts(59, 1)},
    )
    found = card.confusion["oracle"]["video"]
    labelled = table[(table["placement"] == "oracle") & table["score"].notna()]
    expected = pd.crosstab(labelled["forgery"] > 0, labelled["score"] > 0.5).to_numpy().tolist()
    assert found == Confusion(("real", "fake"), tuple(map(tuple, expected)))


def test_the_ceilings_of_one_stream_are_those_of_the_literature() -> None:
    """A perfect detector of pictures reaches Acc 97.68, AUC 98.81 on FakeAVCeleb, one of sound 54.93 and 76.93."""
    for stream, bit, acc, auc in (("video", 1, 97.68, 98.81), ("audio", 2, 54.93, 76.93)):
        card = measure(flat(NATURAL, bit), "binary", METRICS, requires=[stream], resamples=50)  # type: ignore[list-item]
        ceiling = card.ceilings["oracle"]["video"]
        assert ceiling.stream == stream
        assert [round(100 * value, 2) for value in (ceiling.acc, ceiling.auc)] == [acc, auc]
        assert card.metrics["oracle"]["video"]["auc"].value == pytest.approx(ceiling.auc)
        assert card.caveats == ()  # it reaches the ceiling and does not pass it


def test_a_score_above_its_ceiling_is_marked() -> None:
    cheat = flat({forgery: 100 for forgery in Forgery}, 3)
    caveats = measure(cheat, "binary", METRICS, requires=["audio"]).caveats
    assert caveats == ("AUC above the ceiling of audio alone", "audio alone tells RAFV from RARV")
    both = measure(cheat, "binary", METRICS)
    assert both.ceilings == both.blind == {} and both.caveats == ()


@pytest.mark.parametrize(("stream", "bit", "unseen"), [("video", 1, Forgery.FARV), ("audio", 2, Forgery.RAFV)])
def test_the_blind_modality_control_is_marked_where_files_give_their_class_away(
    stream: Stream, bit: int, unseen: Forgery
) -> None:
    honest = flat({forgery: 60 for forgery in Forgery}, bit)
    card = measure(honest, "binary", METRICS, requires=[stream])
    blind = card.blind["oracle"]["video"]
    assert blind == Blind(stream, unseen.name, 0.5, (0.5, 0.5), 120)
    assert card.caveats == ()
    # Two of five fakes that it cannot see are known nevertheless: AUC .7, though the whole stays below its ceiling.
    leaky = honest.copy()
    leaky.loc[leaky.index[leaky["forgery"] == unseen][:24], "score"] = 0.9
    card = measure(leaky, "binary", METRICS, requires=[stream])
    blind = card.blind["oracle"]["video"]
    assert blind.auc == pytest.approx(0.7) and blind.ci95[0] > 0.6
    assert f"{stream} alone tells {unseen.name} from RARV" in card.caveats
    # The same share of six videos is no evidence: the interval holds one half.
    index = leaky.index
    chosen = [*index[leaky["forgery"] == 0][:5], *index[leaky["forgery"] == unseen][22:27]]
    few = leaky.loc[chosen]
    card = measure(few.reset_index(drop=True), "binary", METRICS, requires=[stream])
    assert card.blind["oracle"]["video"].auc == pytest.approx(0.7)
    assert [caveat for caveat in card.caveats if "alone" in caveat] == []


def test_undefined_values_say_why_and_few_clusters_are_marked() -> None:
    table = swept(people=5)
    table = table[table["forgery"].isin((0, 1))]
    card = measure(table, "binary", METRICS, resamples=20)
    entry = card.metrics["oracle"]["video"]["auc_fafv"]
    assert entry.value is None and entry.ci95 is None
    assert entry.note == "undefined: no FARV, FAFV in the test set"
    assert card.caveats == ("few clusters",)


def test_nothing_scored_gives_a_card_without_values() -> None:
    table = swept().assign(score=None, reason="no_face")
    for task, classes in (("binary", 2), ("four_class", 4)):
        card = measure(scores.coerce(table), task, METRICS)  # type: ignore[arg-type]
        assert all(entry.value is None for entry in card.metrics["sliding"]["video"].values())
        assert card.confusion["sliding"]["video"].matrix == ((0,) * classes,) * classes
        assert card.counts.unscored == 60
    assert measure(scores.empty(), "binary", METRICS).counts.scored == 0


def test_four_classes_need_their_probabilities_and_two_must_not_have_them() -> None:
    with pytest.raises(UserError, match="only P"):
        measure(swept(), "four_class", METRICS)
    table = swept()
    table = table.assign(p_rarv=1 - table["score"], p_rafv=table["score"], p_farv=0.0, p_fafv=0.0)
    with pytest.raises(UserError, match="choose the other --task"):
        measure(table, "binary", METRICS)
    names = measure(table, "four_class", METRICS, resamples=10).metrics["oracle"]["video"]
    assert {"acc", "auc", "rest_auc_fafv", "collapsed_auc", "recall_rarv"} <= set(names) and "eer" not in names


def fake_share(table: pd.DataFrame) -> float:
    """Return the share of videos called fake: a stranger's metric."""
    return float((table["score"] > 0.5).mean())


def test_a_stranger_s_metric_stands_beside_ours_and_a_broken_one_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics, "fake_share", fake_share, raising=False)
    theirs = {
        "fake_share": MetricSpec("fake_share", "Called fake", "avbench.metrics.definitions:fake_share"),
        "gone": MetricSpec("gone", "Gone", "no_such_module:gone"),
    }
    found = measure(swept(), "binary", METRICS | theirs, resamples=30).metrics["oracle"]["video"]
    low, high = found["fake_share"].ci95
    assert low < found["fake_share"].value < high
    assert "gone" not in found and "no_such_module" in caplog.text
