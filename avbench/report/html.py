"""Cards to one self-contained HTML page: tables that sort on a click, figures inside, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avbench.paths import atomic_write
from avbench.records.card import Card
from avbench.records.page import render
from avbench.records.table import Table
from avbench.report.tables import (
    confusion_tables,
    count_lines,
    metric_table,
    origin_lines,
    perturbation_tables,
    summaries,
)

FOLDED = 4  # runs, above which figures are shown on a click


@dataclass(frozen=True, slots=True)
class _Run:
    """What the page shows of a run; the first table is the one of its metrics."""

    id: str
    title: str
    caveats: Sequence[str]
    lines: Sequence[str]
    tables: Sequence[Table]
    figures: Sequence[Path]


def html(cards: Sequence[Card], folder: Path, first: Sequence[Table] = (), drawn: Sequence[Path] = ()) -> Path:
    """Write `folder`/report.html of finished runs and return its path.

    `first` are tables that open the page, `drawn` figures (SVG) over several runs. A run's own figures are the SVG
    files in `folder`/<run id>/figures, or in `folder`/figures if there is one run.
    """
    measured = [card for card in cards if card.metrics]
    page = render(
        "avbench.report",
        "report.html.j2",
        name="avbench results",
        demo=any(card.is_demo for card in measured),
        tables=[*first, *summaries(cards)],
        drawn=drawn,
        runs=[_run(card, _figures(card, folder, alone=len(cards) == 1)) for card in measured],
        folded=len(measured) > FOLDED,
    )
    path = folder / "report.html"
    with atomic_write(path) as temporary:
        temporary.write_text(page, "utf-8")
    return path


def _run(card: Card, figures: Sequence[Path]) -> _Run:
    return _Run(
        id=card.id,
        title=card.title,
        caveats=card.caveats,
        lines=[line for line in (*count_lines(card), *origin_lines(card)) if not line.startswith("caveats: ")],
        tables=[metric_table(card), *confusion_tables(card), *perturbation_tables(card)],
        figures=figures,
    )


def _figures(card: Card, folder: Path, *, alone: bool) -> list[Path]:
    for place in [folder / card.id, *([folder] if alone else [])]:
        if found := sorted((place / "figures").glob("*.svg")):
            return found
    return []
