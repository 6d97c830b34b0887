"""The ids of trainings and runs: what shapes a result changes them, what does not leaves them as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from avbench.bench.cell import Cell, Resolved, resolve
from avbench.data.lists import Lists, prepare
from avbench.plugins.registry import installed
from avbench.protocol import known
from avbench.types import ClipSpec


@pytest.fixture
def cell(tiny: Path, tmp_path: Path) -> Cell:
    return Cell("majority", known(installed().datasets())["within_folder"], "binary", roots={"folder": tiny})


@pytest.fixture
def lists(cell: Cell) -> Lists:
    return prepare(cell.protocol, installed(), cell.roots)


def ids(resolved: Resolved) -> tuple[str, str]:
    """Return the ids of the training and of the run."""
    assert resolved.plan is not None
    return resolved.plan.id, resolved.id


def test_another_edition_of_made_data_is_another_training_and_another_run(cell: Cell, lists: Lists) -> None:
    training, run = ids(resolve(cell, installed(), lists))
    assert ids(resolve(cell, installed(), lists)) == (training, run)
    assert lists.train is not None
    newer = replace(lists, train=replace(lists.train, data_version="2"))
    assert ids(resolve(cell, installed(), newer))[0] != training
    judged = replace(lists, test=replace(lists.test, data_version="2"))
    other = ids(resolve(cell, installed(), judged))
    assert other[0] == training and other[1] != run


def test_who_finds_the_faces_shapes_a_training(cell: Cell, lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ids(resolve(cell, installed(), lists))
    monkeypatch.setattr("avbench.bench.cell.region_of", lambda clip: f"{clip.region}, tracked by somebody")
    assert ids(resolve(cell, installed(), lists))[0] != before[0]
    assert isinstance(resolve(cell, installed(), lists).config.clip, ClipSpec)


def test_where_results_go_and_how_they_are_computed_shape_nothing(cell: Cell, lists: Lists, tmp_path: Path) -> None:
    same = replace(cell, results=tmp_path, device="cpu", fresh=True, group="g")
    assert ids(resolve(same, installed(), lists)) == ids(resolve(cell, installed(), lists))
