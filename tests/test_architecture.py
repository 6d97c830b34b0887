"""The house keeps its plan: layers and doors, plugins apart, wings that say what they are, names that resolve."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from avbench.plugins.registry import Plugins
from avbench.references import load_object

ROOT = Path(__file__).resolve().parents[1]
TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
PLUGINS = sorted(
    path.parent.name for source in ("detectors", "datasets") for path in ROOT.glob(f"{source}/*/__init__.py")
)
WINGS = sorted({path.parent.name for path in ROOT.glob("avbench/*/__init__.py")} - {"types"})  # which are ground
REFERENCE = re.compile(r"[a-z_]\w*(\.\w+)*:\w+")
REGISTERING = ("avbench_detectors", "avbench_datasets", "avbench_perturbations", "avbench_metrics")


def contract(name: str) -> dict[str, Any]:
    """Return the contract of import-linter whose name begins so."""
    (found,) = [one for one in TOOLS["importlinter"]["contracts"] if one["name"].startswith(name)]
    return dict(found)


def names_in(layers: list[str]) -> list[str]:
    """Return the modules of layers, sorted."""
    return sorted(re.findall(r"[\w.]+", " ".join(layers)))


def test_imports_keep_to_the_contracts(tmp_path: Path) -> None:
    """In a process of its own: import-linter silences every logger of the one that it runs in."""
    pytest.importorskip("importlinter")
    words = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()"]
    words += ["--config", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_contracts_and_types_leave_no_package_out() -> None:
    assert sorted(TOOLS["importlinter"]["root_packages"]) == ["avbench", *PLUGINS]
    assert names_in(contract("plugins import avbench")["layers"]) == ["avbench", *PLUGINS]
    assert sorted(contract("plugins import doors")["source_modules"]) == PLUGINS
    assert sorted(TOOLS["mypy"]["packages"]) == ["avbench", *PLUGINS]
    modules = {path.stem for path in ROOT.glob("avbench/*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in ROOT.glob("avbench/*/__init__.py")}
    assert names_in(contract("upper wings")["layers"]) == sorted(f"avbench.{name}" for name in modules | packages)


def test_doors_are_closed_to_every_wing() -> None:
    assert sorted(contract("plugins import doors")["forbidden_modules"]) == [f"avbench.{wing}" for wing in WINGS]


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_says_what_comes_in_what_goes_out_and_what_it_may_import(wing: str) -> None:
    lines = (ROOT / "avbench" / wing / "__init__.py").read_text("utf-8").split('"""')[1].strip().splitlines()
    assert lines[0].endswith(".") and lines[1] == ""
    assert re.fullmatch(r"In: .+\. Out: .+\. May import: .+\.", " ".join(lines[2:]))


def references(value: Any) -> Iterator[str]:
    """Yield every "module:name" within a value."""
    if isinstance(value, str):
        if REFERENCE.fullmatch(value):
            yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from references(getattr(value, field.name))
    elif isinstance(value, dict):
        yield from references(list(value.values()))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from references(item)


def declared() -> dict[str, str]:
    """Return every "module:name" that an installed plugin declares, with who declares it."""
    plugins = Plugins()
    plugins.load_installed()
    found = {}
    for hook in REGISTERING:
        for source, function in plugins.each(hook):
            for spec in function():
                found |= {one: f"{source}, {spec.name}" for one in references(spec)}
    return found


def test_every_name_that_a_plugin_declares_leads_somewhere() -> None:
    found = declared()
    if find_spec("transformers") is None:  # of the extra sslas
        found = {one: source for one, source in found.items() if not one.startswith("avbench_sslas.")}
    assert len(found) > 60 and any(one.startswith("avbench.metrics") for one in found)
    for reference, source in found.items():
        assert load_object(reference, source) is not None
