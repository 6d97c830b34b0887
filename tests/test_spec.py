"""The ids of trainings and runs: what shapes a result changes them, what does not leaves them as they are."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from avbench.bench.resolving import ResolvedRun, resolve
from avbench.bench.spec import RunSpec
from avbench.data.lists import Lists, prepare
from avbench.errors import UserError
from avbench.plugins.registry import installed
from avbench.types import ClipSpec


@pytest.fixture
def spec(tiny: Path) -> RunSpec:
    protocol = installed().protocol("within_folder")
    return RunSpec(detector="majority", protocol=protocol, task="binary", roots={"folder": tiny})


@pytest.fixture
def lists(spec: RunSpec) -> Lists:
    return prepare(spec.protocol, installed(), spec.roots)


def ids(resolved: ResolvedRun) -> tuple[str, str]:
    """Return the ids of the training and of the run."""
    assert resolved.plan is not None
    return resolved.plan.id, resolved.id


def test_another_version_of_made_data_is_another_training_and_another_run(spec: RunSpec, lists: Lists) -> None:
    training, run = ids(resolve(spec, installed(), lists))
    assert ids(resolve(spec, installed(), lists)) == (training, run)
    assert lists.train is not None
    newer = replace(lists, train=replace(lists.train, data_version="2"))
    assert ids(resolve(spec, installed(), newer))[0] != training
    judged = replace(lists, test=replace(lists.test, data_version="2"))
    other = ids(resolve(spec, installed(), judged))
    assert other[0] == training and other[1] != run


def test_who_finds_the_faces_shapes_a_training(spec: RunSpec, lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ids(resolve(spec, installed(), lists))
    monkeypatch.setattr("avbench.bench.resolving.region_of", lambda clip: f"{clip.region}, tracked by somebody")
    assert ids(resolve(spec, installed(), lists))[0] != before[0]
    assert isinstance(resolve(spec, installed(), lists).config.clip, ClipSpec)


def test_where_results_go_shapes_nothing(spec: RunSpec, lists: Lists, tmp_path: Path) -> None:
    assert ids(resolve(spec, installed(), lists, tmp_path)) == ids(resolve(spec, installed(), lists))


def test_what_is_asked_for_tells_runs_apart_and_no_group_is_finer_than_a_training(
    spec: RunSpec, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avbench.bench.spec.require_decoder", lambda name: None)  # installed or not
    weights = tmp_path / "weights.safetensors"
    weights.touch()
    changes: dict[str, Any] = {
        "detector": "chance",
        "protocol": replace(spec.protocol, strict_identity=True),
        "task": "four_class",
        "seed": 1,
        "roots": {"": tiny},
        "preset": "other",
        "overrides": ("epochs=1",),
        "limit": 4,
        "limit_test": 4,
        "checkpoint": weights,
        "training": "majority-0",
        "decoder": "decord",
        "from_scratch": True,
        "hash_content": True,
        "allow_demo": True,
    }
    assert set(changes) == {f.name for f in fields(RunSpec)}, "a new field must be told apart too"
    found = {replace(spec, **{name: value}).fingerprint for name, value in changes.items()}
    assert len(found | {spec.fingerprint}) == len(changes) + 1
    assert replace(spec).fingerprint == spec.fingerprint
    titled = replace(spec, protocol=replace(spec.protocol, title="Another title"))
    assert titled.fingerprint == spec.fingerprint and titled.training_group == spec.training_group
    other = replace(spec, protocol=replace(spec.protocol, test="demo"))
    assert other.training_group == spec.training_group and other.fingerprint != spec.fingerprint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "ternary"}, "no task called 'ternary'"),
        ({"seed": -1}, "--seed -1"),
        ({"checkpoint": Path("nowhere.safetensors")}, "no such file"),
    ],
)
def test_what_cannot_be_asked_for_is_told_at_once(spec: RunSpec, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        replace(spec, **changes)
