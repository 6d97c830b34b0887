"""The site builds without a warning and needs nothing from elsewhere; pictures are what their sources say."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SOURCES = re.compile(r"<(?:link|script|img)\b[^>]*?(?:href|src)=[\"']?(https?:[^\"'\s>]+)")


def script(name: str) -> ModuleType:
    """Return one of the scripts that make parts of the site."""
    found = importlib.util.spec_from_file_location(f"make_{name}", ROOT / "docs" / "make" / f"{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # where its dataclasses look for their annotations
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site, built as `mkdocs build --strict` does."""
    pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
    pytest.importorskip("mkdocstrings_handlers.python")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there_and_the_readme_is_the_first(site: Path) -> None:
    written = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").glob("*.md")]
    written += [
        path.relative_to(ROOT) for pattern in ("detectors", "datasets") for path in ROOT.glob(f"{pattern}/*/*.md")
    ]
    pages = {page.with_name("index.html") if page.stem == "README" else page.with_suffix(".html") for page in written}
    assert len(pages) > 25 and [str(page) for page in sorted(pages) if not (site / page).is_file()] == []
    assert "avbench" in (site / "index.html").read_text("utf-8")


def test_every_page_stands_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    named = set(re.findall(r": ([\w./-]+\.md)$", text, re.MULTILINE))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    pages |= {path.relative_to(ROOT).as_posix() for path in ROOT.glob("d*/avbench_*/README.md")}
    assert sorted(pages - named) == []
    assert yaml.safe_load(text)["theme"]["font"] is False


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = {address for page in site.rglob("*.html") for address in SOURCES.findall(page.read_text("utf-8"))}
    assert sorted(fetched) == []


def test_the_doors_are_documented_and_can_be_searched_for(site: Path) -> None:
    page = (site / "python-api.html").read_text("utf-8")
    assert all(
        f'id="avbench.{name}"' in page for name in ("detector.Detector.forward", "types.Sample", "config.Config")
    )
    assert "bootstrap over people" in (site / "search" / "search_index.json").read_text("utf-8")


def test_every_door_is_on_the_page_of_the_api() -> None:
    page = (ROOT / "docs" / "python-api.md").read_text("utf-8")
    (doors,) = re.findall(r"^DOORS = {(.*?)^}", (ROOT / "tests" / "test_doors.py").read_text("utf-8"), re.M | re.S)
    assert set(re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)) == {"avbench", *re.findall(r'"([\w.]+)"', doors)}


def test_the_picture_of_the_wings_is_what_the_layers_say() -> None:
    wings = script("wings")
    assert wings.PICTURE.read_text("utf-8") == wings.drawn(), "draw it again: python docs/make/wings.py"
    folders = {path.parent.name for path in (ROOT / "avbench").glob("*/__init__.py")} - {"types"}
    assert {name for row in wings.layers()[:-1] for name in row} == folders


def test_the_readme_is_short_and_keeps_its_two_commands() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 150
    for name in ("demo", "tests"):
        (block,) = re.findall(rf"<!-- {name} -->\n```console\n(.*?)```\n<!-- end -->", text, re.DOTALL)
        assert "pip install" in block


def test_the_demo_pages_tables_are_those_beside_it() -> None:
    make = script("demo_tables")
    assert make.PAGE.read_text("utf-8") == make.written(), "write them again: python docs/make/demo_tables.py"
    assert [len(table.rows) for table in make.tables()] == [17, 4, 6, 4, 4]


def test_the_readmes_figure_shows_what_was_measured() -> None:
    survival = script("survival")
    across = survival.read(survival.ACROSS, "lavdf → fakeav binary AUC")
    assert len(across) == 6 and across["AVD-DDL"] == survival.Measured(74.9, 73.2, 76.5)
    assert set(across) <= set(survival.read(survival.WITHIN, "lavdf AUC"))


def test_the_readmes_figure_can_be_drawn(tmp_path: Path) -> None:
    script("survival").draw(tmp_path / "survival.png")
    assert (tmp_path / "survival.png").stat().st_size > 20_000
    assert (ROOT / "docs" / "images" / "survival.png").stat().st_size < 150_000


def test_what_guards_a_decision_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    guards = re.findall(r"`(tests/\w+\.py)::(\w+)`", page)
    assert len(guards) > 15
    assert [f"{file}::{name}" for file, name in guards if f"def {name}(" not in (ROOT / file).read_text("utf-8")] == []
