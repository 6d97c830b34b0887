"""`avbench data`: make the demo data, or say exactly which files of a database are missing or odd."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.cli.terminal import bar, say
from avbench.errors import UserError, unknown

if TYPE_CHECKING:
    from avbench.data.databases import Database
    from avbench.plugins.registry import Plugins
    from avbench.types import Finding

EXAMPLES = """examples:
  avbench data demo
  avbench data demo --difficulty hard --edition tuning --out hard    # then avbench run ... --data hard
  avbench data check lavdf --data /databases
  avbench data check folder --data folder=clips --decode
  avbench data check fakeav --data fakeav=/data/FakeAVCeleb_v1.2
"""
_CHOICES = ("difficulty", "edition")  # see DatasetSpec.choices


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=("demo", "check"), help="demo: make demo data; check: look at a database")
    parser.add_argument("name", nargs="?", help="dataset to check, see avbench ls datasets")
    parser.add_argument("--data", action="append", default=[], metavar="ROOT|NAME=PATH", help="where databases are")
    parser.add_argument("--decode", action="store_true", help="check: decode every file to its end, too")
    demo = parser.add_argument_group(
        "demo data", "rendered faces; what is measured on them says nothing about a detector"
    )
    demo.add_argument(
        "--difficulty",
        metavar="easy|medium|hard",
        help="how much forgeries give themselves away: on hard, genuine recordings show the same traces of processing "
        "(default: medium)",
    )
    demo.add_argument(
        "--edition",
        metavar="published|tuning",
        help="whose people and words: choose settings on tuning, measure once on published (default: published)",
    )
    demo.add_argument(
        "--out", type=Path, metavar="DIR", help="where to make them, a folder for --data (default: the cache)"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Make or check; exit code 1 where a check finds an error."""
    from avbench.plugins.registry import installed

    plugins = installed()
    choice = {name: getattr(arguments, name) for name in _CHOICES if getattr(arguments, name) is not None}
    if arguments.action == "demo":
        if arguments.decode:
            raise UserError("--decode goes with avbench data check")
        return _make(plugins, choice, arguments.out)
    for name in choice:
        raise UserError(f"--{name} goes with avbench data demo; data that were made are known by themselves")
    if arguments.name is None:
        raise UserError("avbench data check NAME: which dataset? see avbench ls datasets")
    from avbench.data.databases import locate, read_roots

    spec = plugins.dataset(arguments.name)
    base = locate(spec, read_roots(arguments.data), plugins.datasets())
    say(f"{base.title} at {base.root}")
    findings = list(_findings(base, decode=arguments.decode))
    for finding in findings:
        say(f"  {finding.level:<8} {finding.where}: {finding.what}")
    errors = sum(finding.level == "error" for finding in findings)
    say(f"{errors} errors, {sum(f.level == 'warning' for f in findings)} warnings")
    return 1 if errors else 0


def _findings(base: Database, *, decode: bool) -> Iterable[Finding]:
    """Yield what the dataset's own check says, or the one that looks at any dataset, and what files alone tell."""
    from avbench.data.checking import check_database
    from avbench.data.file_names import links_out
    from avbench.references import load_object
    from avbench.types import Finding

    try:
        samples = base.samples()
    except UserError as error:
        yield Finding("error", str(base.root), str(error))
        return
    own = load_object(base.spec.check, f"dataset {base.spec.name}") if base.spec.check else None
    yield from own(base.root) if own is not None else check_database(base)
    if outside := links_out(samples, base.root):
        first = ", ".join(outside[:5]) + (", ..." if len(outside) > 5 else "")
        yield Finding("warning", str(base.root), f"{len(outside):,} files lie outside, behind links: {first}")
    if decode:
        from avbench.data.decoding_check import check_by_decoding

        yield from check_by_decoding(samples, progress=bar)


def _make(plugins: Plugins, choice: Mapping[str, str], out: Path | None) -> int:
    """Make what stands in for databases; in the cache what is not the usual choice has a folder of its own."""
    from avbench.paths import cache_folder
    from avbench.progress import made_with
    from avbench.references import load_object

    for spec in plugins.datasets().values():
        if not spec.make or not spec.stands_in_for:
            continue
        known = dict(spec.choices)
        for name, value in choice.items():
            if name not in known:
                raise UserError(f"{spec.title} has no choice of {name}; leave --{name} out")
            if value not in known[name]:
                raise unknown(name, value, known[name])
        chosen = {name: choice.get(name, values[0]) for name, values in known.items()}
        usual = all(chosen[name] == values[0] for name, values in known.items())
        folder = out or cache_folder() / (spec.name if usual else "-".join([spec.name, *chosen.values()]))
        make = load_object(spec.make, f"dataset {spec.name}")
        root = make(folder, progress=made_with(bar, "make demo data"), **chosen)
        say(f"{spec.title}: {root}" if usual else f"{spec.title} ({', '.join(chosen.values())}): {root}")
    return 0
