"""`avbench ls`: what there is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from avbench.cli.terminal import say

if TYPE_CHECKING:
    from avbench.plugins.registry import Plugins

KINDS = ("detectors", "datasets", "protocols", "tables", "metrics", "perturbations")
EXAMPLES = """examples:
  avbench ls
  avbench ls protocols
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("kind", nargs="?", choices=KINDS, help="default: all of them")


def execute(arguments: argparse.Namespace) -> int:
    """Print a table of each kind."""
    from tabulate import tabulate

    from avbench.plugins.registry import installed

    plugins = installed()
    for kind in [arguments.kind] if arguments.kind else KINDS:
        headers, rows = _ROWS[kind](plugins)
        say(f"{kind}:")
        say((tabulate(rows, headers, tablefmt="simple") if rows else "  none installed") + "\n")
    return 0


def _detectors(plugins: Plugins) -> tuple[list[str], list[list[str]]]:
    from avbench.types import DetectorSpec

    return ["name", "title", "tasks", "needs", "presets", "from"], [
        [
            d.name,
            d.title,
            " ".join(d.tasks),
            " + ".join(d.members) or " ".join(sorted(d.requires)) or "nothing",
            " ".join(p.name for p in d.presets),
            plugins.source_of("avbench_detectors", DetectorSpec, d.name).origin,
        ]
        for d in plugins.detectors().values()
    ]


def _datasets(plugins: Plugins) -> tuple[list[str], list[list[str]]]:
    return ["name", "title", "folder", "identity is", "licence"], [
        [d.name, d.title, " or ".join(d.folders), d.identity_is, d.licence] for d in plugins.datasets().values()
    ]


def _protocols(plugins: Plugins) -> tuple[list[str], list[list[str]]]:
    return ["name", "version", "trained on", "judged on", ""], [
        [p.name, str(p.version), p.train, p.test, p.title] for p in plugins.protocols().values()
    ]


def _tables(plugins: Plugins) -> tuple[list[str], list[list[str]]]:
    from avbench.records.suite import paper

    return ["name", "title", "rows", "cells"], [
        [name, table.title, str(len(table.rows)), str(len(list(table.cells())))] for name, table in paper().items()
    ]


def _metrics(plugins: Plugins) -> tuple[list[str], list[list[str]]]:
    return ["name", "title", "tasks", "better"], [
        [m.name, m.title, " ".join(m.tasks), "higher" if m.higher_is_better else "lower"]
        for m in plugins.metrics().values()
    ]


def _perturbations(plugins: Plugins) -> tuple[list[str], list[list[str]]]:
    return ["name", "title", "stream", "levels 1-5", "unit", "sets", "levels from"], [
        [p.name, p.title, p.stream, " ".join(f"{level:g}" for level in p.levels), p.unit, " ".join(p.sets), p.source]
        for p in plugins.perturbations().values()
    ]


_ROWS = {
    "detectors": _detectors,
    "datasets": _datasets,
    "protocols": _protocols,
    "tables": _tables,
    "metrics": _metrics,
    "perturbations": _perturbations,
}
