"""`avbench check`: does a plugin keep its contract?"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from avbench.cli.terminal import say

if TYPE_CHECKING:
    from avbench.bench.contract import Result
    from avbench.plugins.registry import Plugins
    from avbench.types import Protocol

EXAMPLES = """examples:
  avbench check fauforensics
  avbench check --plugin mine.py mine
  avbench check lavdf --data /databases
  avbench check auc gaussian_blur within_lavdf protocols/mine.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="detectors, datasets, metrics, perturbations, protocols (or a protocol's FILE.yaml)",
    )
    parser.add_argument("--preset", help="preset of a detector (default: its smallest)")
    parser.add_argument("--data", action="append", default=[], metavar="ROOT|NAME=PATH", help="where databases are")


def execute(arguments: argparse.Namespace) -> int:
    """Check each name; exit code 1 where a promise is broken."""
    from avbench.plugins.registry import installed

    broken = 0
    for name in arguments.names:
        for kind, results in _checks(name, arguments, installed()):
            say(f"{kind} {name}:")
            for result in results:
                broken += not result.kept
                detail = f": {result.detail}" if result.detail else ""
                say(f"  {'ok    ' if result.kept else 'BROKEN'} {result.promise}{detail}")
    say(f"{broken} promises broken" if broken else "all promises kept")
    return 1 if broken else 0


def _checks(name: str, arguments: argparse.Namespace, plugins: Plugins) -> Iterator[tuple[str, Iterable[Result]]]:
    """Yield the kind and the results of everything that is called so; UserError where nothing is."""
    from avbench.bench import contract
    from avbench.data.databases import locate, read_roots
    from avbench.errors import unknown

    detectors, datasets, metrics = plugins.detectors(), plugins.datasets(), plugins.metrics()
    perturbations, protocols = plugins.perturbations(), _protocols(name, plugins)
    if name in detectors and detectors[name].members:
        yield "ensemble", contract.check_ensemble(detectors[name], detectors)
    elif name in detectors:
        yield "detector", contract.check_detector(detectors[name], arguments.preset)
    if name in datasets:
        yield "dataset", contract.check_dataset(locate(datasets[name], read_roots(arguments.data), datasets))
    if name in metrics:
        yield "metric", contract.check_metric(metrics[name])
    if name in perturbations:
        yield "perturbation", contract.check_perturbation(perturbations[name], perturbations)
    if name in protocols:
        yield "protocol", contract.check_protocol(protocols[name], datasets, perturbations)
    known = [*detectors, *datasets, *metrics, *perturbations, *protocols]
    if name not in known:
        raise unknown("detector, dataset, metric, perturbation or protocol", name, known)


def _protocols(name: str, plugins: Plugins) -> dict[str, Protocol]:
    """Return the protocols by name, or that of a file by the file's."""
    from avbench.protocol import SUFFIXES

    if name.endswith(SUFFIXES):
        return {name: plugins.protocol(name)}
    return plugins.protocols()
