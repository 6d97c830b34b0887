"""Cards: published values stand beside whole, real databases only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from avbench.bench.card import begin
from avbench.bench.resolving import resolve
from avbench.bench.spec import RunSpec
from avbench.data.lists import prepare
from avbench.hookspecs import hookimpl
from avbench.plugins.registry import Plugins, Source
from avbench.protocol import Protocol
from avbench.types import DetectorSpec

PUBLISHED = {"within_folder": {"example": {"binary": {"acc": 0.95, "auc": 0.99}}}}
PROTOCOL = Protocol("within_folder", 1, "folder", "folder")


class Example:
    """A plugin whose detector is never built."""

    @hookimpl
    def avbench_detectors(self) -> list[DetectorSpec]:
        return [DetectorSpec(name="example", load="no:where")]


@pytest.mark.parametrize(
    ("changes", "demo", "beside"),
    [
        ({}, False, {"acc": 0.95, "auc": 0.99}),
        ({"task": "four_class"}, False, {}),
        ({"limit": 8}, False, {}),
        ({"limit_test": 8}, False, {}),
        ({}, True, {}),
    ],
)
def test_published_values_stand_beside_whole_real_databases_only(
    tiny: Path,
    changes: dict[str, Any],
    demo: bool,
    beside: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("avbench.bench.card.published", lambda: PUBLISHED)
    plugins = Plugins()
    plugins.load_installed()
    plugins._register(Example(), Source("example", "this test"))
    spec = RunSpec(detector="example", protocol=PROTOCOL, task="binary", roots={"folder": tiny})
    spec = replace(spec, **changes)
    lists = prepare(PROTOCOL, plugins, spec.roots, limit=spec.limit, limit_test=spec.limit_test)
    lists = replace(lists, test=replace(lists.test, demo=demo))
    card = begin(resolve(spec, plugins, lists), "", "")
    assert card.reported == beside
    assert ("demo data" in card.caveats) == demo and any("limited to 8" in caveat for caveat in card.caveats) == bool(
        {"limit", "limit_test"} & changes.keys()
    )
