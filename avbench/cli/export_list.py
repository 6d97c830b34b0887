"""`avbench export-list`: the videos a protocol trains on and judges, for another framework."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.cli import selecting
from avbench.cli.terminal import bar, say
from avbench.errors import UserError
from avbench.paths import atomic_write

if TYPE_CHECKING:
    from avbench.types import Sample

EXAMPLES = """examples:
  avbench export-list cross_lavdf_to_fakeav --out test.csv
  avbench export-list within_fakeav --part train --fold 2 --data /databases

Paths are absolute. clip_start and clip_end are where the one clip of the placement oracle lies in the file; fake_start
and fake_end the forged periods, several with blanks between them, none where all of a fake is forged. All are seconds.
"""
COLUMNS = (
    *("id", "path", "label", "forgery", "identity", "method", "split"),
    *("clip_start", "clip_end", "fake_start", "fake_end"),
)
SHORTEST, LONGEST = 0.04, 3600


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("protocol", metavar="PROTOCOL", help="see avbench ls protocols; or FILE.yaml")
    parser.add_argument("--part", choices=("train", "validation", "test"), default="test", help="default: test")
    parser.add_argument("--out", type=Path, metavar="FILE.csv", help="default: the terminal")
    parser.add_argument("--clip", type=float, default=1.0, metavar="SECONDS", help="length of clips (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="draws --limit, --balanced and clips (default: 0)")
    selecting.add_protocol(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Write one row a video: label is 1 for any forgery."""
    from avbench.data.clip_times import clip_times
    from avbench.data.databases import read_roots
    from avbench.data.lists import prepare
    from avbench.plugins.registry import installed

    if not SHORTEST <= arguments.clip <= LONGEST:  # nan is neither
        raise UserError(f"--clip {arguments.clip}: use seconds from {SHORTEST} to {LONGEST}")
    plugins = installed()
    if arguments.fold == "all":
        raise UserError("--fold all: one test list is of one fold; name it, such as --fold 1")
    protocol = selecting.vary(plugins.protocol(arguments.protocol), arguments)
    lists = prepare(
        protocol,
        plugins,
        read_roots(arguments.data),
        limit=arguments.limit,
        seed=arguments.seed,
        allow_demo=arguments.allow_demo,
    )
    samples = getattr(lists.split, arguments.part)
    times = clip_times(samples, arguments.clip, arguments.seed, progress=bar)
    rows = [_row(sample, arguments.part, clip) for sample, clip in zip(samples, times, strict=True)]
    if arguments.out is None:
        _require_letters(rows)
        csv.writer(sys.stdout, lineterminator="\n").writerows([COLUMNS, *rows])
        return 0
    with atomic_write(arguments.out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    say(f"{len(rows):,} {arguments.part} videos of {protocol.name}: {arguments.out}")
    return 0


def _require_letters(rows: Iterable[tuple[object, ...]]) -> None:
    """Raise UserError for a name that the terminal's encoding does not know: in a list it must not be another."""
    encoding = sys.stdout.encoding or "utf-8"
    for row in rows:
        try:
            "".join(map(str, row)).encode(encoding)
        except UnicodeEncodeError:
            raise UserError(
                f"{row[0]!a}: the output's encoding, {encoding}, does not know all letters of this row; use --out FILE"
            ) from None


def _row(sample: Sample, part: str, clip: tuple[float, float] | None) -> tuple[object, ...]:
    start, end = [_seconds(time) for time in clip] if clip else ("", "")
    periods = [(first + sample.skip, last + sample.skip) for first, last in sample.fake_periods]
    forged = [" ".join(_seconds(period[side]) for period in periods) for side in (0, 1)]
    known = sample.id, os.path.abspath(sample.path), int(sample.forgery > 0), sample.forgery.name
    return (*known, sample.identity, sample.method, part, start, end, *forged)


def _seconds(time: float) -> str:
    return f"{time:.6f}".rstrip("0").removesuffix(".")
