"""`avbench perturb`: how figures fall as test videos are perturbed; or the perturbed videos themselves."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avbench.cli import selecting
from avbench.cli.starting import by_design
from avbench.cli.terminal import bar, say
from avbench.errors import UserError
from avbench.paths import results_folder
from avbench.protocol import placement_called
from avbench.records.run import Run
from avbench.records.runs import Runs
from avbench.types import LEVELS

if TYPE_CHECKING:
    from avbench.bench.spec import Computing, RunSpec
    from avbench.plugins.registry import Plugins
    from avbench.records.card import Card
    from avbench.records.run import Run

EXAMPLES = """examples:
  avbench perturb
  avbench perturb --run fauforensics-within_fakeav-binary-s0-1a2b3c4d --types paper sound
  avbench perturb --detector fauforensics mine --plugin mine.py --protocol within_fakeav --data /databases
  avbench perturb --types gaussian_noise jpeg --levels 1 3 5 --limit 50
  avbench perturb --export video.mp4 --types paper --levels 1 3 5 --out perturbed/

Without --run and --detector, the newest run of FauForensics is swept, or the demo trained first. Types: see avbench ls
perturbations; sets of them: paper (the six of Figure 6), pictures, sound, all. Repeating a command continues it.
"""
DETECTOR, DATABASE = "fauforensics", "fakeav"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--types", nargs="+", default=["paper"], metavar="TYPE|SET", help="default: paper")
    parser.add_argument("--levels", nargs="+", type=int, default=list(LEVELS), metavar="K", help="default: 0 to 5")
    parser.add_argument("--run", metavar="RUN", help="sweep a finished run: its id, the beginning of it, or its folder")
    parser.add_argument("--detector", nargs="+", metavar="NAME", help="train and sweep these instead")
    parser.add_argument("--protocol", metavar="NAME|FILE.yaml", help=f"with --detector (default: perturb_{DATABASE})")
    parser.add_argument("--task", nargs="+", choices=("binary", "four_class"), default=None, help="default: binary")
    parser.add_argument("--seed", nargs="+", type=int, default=[0], metavar="N", help="default: 0")
    selecting.add_protocol(parser)
    selecting.add_computing(parser)
    parser.add_argument("--export", type=Path, metavar="VIDEO", help="write this video perturbed, and a contact sheet")
    parser.add_argument(
        "--voices", type=Path, nargs="+", default=[], metavar="FILE", help="with --export: whose speech babble mixes in"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Sweep each run, print its tables, and draw all of them into one figure."""
    from avbench.perturbations.conditions import choose
    from avbench.plugins.registry import installed

    plugins = installed()
    conditions = choose(arguments.types, arguments.levels, plugins.perturbations())
    if arguments.export:
        return _export(arguments, conditions)
    from avbench.bench.run import run, scorer_of
    from avbench.report import tables as report

    finished = []
    specs, computing = _asked(arguments, plugins)
    for spec in specs:
        scorer_of(spec, plugins, computing)  # what none of them can ever be is told before the first is computed
    for number, spec in enumerate(specs, 1):
        if len(specs) > 1:
            say(f"--- {number} of {len(specs)}: {spec.detector}, {spec.task}, seed {spec.seed}")
        done = run(spec, plugins, computing=computing, progress=bar, say=say)
        finished.append(done.card)
        say("\n" + report.terminal(done.card))
        if drawn := done.figures.get("robustness"):  # a figure that could not be drawn costs nothing else
            say(f"figure: {drawn}")
        say(f"everything of this run: {done.folder}\n")
    if line := by_design(finished, plugins):
        say(line)
    if len(finished) > 1:
        from avbench.records.table import text
        from avbench.report.robustness_figure import draw_robustness
        from avbench.report.robustness_tables import compared

        say(text(compared(finished)))
        say(f"figure of all: {draw_robustness(finished, computing.results_folder / 'figures' / computing.group)[0]}")
    return 0


def _asked(arguments: argparse.Namespace, plugins: Plugins) -> tuple[list[RunSpec], Computing]:
    """Return what is to be swept: detectors, a finished run, or the newest one of all."""
    from avbench.bench.spec import of_run, swept
    from avbench.data.databases import read_roots

    if arguments.detector:
        return _of_detectors(arguments.detector, arguments, plugins)
    if arguments.protocol:
        raise UserError(f"--protocol {arguments.protocol}: with which --detector? or name a finished run with --run")
    runs = Runs(arguments.out or results_folder())
    found = runs.one(arguments.run) if arguments.run else _newest(runs)
    if found is None:
        say(f"no finished run of {DETECTOR} in {runs.below}: the demo is trained first")
        return _of_detectors([DETECTOR], arguments, plugins)
    spec = of_run(found, read_roots(arguments.data), arguments.limit)
    if arguments.decoder not in (None, spec.decoder):
        raise UserError(f"--decoder {arguments.decoder}: {found.id} was made with {spec.decoder}; leave it out")
    spec = replace(spec, from_scratch=spec.from_scratch or arguments.from_scratch)
    say(f"sweeping {found.id}")
    computing = selecting.computing_of(arguments, plugins)
    if arguments.out is None:
        computing = replace(computing, results=found.results_folder)  # where its training is
    placements = tuple(map(placement_called, arguments.placement or ()))
    return [swept(spec, plugins, types=arguments.types, levels=arguments.levels, placements=placements)], computing


def _of_detectors(
    detectors: Sequence[str], arguments: argparse.Namespace, plugins: Plugins
) -> tuple[list[RunSpec], Computing]:
    """Return a run for each detector, task and seed asked for."""
    from avbench.bench.spec import swept

    found = plugins.protocol(arguments.protocol or f"perturb_{DATABASE}")
    if arguments.fold == "all":
        raise UserError("--fold all: sweep one fold at a time, or use avbench run --protocol perturb_... --fold all")
    protocol = selecting.vary(found, arguments)
    specs = [
        swept(
            selecting.spec_of(arguments, detector=name, protocol=protocol, task=task, seed=seed),
            plugins,
            types=arguments.types,
            levels=arguments.levels,
        )
        for name in dict.fromkeys(detectors)
        for task in dict.fromkeys(arguments.task or plugins.detector(name).tasks[:1])
        for seed in dict.fromkeys(arguments.seed)
    ]
    group = f"{'-'.join(dict.fromkeys(detectors))}-{specs[0].protocol.name}" if len(specs) > 1 else ""
    return specs, selecting.computing_of(arguments, plugins, group=group)


def _newest(runs: Runs) -> Run | None:
    """Return the newest finished FauForensics run; of binary ones where there are any, as in Figure 6."""

    def able(card: Card) -> bool:
        return card.is_finished and card.request is not None

    beginning = f"{DETECTOR}-"
    binary = runs.newest(lambda card: able(card) and card.task == "binary", beginning=beginning)
    return binary or runs.newest(able, beginning=beginning)


def _export(arguments: argparse.Namespace, conditions: Any) -> int:
    from avbench.analysis.export import export

    folder = arguments.out or Path("perturbed")
    for path in export(arguments.export, conditions, folder, voices=tuple(arguments.voices), progress=bar):
        say(str(path))
    return 0
