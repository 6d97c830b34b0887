"""Every test here is marked `faults` and tells what it tried; docs/reliability.md gets the figures."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from faults.counting import SHARE, Tally

HERE = Path(__file__).parent
PAGE = "AVBENCH_FAULTS_PAGE"  # the Markdown page whose figures are written anew


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """Return a function (fault, how often it was tried, what was seen) for the table at the end."""
    return lambda fault, tried, seen: record_property("faults", (fault, tried, seen))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was tried, and write it into a page where one is named."""
    ended = [report for report in terminalreporter.stats.get("", []) if report.when == "teardown"]  # knows all figures
    failed = {report.nodeid for report in terminalreporter.stats.get("failed", [])}
    rows = [
        (*value, "FAILED: " if report.nodeid in failed else "")
        for report in ended
        for name, value in report.user_properties
        if name == "faults"
    ]
    if not rows or not (SHARE or os.environ.get(PAGE)):
        return
    table = ["| fault | tried | what was seen |", "|---|---|---|"]
    table += [f"| {fault} | {tried:,} | {mark}{seen} |" for fault, tried, seen, mark in rows]
    for line in table:
        terminalreporter.write_line(line)
    if page := os.environ.get(PAGE):
        outcome = f"; {len(failed)} tests failed" if failed else "; every test passed"
        text = "\n".join([f"{_where()}{outcome}.", "", *table])
        path = Path(page)
        figures = re.compile("(<!-- figures -->\n).*(<!-- end -->)", re.S)
        new = figures.sub(lambda found: f"{found[1]}{text}\n{found[2]}", path.read_text("utf-8"))
        path.write_text(new, "utf-8")


def _where() -> str:
    """Say when and where the figures were seen, and which share of the long form it was."""
    import av

    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    share = "the whole long form" if SHARE >= 1 else f"{SHARE:.3g} of the long form"
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {share}, on {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, torch {version('torch')}, PyAV {version('av')} with libavcodec {codec}"
    )
