"""Protocols: families come with datasets, YAML fixes details, the digest holds what shapes a result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from avbench.bench.card import published_of
from avbench.errors import UserError
from avbench.paths import shipped
from avbench.plugins.registry import installed
from avbench.protocol import Protocol, known, read
from avbench.types import DatasetSpec


def test_installing_a_dataset_gives_its_protocols() -> None:
    datasets = {name: DatasetSpec(name=name, title=name, scan="x:y") for name in ("lavdf", "mine")}
    names = set(known(datasets))
    assert {"within_mine", "cross_mine_to_lavdf", "cross_lavdf_to_mine", "within_lavdf"} <= names


def test_the_four_shipped_protocols_carry_the_paper() -> None:
    protocols = known(installed().datasets())
    found = protocols["cross_lavdf_to_fakeav"]
    assert (found.train, found.test, found.version, found.select_on) == ("lavdf", "fakeav", 1, "validation")
    printed = published_of(found, "fauforensics", "binary")
    assert printed["auc"] == 0.8377  # arXiv 2505.08294, Table III
    assert published_of(protocols["within_fakeav"], "fauforensics", "four_class") == {"acc": 0.9947, "auc": 0.9997}
    assert len(list(shipped("protocols").glob("*.yaml"))) == 4


def test_digest_ignores_titles_only() -> None:
    one = Protocol("p", 1, "a", "b")
    assert replace(one, title="t").digest() == one.digest()
    for change in (
        {"version": 2},
        {"fold": 2},
        {"strict_identity": True},
        {"test_on": "all"},
        {"placements": ("sliding",)},
    ):
        assert replace(one, **change).digest() != one.digest()  # type: ignore[arg-type]


def test_broken_yaml_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("name: odd\nversion: 1\ntrian: lavdf\n", "utf-8")
    with pytest.raises(UserError, match=r"odd\.yaml.*trian"):
        read(path)
