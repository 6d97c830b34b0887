"""The documentation: every hook and command is there, commands and links exist, the dataset example works."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from avbench import hookspecs
from avbench.cli import COMMANDS
from avbench.hookspecs import hookspec

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


def _code() -> list[str]:
    """Return the blocks and spans of code of all pages."""
    return re.findall(r"```console\n(.*?)```", EVERYWHERE, re.DOTALL) + re.findall(r"`([^`\n]+)`", EVERYWHERE)
