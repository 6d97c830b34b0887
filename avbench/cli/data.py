"""`avbench data`: make the demo data, or say exactly which files of a database are missing or odd."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.cli.terminal import bar, say
from avbench.errors import UserError

if TYPE_CHECKING:
    from avbench.data.databases import Database
    from avbench.types import Finding

EXAMPLES = """examples:
  avbench data demo
  avbench data check lavdf --data /databases
  avbench data check fakeav --data fakeav=/data/FakeAVCeleb_v1.2
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=("demo", "check"), help="demo: make demo data; check: look at a database")
    parser.add_argument("name", nargs="?", help="dataset to check, see avbench ls datasets")
    parser.add_argument("--data", action="append", default=[], metavar="ROOT|NAME=PATH", help="where databases are")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to make the demo data (default: the cache)")


def execute(arguments: argparse.Namespace) -> int:
    """Make or check; exit code 1 where a check finds an error."""
    from avbench.plugins.registry import installed

    plugins = installed()
    if arguments.action == "demo":
        return _make(arguments.out)
    if arguments.name is None:
        raise UserError("avbench data check NAME: which dataset? see avbench ls datasets")
    from avbench.data.databases import locate, read_roots

    spec = plugins.dataset(arguments.name)
    base = locate(spec, read_roots(arguments.data), plugins.datasets())
    say(f"{base.title} at {base.root}")
    findings = list(_findings(base))
    for finding in findings:
        say(f"  {finding.level:<8} {finding.where}: {finding.what}")
    errors = sum(finding.level == "error" for finding in findings)
    say(f"{errors} errors, {sum(f.level == 'warning' for f in findings)} warnings")
    return 1 if errors else 0


def _findings(base: Database) -> Iterable[Finding]:
    """Return what the dataset's own check says, or the one that looks at any dataset."""
    from avbench.data.checking import check_database
    from avbench.references import load_object

    if not base.spec.check:
        return check_database(base)
    found: Iterable[Finding] = load_object(base.spec.check, f"dataset {base.spec.name}")(base.root)
    return found


def _make(out: Path | None) -> int:
    from avbench.paths import cache_folder
    from avbench.plugins.registry import installed
    from avbench.progress import made_with
    from avbench.references import load_object

    for spec in installed().datasets().values():
        if spec.make and spec.stands_in_for:
            root = load_object(spec.make, f"dataset {spec.name}")(
                out or cache_folder() / spec.name, progress=made_with(bar, "make demo data")
            )
            say(f"{spec.title}: {root}")
    return 0
