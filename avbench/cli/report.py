"""`avbench report`: finished runs again, from their cards alone."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.cli.terminal import say
from avbench.errors import UserError
from avbench.own_line import at_its_line, unexpected
from avbench.paths import atomic_write, results_folder
from avbench.records.runs import Runs

if TYPE_CHECKING:
    from avbench.records.card import Card
    from avbench.records.run import Run
    from avbench.records.table import Table

log = logging.getLogger(__name__)
EXAMPLES = """examples:
  avbench report
  avbench report fauforensics-cross_lavdf_to_fakeav-binary-s0-1a2b3c4d
  avbench report --html --markdown results/report.md
  avbench report --paper
  avbench report --paper table1 table3 --html --latex results/tables.tex --csv results/tables
  avbench report --paper --csv tables --keep-runs
  avbench report --verify tables
  avbench report RUN --to-mlflow
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="ids, beginnings of ids, or folders (default: every run)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="results folder (default: results/)")
    parser.add_argument(
        "--paper",
        nargs="*",
        metavar="TABLE",
        help="the paper's tables, reported beside measured: table1 to table5 (default: all that something is known of)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="with --paper: show the runs that were made with this setting; repeatable",
    )
    parser.add_argument(
        "--html", action="store_true", help="write one self-contained page, report.html beside the runs"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write Markdown")
    parser.add_argument("--latex", type=Path, metavar="FILE", help="write the tables as LaTeX (booktabs)")
    parser.add_argument("--csv", type=Path, metavar="DIR", help="write each table as CSV into a folder")
    parser.add_argument(
        "--keep-runs",
        action="store_true",
        help="with --csv: copy card and scores of each run in the tables into DIR/runs, without paths of this machine",
    )
    parser.add_argument(
        "--verify",
        type=Path,
        metavar="DIR",
        help="recompute every card in DIR/runs from its scores, and every table DIR/*.csv from the cards; hold scores "
        "and trainings to their sha256",
    )
    parser.add_argument("--to-mlflow", action="store_true", help="log the runs to MLflow, where that failed before")


def execute(arguments: argparse.Namespace) -> int:
    """Print the runs, or the paper's tables of them; write and log what was asked for; or verify, 1 if in vain."""
    if arguments.verify is not None:
        return _verify(arguments.verify)
    if arguments.keep_runs and not arguments.csv:
        raise UserError("--keep-runs: into which folder? add --csv DIR")
    from avbench.records import table
    from avbench.report import tables as report

    runs = Runs(arguments.out or results_folder())
    named = [run for name in arguments.runs for run in runs.matching(name)]
    chosen = _showable(named if arguments.runs else runs.readable())
    if not chosen:
        there = "that can be shown " if len(runs) else ""
        raise UserError(f"no run {there}in {runs.below}; avbench run makes one")
    found, folders = [run.card for run in chosen], [run.folder for run in chosen]
    if arguments.paper is not None:
        tables = _paper(arguments.paper, found, arguments.overrides)
        for one in tables:
            say(table.text(one) + "\n")
    else:
        tables = report.summaries(found)
        if arguments.runs:
            for card in found:
                say(report.terminal(card) + "\n")
        if len(found) > 1 or not arguments.runs:
            say(report.summary(found))
    if arguments.markdown:
        blocks = [table.markdown(one) for one in tables]
        _write(arguments.markdown, "\n\n".join(blocks) if arguments.paper is not None else report.markdown(found))
    if arguments.latex:
        _write(arguments.latex, "\n".join(table.latex(one) for one in tables))
    if arguments.csv:
        for one in tables:
            _write(arguments.csv / f"{table.file_name(one.title)}.csv", table.comma_separated(one))
    if arguments.keep_runs:
        _keep(arguments, chosen)
    if arguments.html:
        from avbench.report.html import html
        from avbench.report.suite_figures import draw_suite

        first = tables if arguments.paper is not None else []
        drawn = []
        try:
            drawn = draw_suite(found, folders[0].parent.parent / "figures") if len(found) > 1 else []
        except Exception as error:
            log.warning("the page is without figures of several runs: %s", unexpected(error))
        say(f"HTML: {html(found, folders[0].parent, first, [path for path in drawn if path.suffix == '.svg'])}")
    if arguments.to_mlflow:
        from avbench.report.tracking import log_run

        for card, folder in zip(found, folders, strict=True):
            if card.is_finished:
                say(f"MLflow run {log_run(card, folder)}: {card.id}")
    return 0


def _verify(folder: Path) -> int:
    """Recompute a folder's cards and tables and tell each value that differs; 1 where one does."""
    from avbench.cli.terminal import bar
    from avbench.plugins.registry import installed
    from avbench.report.verifying import TOLERANCE, Difference, unverifiable, verify_run, verify_tables

    every, broken = _read(Runs(folder))
    runs = [run for run in every if run.finished]
    if not runs and not broken:
        raise UserError(
            f"no finished run in {folder / 'runs'}; copy them there with avbench report --csv DIR --keep-runs"
        )
    plugins = installed()
    found: list[list[Difference]] = []
    with bar("verify", len(runs), unit="run") as shown:
        for run in runs:
            found.append(verify_run(run, plugins))
            shown.advance()
    tables, differing = verify_tables(folder, [run.card for run in runs])
    for line in broken:
        say(line)
    for difference in [one for several in (*found, differing) for one in several]:
        say(str(difference))
    for run in runs:
        if what := unverifiable(run):
            say(f"{run.id}: unverifiable {what}, of which an earlier version noted no sha256")
    right = found.count([])
    off = len({difference.where for difference in differing})
    say(
        f"{right} of {len(runs) + len(broken)} runs are what their scores come to (counts exactly, other numbers "
        f"within {TOLERANCE:g}), {tables - off} of {tables} tables what these runs come to"
    )
    return 0 if right == len(runs) and not differing and not broken else 1


def _read(runs: Runs) -> tuple[list[Run], list[str]]:
    """Return the runs of a folder, and what is wrong with the cards of the others."""
    found, broken = [], []
    for number in range(len(runs)):
        try:
            found.append(runs[number])
        except UserError as error:
            broken.append(str(error))
    return found, broken


def _showable(runs: Sequence[Run]) -> list[Run]:
    """Return the runs whose cards say what a card says; one that says something else costs itself alone."""
    from avbench.report import tables as report

    found = []
    for run in runs:
        try:
            report.terminal(run.card)
            report.summaries([run.card])
        except Exception as error:
            log.warning("left out, its card cannot be shown: %s: %s", run.folder, at_its_line(error))
        else:
            found.append(run)
    return found


def _keep(arguments: argparse.Namespace, chosen: list[Run]) -> None:
    """Copy the runs that the tables show: of the paper's, those of its cells; else all."""
    from avbench.records import suite
    from avbench.report.keeping import keep
    from avbench.report.suite_tables import runs_shown

    kept = [run for run in chosen if run.finished]
    if arguments.paper is not None:
        suites = [suite.find(name) for name in arguments.paper or suite.paper()]
        cards = [run.card for run in chosen]
        shown = {card.id for one in suites for card in runs_shown(one, cards, arguments.overrides)}
        kept = [run for run in kept if run.id in shown]
    say(f"kept: {len(keep(kept, arguments.csv))} runs in {arguments.csv / 'runs'}")


def _paper(names: list[str], found: list[Card], settings: list[str]) -> list[Table]:
    """Return the paper's tables; UserError where none of the runs belongs into one that was named."""
    from avbench.records import suite
    from avbench.report.suite_tables import suite_tables

    tables: list[Table] = []
    for name in names or list(suite.paper()):
        made = list(suite_tables(suite.find(name), found, settings))
        if names and not made:
            raise UserError(f"{name}: none of these runs belongs into it; make them with avbench matrix --paper {name}")
        tables += made
    if not tables:
        raise UserError("none of these runs belongs into a table of the paper; avbench matrix --paper all makes them")
    return tables


def _write(path: Path, content: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(content.rstrip("\n") + "\n", "utf-8")
    say(f"written: {path}")
