"""`avbench perturb`: how figures fall as test videos are perturbed; or the perturbed videos themselves."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avbench.cli import selecting
from avbench.cli.terminal import bar, say
from avbench.errors import UserError
from avbench.paths import results_folder
from avbench.records.runs import FoundRun, Runs
from avbench.types import LEVELS

if TYPE_CHECKING:
    from avbench.bench.cell import Cell
    from avbench.plugins.registry import Plugins
    from avbench.protocol import Protocol
    from avbench.records.card import Card

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
    """Sweep each cell, print its tables, and draw all of them into one figure."""
    if arguments.no_mlflow:
        os.environ["AVBENCH_MLFLOW"] = "off"
    from avbench.perturb.conditions import choose
    from avbench.plugins.registry import installed

    selecting.check_computing(arguments)
    plugins = installed()
    conditions = choose(arguments.types, arguments.levels, plugins.perturbations())
    if arguments.export:
        return _export(arguments, conditions)
    if not any(conditions):
        raise UserError("--levels 0 alone perturbs nothing; name at least one level from 1 to 5")
    from avbench.bench.run import run_cell
    from avbench.report import tables as report

    finished: list[Card] = []
    cells = _cells(arguments, plugins)
    for number, cell in enumerate(cells, 1):
        if len(cells) > 1:
            say(f"--- {number} of {len(cells)}: {cell.detector}, {cell.task}, seed {cell.seed}")
        card, folder = run_cell(cell, plugins, progress=bar, say=say)
        finished.append(card)
        say("\n" + report.terminal(card))
        say(f"figure: {folder / 'figures' / 'robustness.png'}\neverything of this run: {folder}\n")
    if len(finished) > 1:
        from avbench.records.table import text
        from avbench.report.robustness_figure import draw_robustness
        from avbench.report.robustness_tables import compared

        say(text(compared(finished)))
        say(f"figure of all: {draw_robustness(finished, cells[0].results_folder / 'figures' / cells[0].group)[0]}")
    return 0


def _cells(arguments: argparse.Namespace, plugins: Plugins) -> list[Cell]:
    if arguments.detector:
        return _of_detectors(arguments, plugins)
    if arguments.protocol:
        raise UserError(f"--protocol {arguments.protocol}: with which --detector? or name a finished run with --run")
    runs = Runs(arguments.out or results_folder())
    found = _named(arguments.run, runs) if arguments.run else _newest(runs)
    if found is None:
        say(f"no finished run of {DETECTOR} in {runs.below}: the demo is trained first")
        arguments.detector = [DETECTOR]
        return _of_detectors(arguments, plugins)
    if arguments.run:
        arguments.out = arguments.out or found.folder.resolve().parents[1]  # where its training is
    say(f"sweeping {found.card.id}")
    return [_of_run(found.card, arguments, plugins)]


def _of_detectors(arguments: argparse.Namespace, plugins: Plugins) -> list[Cell]:
    """Return a cell for each detector, task and seed asked for."""
    found = selecting.find_protocol(arguments.protocol or f"perturb_{DATABASE}", plugins)
    if arguments.fold == "all":
        raise UserError("--fold all: sweep one fold at a time, or use avbench run --protocol perturb_... --fold all")
    protocol = _perturbed(selecting.vary(found, arguments), arguments)
    cells = [
        selecting.cell_of(arguments, plugins, name, protocol, task, seed)
        for name in dict.fromkeys(arguments.detector)
        for task in dict.fromkeys(arguments.task or plugins.detector(name).tasks[:1])
        for seed in dict.fromkeys(arguments.seed)
    ]
    group = f"{'-'.join(dict.fromkeys(c.detector for c in cells))}-{protocol.name}" if len(cells) > 1 else ""
    return [replace(cell, group=group) for cell in cells]


def _of_run(card: Card, arguments: argparse.Namespace, plugins: Plugins) -> Cell:
    """Return the cell of a finished run with its test videos perturbed; its training is used again."""
    from avbench.bench.cell import of_card
    from avbench.data.databases import read_roots

    cell = of_card(card, read_roots(arguments.data), arguments.limit)
    if arguments.decoder not in (None, cell.loading.decoder):
        made = cell.loading.decoder
        raise UserError(f"--decoder {arguments.decoder}: {card.id} was made with {made}; leave it out")
    return replace(
        cell,
        protocol=_perturbed(cell.protocol, arguments),
        device=arguments.device,
        results=arguments.out,
        fresh=arguments.fresh,
        loading=replace(selecting.loading_of(arguments, plugins), decoder=cell.loading.decoder),
    )


def _perturbed(protocol: Protocol, arguments: argparse.Namespace) -> Protocol:
    from avbench.protocol import perturbed, placement_called

    if arguments.placement:
        protocol = replace(protocol, placements=tuple(map(placement_called, arguments.placement)))
    return perturbed(protocol, arguments.types, arguments.levels)


def _named(name: str, runs: Runs) -> FoundRun:
    """Return a named run; UserError where there is none, several, or an unfinished one."""
    found = runs.one(name)
    if not found.card.is_finished:
        raise UserError(f"--run {name}: this run is {found.card.status}; repeat its command to finish it first")
    return found


def _newest(runs: Runs) -> FoundRun | None:
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
