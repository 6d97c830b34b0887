"""`avbench new`: write a plugin that works, to be changed."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from avbench.cli.terminal import say
from avbench.errors import UserError

EXAMPLES = """examples:
  avbench new detector mine
  avbench new detector mine --full
  avbench new dataset booth
  avbench new protocol strict

  avbench check --plugin mine.py mine
  avbench run --plugin mine.py --detector mine --protocol cross_lavdf_to_fakeav --task binary
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is written for a kind of plugin: its template, where it goes, what to do next (`{path}`, `{name}`)."""

    template: str
    path: str
    next: str


KINDS = {
    "detector": Kind("detector.py", "{name}.py", "avbench check --plugin {path} {name}"),
    "dataset": Kind("dataset.py", "{name}.py", "avbench check --plugin {path} {name} --data {name}=FOLDER"),
    "metric": Kind("metric.py", "{name}.py", "avbench check --plugin {path} {name}"),
    "perturbation": Kind("perturbation.py", "{name}.py", "avbench check --plugin {path} {name}"),
    "protocol": Kind("protocol.yaml", "protocols/{name}.yaml", "avbench check {path}"),
}
FULL = {"detector": Kind("detector_full.py", "{name}.py", "avbench check --plugin {path} {name}")}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("kind", choices=tuple(KINDS))
    parser.add_argument("name", help="a-z, 0-9 and _")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: NAME.py, of a protocol protocols/NAME.yaml")
    parser.add_argument(
        "--full", action="store_true", help="a detector with settings, an extra loss, two stages and start weights"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write the file, unless there is one."""
    kind, name = arguments.kind, arguments.name
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise UserError(f"{name!r} is no name for a {kind}: use a-z, 0-9 and _, beginning with a letter")
    if arguments.full and kind not in FULL:
        raise UserError(f"--full: there is one template of a {kind}; --full is for {' and '.join(FULL)}")
    chosen = (FULL if arguments.full else KINDS)[kind]
    path = arguments.out or Path(chosen.path.format(name=name))
    if path.suffix != Path(chosen.template).suffix:
        raise UserError(f"--out {path}: a {kind} is a file that ends with {Path(chosen.template).suffix}")
    if path.exists():
        raise UserError(f"{path} is there already; choose another name or --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_filled(chosen.template, name), "utf-8")
    say(f"wrote {path}; next: {chosen.next.format(path=path, name=name)}")
    return 0


def _filled(template: str, name: str) -> str:
    """Return the text of a template with a name in its places; UserError for one that its imports use."""
    text = files("avbench.cli").joinpath("templates", f"{template}.template").read_text("utf-8")
    title = "".join(part.capitalize() for part in name.split("_"))
    if re.search(rf"^(from|import) .*\b{title}\b|^class {title}\b", text, re.MULTILINE):
        raise UserError(f"{name!r}: {title} is imported in that file already; choose another name")
    return Template(text).substitute(name=name, title=title)
