"""Plugins come in by doors: what detectors/ and datasets/ import of avbench is what the documentation offers to all."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOORS = {
    "avbench.types",
    "avbench.hookspecs",
    "avbench.detector",
    "avbench.config",
    "avbench.errors",
    "avbench.protocol",
    "avbench.paths",
    "avbench.progress",
    "avbench.series",
    "avbench.hashing",
    "avbench.references",
    "avbench.data.file_names",
    "avbench.data.splits",
    "avbench.media.numbered_pictures",
    "avbench.metrics.definitions",
}


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of avbench that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "avbench":
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if _is_module(whole) else node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "avbench")


def _is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


PACKAGES = sorted(
    path for root in ("detectors", "datasets") for path in (ROOT / root).iterdir() if (path / "__init__.py").is_file()
)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_plugin_that_ships_uses_doors_alone(package: Path) -> None:
    beside = {(path.name, module) for path in package.rglob("*.py") for module in imported(path) if module not in DOORS}
    assert sorted(beside) == []


def test_templates_use_doors_alone() -> None:
    for path in (ROOT / "avbench" / "cli" / "templates").glob("*.py.template"):
        assert set(re.findall(r"^from (avbench[\w.]*) import", path.read_text("utf-8"), re.MULTILINE)) <= DOORS


def test_every_door_is_there_and_documented() -> None:
    page = (ROOT / "docs" / "hooks.md").read_text("utf-8")
    shown = set(re.findall(r"^\| `(avbench\.[\w.]+)` \|", page, re.MULTILINE))
    assert shown == DOORS
    for name in DOORS:
        importlib.import_module(name)
