"""The documentation: every hook and command is there, commands and links exist, the dataset example works."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path
from string import Template

import pytest
import torch

from avbench import hookspecs
from avbench.bench.contract import random_batch
from avbench.bench.contract.metrics import table_of
from avbench.cli import COMMANDS
from avbench.hookspecs import hookspec
from avbench.plugins.registry import installed
from avbench.protocol import read
from avbench.types import ClipBatch, ClipSpec, Protocol, Sample

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("detectors/*/README.md"))]
EVERYWHERE = "\n".join(page.read_text("utf-8") for page in PAGES)


def test_every_hook_is_documented() -> None:
    marker = f"{hookspec.project_name}_spec"
    names = [name for name, value in vars(hookspecs).items() if hasattr(value, marker)]
    page = (ROOT / "docs" / "hooks.md").read_text("utf-8")
    assert len(names) >= 10 and [name for name in names if f"`{name}`" not in page] == []


def test_every_command_is_documented_and_none_that_is_not_there() -> None:
    known = {*COMMANDS, *(point.name for point in entry_points(group="avbench.commands"))}
    shown = set(re.findall(r"avbench ([a-z][a-z-]*)\b", "\n".join(_code())))
    assert sorted(known - shown) == [] and sorted(shown - known) == []


def test_every_option_that_is_shown_exists() -> None:
    """Options are looked for in the sources of the commands, so that nothing heavy is imported."""
    sources = "\n".join(path.read_text("utf-8") for path in ROOT.glob("avbench/cli/*.py"))
    sources += "\n".join(path.read_text("utf-8") for path in ROOT.glob("detectors/*/command.py"))
    lines = [line for line in "\n".join(_code()).splitlines() if re.search(r"(^|&& |\w )avbench [a-z]", line)]
    own = [re.split(r"avbench (?=[a-z])", line, maxsplit=1)[1] for line in lines]
    options = {option for line in own for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", line)}
    elsewhere = {"--backend-store-uri"}
    assert sorted(o for o in options - elsewhere if f'"{o}"' not in sources) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_table_of_hours_has_the_epochs_of_the_presets_and_follows_from_them() -> None:
    """Hours are epochs times videos by clips a second; a stage of real clips sees the database's share of them."""
    page = (ROOT / "docs" / "reproduce.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\w-]+)[^|]*\| ([\d +]+) \| (\d+) \| ([\d.]+) h \| ([\d.]+) h \|$", page, re.MULTILINE)
    by_title = {spec.title: spec for spec in installed().detectors().values()}
    assert len(rows) == 9
    for title, epochs, speed, *hours in rows:
        stages = by_title[title].default_preset(demo=False).stages
        assert epochs == " + ".join(str(stage.epochs) for stage in stages), title
        for printed, (videos, real) in zip(hours, ((78_703, 0.2673), (13_800, 0.0232)), strict=True):
            clips = sum(stage.epochs * videos * (real if stage.samples == "real" else 1) for stage in stages)
            estimate = clips / int(speed) / 3600
            assert printed == (f"{estimate:.0f}" if estimate >= 10 else f"{estimate:.1f}"), title


def test_the_dataset_example_works_as_printed(tiny: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "add-a-dataset.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "booth.py").write_text(code, "utf-8")
    for person in range(8):
        (tmp_path / "Booth" / f"p{person}").mkdir(parents=True)
        for forgery, name in (("RARV", "real"), ("RAFV", "lips"), ("FARV", "voice")):
            shutil.copy(tiny / f"person{person}_{forgery}.mp4", tmp_path / "Booth" / f"p{person}" / f"{name}.mp4")
    command = "run --plugin booth.py --detector majority --protocol within_booth --data booth=Booth --no-mlflow"
    done = subprocess.run(
        [sys.executable, "-m", "avbench", *command.split(), "--workers", "0", "--out", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Booth" in done.stdout and "Confusion" in done.stdout


def test_the_batch_table_is_what_a_batch_is() -> None:
    rows = _table("add-a-detector.md", "field")
    assert [row[0] for row in rows if row[0] != "annotations"] == [f.name for f in fields(ClipBatch)][:-1]
    batch = random_batch(ClipSpec(frames=3, size=8), 2)
    for name, shape, kind, limits, *_ in rows:
        value = getattr(batch, name)
        if not isinstance(value, torch.Tensor):
            continue
        assert str(value.dtype) == f"torch.{kind}" and value.ndim == shape.count(",") + (shape != "(B,)"), name
        if limits and limits[-1].isdigit():
            low, high = map(float, limits.split(" to "))
            assert low <= value.min() and value.max() <= high, name


def test_the_metric_table_names_every_column_that_a_metric_is_given() -> None:
    shown = {name for row in _table("add-a-detector.md", "column") for name in re.findall(r"\w+", row[0])}
    given = {*table_of("four_class").columns, *table_of("four_class", pooled=False).columns}
    assert shown - given == set()
    assert given - shown == {"reason", "perturbation", "level", "psnr", "snr", "kbps", "frozen", "level_db", "mix_db"}


def test_the_worked_example_is_what_the_template_holds() -> None:
    text = (ROOT / "avbench" / "cli" / "templates" / "detector_full.py.template").read_text("utf-8")
    written = Template(text).substitute(name="mine", title="Mine")
    page = (ROOT / "docs" / "add-a-detector.md").read_text("utf-8")
    pieces = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[1:]
    assert len(pieces) == 7
    for piece in pieces:
        assert piece in written or textwrap.indent(piece, "    ") in written, piece


def test_the_protocol_page_names_every_field_and_its_example_is_one(tmp_path: Path) -> None:
    shown = {name for row in _table("protocols.md", "field") for name in re.findall(r"\w+", row[0])}
    assert {f.name for f in fields(Protocol)} <= shown
    page = (ROOT / "docs" / "protocols.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "one.yaml").write_text(example, "utf-8")
    assert read(tmp_path / "one.yaml").strict_identity


def test_the_dataset_page_names_fields_that_there_are() -> None:
    shown = {name for row in _table("add-a-dataset.md", "field of `Sample`") for name in re.findall(r"\w+", row[0])}
    assert shown <= {f.name for f in fields(Sample)}
    assert {f.name for f in fields(Sample)} - shown == {"id", "path", "dataset"}


def _table(page: str, head: str) -> list[list[str]]:
    """Return the cells of the rows below the table head that begins with a word; names without their backticks."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    found = re.search(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, f"{page} has no table of {head}"
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in found[1].splitlines()]


def _code() -> list[str]:
    """Return the blocks and spans of code of all pages."""
    return re.findall(r"```console\n(.*?)```", EVERYWHERE, re.DOTALL) + re.findall(r"`([^`\n]+)`", EVERYWHERE)
