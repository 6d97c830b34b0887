"""`avbench run`: train a detector, judge it, print its table."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from avbench.cli import selecting
from avbench.cli.terminal import bar, say

if TYPE_CHECKING:
    from avbench.cell import Cell

EXAMPLES = """examples:
  avbench run --detector fauforensics --protocol cross_lavdf_to_fakeav
  avbench run --detector fauforensics --protocol cross_lavdf_to_fakeav --data /databases --device cuda
  avbench run --detector fauforensics --protocol within_fakeav --data fakeav=/data/FakeAVCeleb_v1.2 --fold all
  avbench run --detector fauforensics --protocol within_lavdf --task binary --seed 0 1 2 --set epochs=5
  avbench run --detector mine --plugin mine.py --protocol within_lavdf --limit 50

Repeating a command continues it; a finished one prints its table again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--detector", required=True, metavar="NAME", help="see avbench ls detectors")
    parser.add_argument("--protocol", required=True, metavar="NAME", help="see avbench ls protocols")
    parser.add_argument(
        "--task",
        nargs="+",
        choices=("binary", "four_class"),
        default=None,
        help="one training each (default: all that the detector does)",
    )
    parser.add_argument("--seed", nargs="+", type=int, default=[0], metavar="N", help="one training each (default: 0)")
    selecting.add_protocol(parser)
    selecting.add_computing(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run every task, fold and seed asked for, print a table each and a summary of several."""
    if arguments.no_mlflow:
        os.environ["AVBENCH_MLFLOW"] = "off"
    from avbench import report
    from avbench.plugins import installed
    from avbench.run import run_cell

    plugins = installed()
    finished: list[dict[str, Any]] = []
    cells = _cells(arguments)
    for number, cell in enumerate(cells, 1):
        if len(cells) > 1:
            say(f"--- {number} of {len(cells)}: {cell.task}, seed {cell.seed}, fold {cell.protocol.fold}")
        card, folder = run_cell(cell, plugins, progress=bar, say=say)
        finished.append(card)
        say("\n" + report.terminal(card))
        say(f"everything of this run: {folder}\n")
    if len(finished) > 1:
        say(report.summary(finished))
    return 0


def _cells(arguments: argparse.Namespace) -> list[Cell]:
    from avbench.cell import Cell
    from avbench.databases import read_roots
    from avbench.plugins import installed
    from avbench.prepare import fold_count

    plugins = installed()
    spec = plugins.detector(arguments.detector)
    protocol = selecting.vary(selecting.find_protocol(arguments.protocol, plugins), arguments)
    selecting.check_computing(arguments)
    roots = read_roots(arguments.data)
    folds = range(1, fold_count(protocol, plugins, roots) + 1) if arguments.fold == "all" else [protocol.fold]
    tasks = list(dict.fromkeys(arguments.task or spec.tasks))
    cells = [
        Cell(
            arguments.detector,
            replace(protocol, fold=fold),
            task,
            seed,
            roots,
            arguments.preset,
            tuple(arguments.overrides),
            arguments.limit,
            arguments.device,
            arguments.out,
            arguments.fresh,
            arguments.checkpoint,
            selecting.loading_of(arguments, plugins),
        )
        for task in tasks
        for fold in folds
        for seed in dict.fromkeys(arguments.seed)
    ]
    group = f"{arguments.detector}-{protocol.name}" if len(cells) > 1 else ""
    return [replace(cell, group=group) for cell in cells]
