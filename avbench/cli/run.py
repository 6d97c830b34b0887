"""`avbench run`: train a detector, judge it, print its table."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from avbench.cli import selecting
from avbench.cli.starting import by_design
from avbench.cli.terminal import bar, say
from avbench.errors import UserError
from avbench.records import suite

if TYPE_CHECKING:
    from avbench.bench.spec import RunSpec
    from avbench.plugins.registry import Plugins
    from avbench.protocol import Protocol
    from avbench.types import DetectorSpec, Task

    Asked = tuple[tuple[str, ...], Protocol, tuple[Task, ...]]

EXAMPLES = """examples:
  avbench run --detector fauforensics --protocol cross_lavdf_to_fakeav
  avbench run --detector fauforensics --protocol cross_lavdf_to_fakeav --data /databases --device cuda
  avbench run --detector fauforensics --protocol within_fakeav --data fakeav=/data/FakeAVCeleb_v1.2 --fold all
  avbench run --detector fauforensics --protocol within_lavdf --task binary --seed 0 1 2 --set epochs=5
  avbench run --detector mine --plugin mine.py --protocol within_lavdf --limit 50
  avbench run --detector fauforensics --protocol ablation_modules

Repeating a command continues it; a finished one prints its table again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--detector", required=True, metavar="NAME", help="see avbench ls detectors")
    parser.add_argument(
        "--protocol", required=True, metavar="NAME|FILE.yaml", help="see avbench ls protocols; or an ablation"
    )
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
    from avbench.bench.run import run
    from avbench.plugins.registry import installed
    from avbench.report import tables as report

    plugins = installed()
    finished = []
    specs = _specs(arguments, plugins)
    asked = arguments.protocol if suite.named(arguments.protocol) else specs[0].protocol.name
    group = f"{arguments.detector}-{asked}" if len(specs) > 1 else ""
    computing = selecting.computing_of(arguments, plugins, group=group)
    for number, spec in enumerate(specs, 1):
        if len(specs) > 1:
            say(f"--- {number} of {len(specs)}: {spec.task}, seed {spec.seed}, fold {spec.protocol.fold}")
        done = run(spec, plugins, computing=computing, progress=bar, say=say)
        finished.append(done.card)
        say("\n" + report.terminal(done.card))
        say(f"everything of this run: {done.folder}\n")
    if len(finished) > 1:
        say(report.summary(finished))
    if line := by_design(finished, plugins):
        say(line)
    return 0


def _specs(arguments: argparse.Namespace, plugins: Plugins) -> list[RunSpec]:
    detector = plugins.detector(arguments.detector)
    return [
        selecting.spec_of(arguments, detector=detector.name, protocol=protocol, task=task, seed=seed, settings=settings)
        for settings, asked, tasks in _asked(arguments, detector, plugins)
        for task in tasks
        for protocol in selecting.folds_of(asked, arguments, plugins)
        for seed in dict.fromkeys(arguments.seed)
    ]


def _asked(arguments: argparse.Namespace, spec: DetectorSpec, plugins: Plugins) -> Iterator[Asked]:
    """Yield (settings, protocol, tasks): one protocol as the detector is, or the rows of an ablation under several."""
    if not suite.named(arguments.protocol):
        yield (
            (),
            plugins.protocol(arguments.protocol),
            tuple(dict.fromkeys(arguments.task or spec.tasks)),
        )
        return
    table = suite.find(arguments.protocol)
    cells = [cell for cell in table.cells() if cell[0].detector == spec.name]
    if not cells:
        asked = ", ".join(dict.fromkeys(row.detector for row in table.rows))
        raise UserError(f"{arguments.protocol} says nothing of {spec.name}; it asks for {asked}")
    for row, name, task in cells:
        if task in (arguments.task or spec.tasks):
            yield row.settings, plugins.protocol(name), (task,)
