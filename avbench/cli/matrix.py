"""`avbench matrix`: detectors x protocols x tasks x seeds, or tables of the paper, in one command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from avbench.bench import slurm
from avbench.cli import selecting
from avbench.cli.starting import by_design
from avbench.cli.terminal import say
from avbench.errors import UserError
from avbench.records import suite
from avbench.records.suite import Row, Suite

if TYPE_CHECKING:
    from avbench.bench.matrix import Outcome
    from avbench.bench.spec import RunSpec
    from avbench.plugins.registry import Plugins
    from avbench.types import Protocol, Task

EXAMPLES = """examples:
  avbench matrix --paper table1 --preset demo
  avbench matrix --paper all --data /databases --seed 0 1 2
  avbench matrix --detector fauforensics aasist chance --protocol within_lavdf cross_lavdf_to_fakeav
  avbench matrix --paper table3 --data /databases --jobs 8 --backend dask
  avbench matrix --paper all --data /databases --backend slurm --slurm partition=gpu --slurm gpus_per_task=1

Repeating a command continues it: finished cells are found again, failed ones tried again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--paper", nargs="+", default=[], metavar="TABLE", help="table1 to table5, or all")
    parser.add_argument("--detector", nargs="+", default=[], metavar="NAME", help="see avbench ls detectors")
    parser.add_argument("--protocol", nargs="+", default=[], metavar="NAME|FILE.yaml", help="see avbench ls protocols")
    parser.add_argument(
        "--task", nargs="+", choices=("binary", "four_class"), default=None, help="default: all that a detector does"
    )
    selecting.add_seeds(parser)
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="cells at a time (default: one a GPU, or as many as there are cores; of slurm, 256)",
    )
    parser.add_argument("--backend", default="loky", metavar="NAME", help="loky (default), ray, dask or slurm")
    parser.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what each job of --backend slurm asks for: partition, account, qos, constraint, time (minutes), mem_gb, "
        "cpus_per_task (default: those of --set threads=N), gpus_per_task; repeatable",
    )
    selecting.add_protocol(parser)
    selecting.add_computing(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Compute what is missing, show how it goes, then the tables; 1 where a cell failed."""
    from avbench.bench.matrix import run_matrix
    from avbench.cli.overview import Overview, failures
    from avbench.plugins.registry import installed

    plugins = installed()
    _check(arguments)
    suites = list(_suites(arguments, plugins))
    specs = _specs(suites, arguments, plugins)
    group = "matrix-" + "-".join(arguments.paper or [*arguments.detector, *_asked(arguments, plugins)])
    jobs = selecting.jobs_of(arguments, specs, arguments.backend)
    computing = selecting.computing_of(
        arguments, plugins, group=group, jobs=1 if arguments.backend == "slurm" else jobs
    )
    overview = Overview(specs)
    outcomes = run_matrix(
        specs,
        plugins,
        computing=computing,
        jobs=jobs,
        backend=arguments.backend,
        slurm=slurm.pairs(arguments.slurm),
        progress=overview.progress,
        begun=overview.begun,
        done=overview.ended,
    )
    _tables(suites, outcomes, arguments)
    if line := by_design((outcome.run.card for outcome in outcomes if outcome.run is not None), plugins):
        say(line)
    found = [outcome.run.card for outcome in outcomes if outcome.run is not None and outcome.new]
    for line in dict.fromkeys(card.changes for card in found if card.changes):
        say(line)
    failed = [outcome for outcome in outcomes if outcome.reason]
    for trace in dict.fromkeys(outcome.trace for outcome in failed if outcome.trace and arguments.traceback):
        print(trace, file=sys.stderr)
    for line in failures(failed):
        say(line)
    say(f"{len(outcomes) - len(failed)} of {len(outcomes)} cells finished, in {computing.results_folder / 'runs'}")
    return 1 if failed else 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.checkpoint is not None:
        raise UserError("--checkpoint: weights are one detector's; judge them with avbench run")
    if arguments.jobs is not None and arguments.jobs < 1:
        raise UserError(f"--jobs {arguments.jobs}: use 1 or more")
    if bool(arguments.paper) == bool(arguments.detector and arguments.protocol):
        raise UserError("name --paper TABLE..., or --detector NAME... with --protocol NAME...")


def _suites(arguments: argparse.Namespace, plugins: Plugins) -> Iterator[Suite]:
    names = list(suite.paper()) if "all" in arguments.paper else arguments.paper
    yield from (suite.find(name) for name in dict.fromkeys(names))
    if arguments.detector:
        specs = [plugins.detector(name) for name in dict.fromkeys(arguments.detector)]
        rows = [Row(spec.title or spec.name, spec.name) for spec in specs]
        tasks = {spec.name: [t for t in spec.tasks if t in (arguments.task or spec.tasks)] for spec in specs}
        yield suite.crossing("Matrix", rows, list(_asked(arguments, plugins)), tasks)


def _asked(arguments: argparse.Namespace, plugins: Plugins) -> dict[str, Protocol]:
    """Return the protocols of --protocol by their own names, which those of files need not be."""
    asked: dict[str, Protocol] = {}
    for name in arguments.protocol:
        found = plugins.protocol(name)
        if asked.setdefault(found.name, found).digest() != found.digest():
            raise UserError(
                f"--protocol names two protocols that are called {found.name}; give them names of their own"
            )
    return asked


def _require_one_possible(
    cells: Sequence[tuple[Row, Protocol, Task]], arguments: argparse.Namespace, plugins: Plugins
) -> None:
    """Raise UserError, before any data are scanned or made, where not one cell has settings that its detector takes."""
    from avbench.bench.ensemble import members_of
    from avbench.bench.matrix import fitting
    from avbench.bench.possible import possible_settings

    refused = None
    for row, protocol, task in {(row, task): (row, protocol, task) for row, protocol, task in reversed(cells)}.values():
        try:
            one = selecting.spec_of(
                arguments,
                detector=row.detector,
                protocol=selecting.vary(protocol, arguments),
                task=task,
                seed=0,
                settings=row.settings,
            )
            one = fitting(one, plugins)
            for part in members_of(one, plugins) if plugins.detector(one.detector).members else [one]:
                possible_settings(part, plugins)
        except UserError as error:
            refused = refused or error
            continue
        return
    if refused is not None:
        raise refused


def _specs(suites: Sequence[Suite], arguments: argparse.Namespace, plugins: Plugins) -> list[RunSpec]:
    """Return every run that the suites need, each once."""
    from avbench.bench.matrix import fitting

    asked = _asked(arguments, plugins)
    wanted = [cell for one in suites for cell in one.cells() if cell[2] in (arguments.task or [cell[2]])]
    names = dict.fromkeys(name for _, name, _ in wanted)
    found = {name: asked.get(name) or plugins.protocol(name) for name in names}
    _require_one_possible([(row, found[name], task) for row, name, task in wanted], arguments, plugins)
    folds = {name: selecting.folds_of(protocol, arguments, plugins) for name, protocol in found.items()}
    specs = [
        selecting.spec_of(
            arguments, detector=row.detector, protocol=protocol, task=task, seed=seed, settings=row.settings
        )
        for row, name, task in wanted
        for protocol in folds[name]
        for seed in selecting.seeds_of(protocol, arguments, plugins)
    ]
    if not specs:
        raise UserError("nothing to compute: none of these detectors does that task; see avbench ls detectors")
    return list({spec.fingerprint: spec for spec in (fitting(one, plugins) for one in specs)}.values())


def _tables(suites: Sequence[Suite], outcomes: Sequence[Outcome], arguments: argparse.Namespace) -> None:
    from avbench.records.table import text
    from avbench.report.suite_tables import suite_tables

    cards = [outcome.run.card for outcome in outcomes if outcome.run is not None]
    for one in suites:
        for table in suite_tables(one, cards, arguments.overrides):
            say("\n" + text(table) + "\n")
