"""`avbench evaluate`: the same card, from scores that another framework made."""

from __future__ import annotations

import argparse
from pathlib import Path

from avbench.cli import selecting
from avbench.cli.terminal import say
from avbench.errors import UserError

EXAMPLES = """examples:
  avbench export-list cross_lavdf_to_fakeav --out test.csv
  avbench evaluate --scores mine.csv --protocol cross_lavdf_to_fakeav --name my_detector

The file has the columns id and score = P(fake), or id and p_rarv, p_rafv, p_farv, p_fafv; CSV or parquet. A video
without a score keeps its row, with an empty score and a reason (such as too_short).
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--scores", type=Path, required=True, metavar="FILE", help="CSV or parquet")
    parser.add_argument("--protocol", required=True, metavar="NAME|FILE.yaml")
    parser.add_argument("--name", default="external", help="what to call the detector (default: external)")
    parser.add_argument("--seed", type=int, default=0, help="draws --limit, --balanced and the bootstrap (default: 0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="results folder (default: results/)")
    selecting.add_protocol(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Join the scores to the protocol's test list, measure, print the table."""
    from avbench.bench.external import judge
    from avbench.data.databases import read_roots
    from avbench.plugins.registry import installed
    from avbench.report import tables as report

    plugins = installed()
    if arguments.fold == "all":
        raise UserError("--fold all: one test list is of one fold; name it, such as --fold 1")
    protocol = selecting.vary(plugins.protocol(arguments.protocol), arguments)
    run = judge(
        arguments.scores,
        arguments.name,
        protocol,
        plugins,
        read_roots(arguments.data),
        limit=arguments.limit,
        seed=arguments.seed,
        results=arguments.out,
        allow_demo=arguments.allow_demo,
        say=say,
    )
    say("\n" + report.terminal(run.card))
    say(f"everything of this run: {run.folder}")
    return 0
