"""`avbench run`: train a detector, judge it, print its table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from avbench.cli import selecting
from avbench.cli.rerunning import rerun
from avbench.cli.starting import by_design
from avbench.cli.terminal import bar, say
from avbench.errors import UserError
from avbench.records import suite

if TYPE_CHECKING:
    from avbench.bench.matrix import Outcome
    from avbench.bench.spec import Computing, RunSpec
    from avbench.plugins.registry import Plugins
    from avbench.protocol import Protocol
    from avbench.records.run import Run
    from avbench.types import DetectorSpec, Task

    Asked = tuple[tuple[str, ...], Protocol, tuple[Task, ...]]

EXAMPLES = """examples:
  avbench run --detector fauforensics --protocol cross_lavdf_to_fakeav
  avbench run --detector fauforensics --protocol cross_lavdf_to_fakeav --data /databases --device cuda
  avbench run --detector fauforensics --protocol within_fakeav --data fakeav=/data/FakeAVCeleb_v1.2 --fold all
  avbench run --detector fauforensics --protocol within_lavdf --task binary --seed 0 1 2 --set epochs=5
  avbench run --detector mine --plugin mine.py --protocol within_lavdf --limit 50
  avbench run --detector fauforensics --protocol ablation_modules
  avbench run --from results/runs/fauforensics-within_lavdf-binary-s0-1a2b3c4d/card.json

Without --seed, demo data are learnt with seeds 0, 1 and 2, real data with seed 0. Several runs are computed side by
side, and mean and standard deviation come first. Repeating a command continues it; a finished one shows its tables.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--detector", metavar="NAME", help="see avbench ls detectors")
    parser.add_argument("--protocol", metavar="NAME|FILE.yaml", help="see avbench ls protocols; or an ablation")
    parser.add_argument(
        "--from",
        dest="card",
        metavar="CARD",
        help="in place of these: compute a finished run again, training included, as its card.json (its id, its "
        "folder) describes it, and say whether it came out the same; exit code 1 where it did not",
    )
    parser.add_argument(
        "--task",
        nargs="+",
        choices=("binary", "four_class"),
        default=None,
        help="one training each (default: all that the detector does)",
    )
    selecting.add_seeds(parser)
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="runs at a time (default: one a GPU, or as many as there are cores)"
    )
    selecting.add_protocol(parser)
    selecting.add_computing(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Compute every task, fold and seed asked for; print the one run, or mean and spread of several before each."""
    from avbench.plugins.registry import installed

    if arguments.jobs is not None and arguments.jobs < 1:
        raise UserError(f"--jobs {arguments.jobs}: use 1 or more")
    plugins = installed()
    if arguments.card is not None:
        return rerun(arguments, plugins)
    if missing := [f"--{name}" for name in ("detector", "protocol") if getattr(arguments, name) is None]:
        raise UserError(
            f"{' and '.join(missing)}: which? see avbench ls detectors, avbench ls protocols; or --from CARD"
        )
    specs = _specs(arguments, plugins)
    return _one(specs[0], arguments, plugins) if len(specs) == 1 else _several(specs, arguments, plugins)


def _one(spec: RunSpec, arguments: argparse.Namespace, plugins: Plugins) -> int:
    from avbench.bench.run import run
    from avbench.report import tables as report

    done = run(spec, plugins, computing=selecting.computing_of(arguments, plugins), progress=bar, say=say)
    say("\n" + report.terminal(done.card))
    say(f"everything of this run: {done.folder}\n")
    if line := by_design([done.card], plugins):
        say(line)
    return 0


def _several(specs: Sequence[RunSpec], arguments: argparse.Namespace, plugins: Plugins) -> int:
    """Compute runs side by side; 1 where some failed, which costs the others nothing."""
    from avbench.bench.matrix import run_matrix
    from avbench.cli.overview import Overview, failures

    asked = arguments.protocol if suite.named(arguments.protocol) else specs[0].protocol.name
    jobs = selecting.jobs_of(arguments, specs)
    computing = selecting.computing_of(arguments, plugins, group=f"{arguments.detector}-{asked}", jobs=jobs)
    said: list[str] = []
    finished = _found_before(specs, plugins, computing, said)
    if len(finished) == len(specs):
        say(f"finished before, in {computing.results_folder / 'runs'} (--fresh starts anew)")
        _show(finished, computing, plugins)
        return 0
    say(f"{len(specs)} runs, {f'{jobs} at a time' if jobs > 1 else 'one after the other'}, {_seeds(specs)}")
    overview = Overview(specs)
    outcomes = run_matrix(
        specs,
        plugins,
        computing=computing,
        jobs=jobs,
        progress=overview.progress,
        begun=overview.begun,
        done=overview.ended,
    )
    outcomes = [outcome for outcome in outcomes if outcome.spec in specs]  # members of ensembles are computed too
    failed = [outcome for outcome in outcomes if outcome.run is None]
    _require_some(failed, len(outcomes), traceback=arguments.traceback)
    for line in _said_by_all(outcomes):
        if line not in said:
            say(line)
    runs = [outcome.run for outcome in outcomes if outcome.run is not None]
    if runs:
        _show(runs, computing, plugins)
    for line in dict.fromkeys(one.run.card.changes for one in outcomes if one.run and one.new and one.run.card.changes):
        say(line)
    for line in failures(failed):
        say(line)
    return 1 if failed else 0


def _found_before(specs: Sequence[RunSpec], plugins: Plugins, computing: Computing, said: list[str]) -> list[Run]:
    """Return the runs that are finished, up to the first that is not; what is wrong with them all is told at once."""
    from avbench.bench.run import found_before

    def tell(line: str) -> None:
        if line not in said:
            said.append(line)
            say(line)

    finished: list[Run] = []
    for spec in specs:
        found = found_before(spec, plugins, computing=computing, say=tell)
        if found is None:
            break
        finished.append(found)
    return finished


def _show(runs: Sequence[Run], computing: Computing, plugins: Plugins) -> None:
    """Print mean and spread of runs, or each whole where none repeats another; a line each; where to read on."""
    from avbench.report import tables as report

    cards = [run.card for run in runs]
    for card in cards if not report.spread_table(cards).rows else ():
        say("\n" + report.terminal(card))
    say("\n" + report.summary(cards))
    say(f"\neverything of these runs: {computing.results_folder / 'runs'}; avbench report RUN shows one whole")
    for run in sorted(runs, key=lambda run: run.id):
        say(f"  {run.id}")
    if line := by_design(cards, plugins):
        say(line)


def _seeds(specs: Sequence[RunSpec]) -> str:
    seeds = list(dict.fromkeys(spec.seed for spec in specs))
    return f"seed{'s' * (len(seeds) > 1)} {' '.join(map(str, seeds))}"


def _require_some(failed: Sequence[Outcome], asked: int, *, traceback: bool) -> None:
    """Raise UserError where all runs failed for one reason; show tracebacks, each once, where they are asked for."""
    for trace in dict.fromkeys(outcome.trace for outcome in failed if outcome.trace and traceback):
        print(trace, file=sys.stderr)
    if len(failed) == asked and len({outcome.reason for outcome in failed}) == 1:
        raise UserError(failed[0].reason)


def _said_by_all(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the news that concern all runs, such as which data they are computed on."""
    return [line for line in outcomes[0].said if all(line in outcome.said for outcome in outcomes)]


def _specs(arguments: argparse.Namespace, plugins: Plugins) -> list[RunSpec]:
    """Return every run; what none of them can ever be is told before folds and seeds have the data scanned and made."""
    from avbench.bench.run import scorer_of

    detector = plugins.detector(arguments.detector)
    computing = selecting.computing_of(arguments, plugins)
    for settings, asked, tasks in _asked(arguments, detector, plugins):
        protocol = selecting.vary(asked, arguments)
        for task in tasks:
            one = selecting.spec_of(
                arguments, detector=detector.name, protocol=protocol, task=task, seed=0, settings=settings
            )
            scorer_of(one, plugins, computing)
    return [
        selecting.spec_of(arguments, detector=detector.name, protocol=protocol, task=task, seed=seed, settings=settings)
        for settings, asked, tasks in _asked(arguments, detector, plugins)
        for task in tasks
        for protocol in selecting.folds_of(asked, arguments, plugins)
        for seed in selecting.seeds_of(protocol, arguments, plugins)
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
