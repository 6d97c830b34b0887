"""`avbench report`: finished runs again, from their cards alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from avbench.cli.terminal import say
from avbench.errors import UserError
from avbench.places import results_folder, written_whole

EXAMPLES = """examples:
  avbench report
  avbench report fauforensics-cross_lavdf_to_fakeav-binary-s0-1a2b3c4d
  avbench report --html --markdown results/report.md
  avbench report RUN --to-mlflow
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="ids, beginnings of ids, or folders (default: every run)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="results folder (default: results/)")
    parser.add_argument(
        "--html", action="store_true", help="write one self-contained page, report.html beside the runs"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write Markdown")
    parser.add_argument("--to-mlflow", action="store_true", help="log the runs to MLflow, where that failed before")


def execute(arguments: argparse.Namespace) -> int:
    """Print the runs; write and log what was asked for."""
    from avbench import card as cards
    from avbench import report

    folders = _folders(arguments.runs, (arguments.out or results_folder()) / "runs")
    found = [cards.read(folder) for folder in folders]
    if arguments.runs:
        for card in found:
            say(report.terminal(card) + "\n")
    if len(found) > 1 or not arguments.runs:
        say(report.summary(found))
    if arguments.markdown:
        with written_whole(arguments.markdown) as temporary:
            temporary.write_text(report.markdown(found), "utf-8")
        say(f"Markdown: {arguments.markdown}")
    if arguments.html:
        from avbench.report_html import html

        say(f"HTML: {html(found, folders[0].parent)}")
    if arguments.to_mlflow:
        from avbench.tracking import log_run

        for card, folder in zip(found, folders, strict=True):
            if card["status"] == "finished":
                say(f"MLflow run {log_run(card, folder)}: {card['id']}")
    return 0


def _folders(names: list[str], runs: Path) -> list[Path]:
    """Return the folders of the named runs, or of all there are."""
    there = sorted(path.parent for path in runs.glob("*/card.json"))
    if not there and not names:
        raise UserError(f"no run in {runs}; avbench run makes one")
    folders: list[Path] = []
    for name in names:
        matching = (
            [Path(name)] if (Path(name) / "card.json").is_file() else [p for p in there if p.name.startswith(name)]
        )
        if not matching:
            raise UserError(f"no run called {name!r} in {runs}; avbench report lists those there are")
        folders += matching
    return folders or there
