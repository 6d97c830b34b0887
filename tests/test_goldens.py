"""The table of who made each golden number names tests that are there, and leaves none out that looks like one."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
ROW = re.compile(r"^\| (test_\w+\.py)::(test_\w+) \| ([^|]+) \| ([^|]+) \|$", re.M)
ROWS = ROW.findall((TESTS / "goldens.md").read_text("utf-8"))
LOOKS_GOLDEN = re.compile(r"\b(golden|GOLDEN|PINNED)\b =|\"[0-9a-f]{64}\"|\b\d{15,}\b")


def test_each_row_names_a_test_and_says_who_made_its_numbers() -> None:
    assert len(ROWS) > 25 and len(ROWS) == len({row[:2] for row in ROWS})
    for file, test, what, maker in ROWS:
        assert f"def {test}(" in (TESTS / file).read_text("utf-8"), f"{file} has no {test}"
        assert what.strip() and maker.strip()


def test_files_that_hold_what_looks_like_a_golden_number_are_in_the_table() -> None:
    listed = {file for file, *_ in ROWS}
    found = {p.name: m[0] for p in TESTS.glob("test_*.py") if (m := LOOKS_GOLDEN.search(p.read_text("utf-8")))}
    assert not {name: first for name, first in found.items() if name not in listed}
