"""`avbench compare`: whether one run is better than another, on the videos that both scored."""

from __future__ import annotations

import argparse
from pathlib import Path

from avbench.cli.terminal import say

EXAMPLES = """examples:
  avbench compare fauforensics-within_fakeav-binary-s0 avts-within_fakeav-binary-s0
  avbench compare results/runs/RUN_A /elsewhere/results/runs/RUN_B

A run is an id, the beginning of one, or a folder. The difference is paired: it is measured on the videos that both
scored, and its interval draws the same people for both.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("first", metavar="A", help="a run: an id, the beginning of one, or a folder")
    parser.add_argument("second", metavar="B", help="another run")
    parser.add_argument("--out", type=Path, metavar="DIR", help="results folder (default: results/)")


def execute(arguments: argparse.Namespace) -> int:
    """Print the paired differences, and which settings and what of the environment differ."""
    from avbench.door.judging import compare

    say(f"{compare(arguments.first, arguments.second, results=arguments.out)}\n")
    return 0
