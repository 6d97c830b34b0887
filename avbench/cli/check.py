"""`avbench check`: does a plugin keep its contract?"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from avbench.cli.terminal import say

if TYPE_CHECKING:
    from avbench.bench.contract import Result

EXAMPLES = """examples:
  avbench check fauforensics
  avbench check --plugin mine.py mine
  avbench check lavdf --data /databases
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="detectors or datasets")
    parser.add_argument("--preset", help="preset of a detector (default: its smallest)")
    parser.add_argument("--data", action="append", default=[], metavar="ROOT|NAME=PATH", help="where databases are")


def execute(arguments: argparse.Namespace) -> int:
    """Check each name; exit code 1 where a promise is broken."""
    from avbench.bench.contract import check_dataset, check_detector, check_ensemble
    from avbench.data.databases import locate, read_roots
    from avbench.errors import unknown
    from avbench.plugins.registry import installed

    plugins = installed()
    detectors, datasets = plugins.detectors(), plugins.datasets()
    broken = 0
    for name in arguments.names:
        results: Iterable[Result]
        if name in detectors and detectors[name].members:
            results = check_ensemble(detectors[name], detectors)
        elif name in detectors:
            results = check_detector(detectors[name], arguments.preset)
        elif name in datasets:
            results = check_dataset(locate(datasets[name], read_roots(arguments.data), datasets))
        else:
            raise unknown("detector or dataset", name, [*detectors, *datasets])
        say(f"{name}:")
        for result in results:
            broken += not result.kept
            say(
                f"  {'ok    ' if result.kept else 'BROKEN'} {result.promise}"
                + (f": {result.detail}" if result.detail else "")
            )
    say(f"{broken} promises broken" if broken else "all promises kept")
    return 1 if broken else 0
