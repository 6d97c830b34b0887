"""What checks say of a database: links of the user's are followed, metadata that lead out are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from avbench.bench.contract import check_dataset
from avbench.data.databases import Database
from avbench.plugins.registry import installed
from avbench.references import load_object
from avbench.types import Forgery, Sample


@pytest.mark.parametrize(("name", "folder"), [("lavdf", "LAV-DF"), ("fakeav", "FakeAVCeleb_v1.2")])
def test_folders_may_be_links(real_root: Path, tmp_path: Path, name: str, folder: str) -> None:
    for path in (real_root / folder).iterdir():
        (tmp_path / path.name).symlink_to(path)
    spec = installed().dataset(name)
    assert {finding.level for finding in load_object(spec.check, name)(tmp_path)} == {"note"}
    assert [result for result in check_dataset(Database(spec, tmp_path)) if not result.kept] == []


def leads_out(root: Path) -> Iterator[Sample]:
    """Yield a sample inside and one outside of the root."""
    for name in ("real/a.mp4", "../b.mp4"):
        yield Sample(name, root / name, Forgery.RARV)


def test_a_path_that_leads_out_breaks_the_contract(tmp_path: Path) -> None:
    spec = replace(installed().dataset("folder"), scan=f"{__name__}:leads_out")
    broken = {result.promise: result.detail for result in check_dataset(Database(spec, tmp_path)) if not result.kept}
    assert "lies outside" in broken["lists its samples"] and "../b.mp4" in broken["lists its samples"]
