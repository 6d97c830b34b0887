"""`avbench export-list`: the videos a protocol trains on and judges, for another framework."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from avbench.cli import selecting
from avbench.cli.terminal import say
from avbench.errors import UserError
from avbench.paths import atomic_write

EXAMPLES = """examples:
  avbench export-list cross_lavdf_to_fakeav --out test.csv
  avbench export-list within_fakeav --part train --fold 2 --data /databases
"""
COLUMNS = ("id", "path", "label", "forgery", "identity", "method", "split")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("protocol", metavar="PROTOCOL", help="see avbench ls protocols; or FILE.yaml")
    parser.add_argument("--part", choices=("train", "validation", "test"), default="test", help="default: test")
    parser.add_argument("--out", type=Path, metavar="FILE.csv", help="default: the terminal")
    parser.add_argument("--seed", type=int, default=0, help="draws --limit and --balanced (default: 0)")
    selecting.add_protocol(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Write one row a video: label is 1 for any forgery."""
    from avbench.data.databases import read_roots
    from avbench.data.lists import prepare
    from avbench.plugins.registry import installed

    plugins = installed()
    if arguments.fold == "all":
        raise UserError("--fold all: one test list is of one fold; name it, such as --fold 1")
    protocol = selecting.vary(plugins.protocol(arguments.protocol), arguments)
    lists = prepare(protocol, plugins, read_roots(arguments.data), limit=arguments.limit, seed=arguments.seed)
    samples = getattr(lists.split, arguments.part)
    rows = [(s.id, s.path, int(s.forgery > 0), s.forgery.name, s.identity, s.method, arguments.part) for s in samples]
    if arguments.out is None:
        csv.writer(sys.stdout, lineterminator="\n").writerows([COLUMNS, *rows])
        return 0
    with atomic_write(arguments.out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    say(f"{len(rows):,} {arguments.part} videos of {protocol.name}: {arguments.out}")
    return 0
