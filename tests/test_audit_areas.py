"""The audit's numbers: names that tell nothing are not cried, those that tell are found, intervals decide."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from avbench.auditing.areas import area
from avbench.auditing.coverage import coverage, heads, lines, verdict
from avbench.auditing.leaks import leaks, verdicts
from avbench.auditing.subject import Subject, _without_start
from avbench.auditing.verdicts import Area
from avbench.data.splits import Split
from avbench.protocol import Protocol


def labelled(people: int) -> tuple[pd.Series, pd.Series]:
    """Return one real and three fakes of each of `people`."""
    return pd.Series([False, True, True, True] * people), pd.Series(np.repeat(range(people), 4).astype(str))


@pytest.mark.parametrize("seed", range(5))
def test_many_names_at_random_tell_nothing(seed: int) -> None:
    fake, person = labelled(15)
    names = pd.Series(np.random.default_rng(seed).integers(0, 24, len(fake))).map("{}x224".format)
    share = fake.groupby(names).mean()
    assert (names.map(share)[fake].mean() - names.map(share)[~fake].mean()) > 0.1, "the rows' own shares would tell"
    assert area(names, fake, person, resamples=200).level == "ok"


def test_a_name_that_tells_is_found_whichever_class_it_marks() -> None:
    fake, person = labelled(15)
    for marked in (fake, ~fake):
        found = area(marked.map({True: "h264", False: "mpeg4"}), fake, person, resamples=200)
        assert found.value == 1 and found.level == "fail"


def test_one_name_is_chance_and_one_cluster_is_no_evidence() -> None:
    fake, person = labelled(12)
    assert area(pd.Series(["h264"] * 48), fake, person, resamples=100).value == 0.5
    assert area(fake.map(str), fake, pd.Series(["one"] * 48), resamples=100).level == "not applicable"


def test_the_whole_interval_must_pass_the_line_to_either_side() -> None:
    def level(low: float, high: float, few: bool = False) -> str:
        return Area((low + high) / 2, (low, high), 99, 99, few).level

    assert level(0.59, 0.99) == level(0.01, 0.41) == level(0.5, 0.6) == "ok"
    assert level(0.61, 0.99) == level(0.01, 0.39) == level(0.9, 1.0, few=True) == "warning"
    assert level(0.81, 0.99) == level(0.01, 0.19) == "fail"
    assert Area(0.2, (0.1, 0.3), 9, 99, False).one_sided().level == "ok"


def test_dropped_silence_counts_in_no_fact_of_the_sound() -> None:
    facts = {"seconds": 2.0, "fps": 25.0, "frames": 50, "leading_silence": 0.5, "silence_fraction": 0.25}
    found = _without_start(facts | {"loudness": -20.0}, 0.5)
    assert found["seconds"] == 1.5 and found["leading_silence"] == 0 and found["silence_fraction"] == 0
    assert found["loudness"] == pytest.approx(-20 + 10 * np.log10(2 / 1.5))


def test_people_are_met_through_targets_in_both_directions() -> None:
    rows = [("train", "a", "p", ("q",), 1), ("test", "b", "q", (), 0), ("test", "c", "r", ("p",), 1)]
    table = pd.DataFrame(rows, columns=["part", "id", "identity", "others", "forgery"]).assign(dataset="folder")
    subject = Subject("folder", True, Protocol("x", 1, "folder", "folder"), Split((), (), ()), {}, table)
    found = leaks(subject)
    assert {(leak.kind, leak.examples) for leak in found if leak.count} == {("targets", ("c",)), ("named", ("b",))}
    (told,) = (verdict for verdict in verdicts(found, subject) if verdict.name == "people named as targets")
    assert told.level == "warning"
    assert "1 of 2 test videos (50.0 %) are of people whom fakes of train name" in told.evidence


def test_lengths_that_disagree_are_counted_in_both_directions() -> None:
    rows = [
        {"id": "right", "seconds": 4.0, "header_seconds": 4.0, "listed_seconds": 4.0},
        {"id": "cut", "seconds": 2.0, "header_seconds": 4.0, "claims_too_much": 2.0, "listed_seconds": 4.0},
        {"id": "more", "seconds": 8.0, "header_seconds": 0.6, "claims_too_much": -7.4, "listed_seconds": 4.0},
        {"id": "untold", "seconds": 4.0, "header_seconds": None, "recordings": 2, "streams": 2},
    ]
    usual = {"claims_too_much": 0.0, "recordings": 1, "streams": 1, "has_video": True, "has_audio": True}
    usual |= {"forgery": 0, "reason": None}
    table = pd.DataFrame([usual | row | {"video_seconds": row["seconds"]} for row in rows])
    found = coverage(table)
    counts = {"cut_off": 1, "goes_on": 1, "no_length": 1, "listed_longer": 1, "listed_shorter": 1, "appended": 1}
    assert {key: found[key] for key in counts} == counts and found["several_streams"] == 1
    assert verdict(found).level == "warning" and "1 go on behind what their header says" in verdict(found).evidence
    assert len(next(lines(found))) == len(heads(found)) + 2 == 14
    sound = coverage(table[:1])
    assert verdict(sound).level == "ok" and len(heads(sound)) == 6
