"""Runs of a results folder: found by id, by its beginning, by folder, by age; told apart or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avbench.errors import UserError
from avbench.records.card import Card
from avbench.records.card_parts import DetectorPart, ProtocolRecord
from avbench.records.runs import Runs

IDS = ("a-p-binary-s0-11", "a-p-binary-s1-22", "b-p-binary-s0-33", "b-p-binary-s0-33-copy")


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Return a results folder with four runs, written in this order, the last one not finished."""
    for number, name in enumerate(IDS):
        folder = tmp_path / "runs" / name
        status = "failed" if number == 3 else "finished"
        detector, protocol = DetectorPart(name[0]), ProtocolRecord("p")
        Card(id=name, detector=detector, protocol=protocol, status=status, seed=number).save(folder)
        os.utime(folder / "card.json", (1000 + number, 1000 + number))
    (tmp_path / "runs" / "a-p-empty").mkdir()
    return Runs(tmp_path)


def test_runs_are_found_by_id_beginning_and_folder(runs: Runs, tmp_path: Path) -> None:
    assert [run.card.id for run in runs.all()] == [run.folder.name for run in runs.all()] == list(IDS)
    assert [run.card.id for run in runs.matching("a-")] == list(IDS[:2])
    assert runs.one("a-p-binary-s1").card.seed == 1
    assert runs.one(IDS[2]).card.seed == 2, "a whole id is not the beginning of another"
    elsewhere = Runs(tmp_path / "nowhere")
    assert elsewhere.all() == [] and elsewhere.one(str(runs.below / IDS[0])).card.id == IDS[0]


def test_none_and_several_are_refused_by_name(runs: Runs) -> None:
    with pytest.raises(UserError, match=rf"a-p is the beginning of {IDS[0]}, {IDS[1]}; name one of them"):
        runs.one("a-p")
    for name in ("c", "", "a-p-empty"):
        with pytest.raises(UserError, match=rf"no run called '{name}' in .*runs; avbench report lists"):
            runs.matching(name)


def test_the_newest_is_the_one_written_last(runs: Runs, tmp_path: Path) -> None:
    newest = runs.newest()
    assert newest is not None and newest.card.id == IDS[3]
    finished = runs.newest(lambda card: card.is_finished)
    assert finished is not None and finished.card.id == IDS[2]
    of_a = runs.newest(lambda card: card.is_finished, beginning="a-")
    assert of_a is not None and of_a.card.id == IDS[1]
    assert runs.newest(lambda card: card.seed > 9) is None and Runs(tmp_path / "nowhere").newest() is None
