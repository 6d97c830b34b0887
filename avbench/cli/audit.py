"""`avbench audit`: leaks, shortcuts, imbalance and other pitfalls of a database or a protocol, before any training."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.cli import selecting
from avbench.cli.terminal import bar, say
from avbench.errors import UserError
from avbench.paths import atomic_write, results_folder

if TYPE_CHECKING:
    from avbench.auditing.report import Audit

EXAMPLES = """examples:
  avbench audit lavdf
  avbench audit within_fakeav --data /databases --strict-identity
  avbench audit cross_lavdf_to_fakeav --data /databases --limit 2000 --json audit.json
  avbench audit within_fakeav --trim-silence

A database is audited as a whole, a protocol on its test list. Files are read once: what was measured is kept by path,
size and time of change. Exit code 1 where a verdict is fail. Every row is explained in docs/audit.md.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", metavar="DATASET|PROTOCOL", help="see avbench ls datasets, avbench ls protocols")
    selecting.add_protocol(parser)
    parser.add_argument("--seed", type=int, default=0, help="draws --limit, --balanced and the bootstrap (default: 0)")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap (default: 1000)")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="reading processes (default: by cores)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found as JSON too")
    parser.add_argument("--out", type=Path, metavar="DIR", help="results folder (default: results/)")


def execute(arguments: argparse.Namespace) -> int:
    """Read, judge, print, write; exit code 1 where something fails."""
    if arguments.fold == "all":
        raise UserError("--fold all: one test list is of one fold; name it, such as --fold 1")
    if arguments.workers is not None and arguments.workers < 0:
        raise UserError(f"--workers {arguments.workers}: use 0 (read in this process) or more")
    if arguments.resamples < 1:
        raise UserError(f"--resamples {arguments.resamples}: must be at least 1")
    from avbench.data.databases import read_roots
    from avbench.door.judging import audit

    found = audit(
        arguments.name,
        data=read_roots(arguments.data),
        variant=selecting.variant_of(arguments),
        limit=arguments.limit,
        seed=arguments.seed,
        resamples=arguments.resamples,
        workers=arguments.workers,
        allow_demo=arguments.allow_demo,
        progress=bar,
        say=say,
    )
    folder = _write(found, (arguments.out or results_folder()) / "audits" / arguments.name)
    if arguments.json:
        _write_json(found, arguments.json)
        say(f"JSON: {arguments.json}")
    from avbench.auditing.tables import terminal

    say("\n" + terminal(found))
    say(f"everything of this audit: {folder}")
    return 1 if found.count("fail") else 0


def _write(found: Audit, folder: Path) -> Path:
    """Write JSON, Markdown, HTML and the figure into a folder, and return it."""
    from avbench.auditing.figure import draw_shortcuts
    from avbench.auditing.tables import as_html, as_markdown

    folder.mkdir(parents=True, exist_ok=True)
    _, drawn = draw_shortcuts(found, folder / "figures" / "shortcuts")
    _write_json(found, folder / "audit.json")
    for name, text in (("audit.md", as_markdown(found)), ("audit.html", as_html(found, [drawn]))):
        with atomic_write(folder / name) as temporary:
            temporary.write_text(text, "utf-8")
    return folder


def _write_json(found: Audit, path: Path) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(found.as_dict(), indent=2, allow_nan=False, default=list) + "\n", "utf-8")
