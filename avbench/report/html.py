"""Cards to one self-contained HTML page: tables that sort on a click, figures inside, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from avbench.paths import atomic_write
from avbench.records.card import Card
from avbench.records.page import inlined, page, table_section
from avbench.records.table import Table
from avbench.report.tables import (
    confusion_tables,
    count_lines,
    metric_table,
    origin_lines,
    perturbation_tables,
    summaries,
)


def html(cards: Sequence[Card], folder: Path, first: Sequence[Table] = (), drawn: Sequence[Path] = ()) -> Path:
    """Write `folder`/report.html of finished runs and return its path.

    `first` are tables that open the page, `drawn` figures (SVG) over several runs. A run's own figures are the SVG
    files in `folder`/<run id>/figures, or in `folder`/figures if there is one run.
    """
    tables = [table_section(table) for table in (*first, *summaries(cards))]
    runs = [(card, _figures(card, folder, alone=len(cards) == 1)) for card in cards if card.metrics]
    links = "".join(f'<a href="#{escape(card.id, quote=True)}">{escape(card.title)}</a>' for card, _ in runs)
    demo = ' <span class="mark">demo data</span>' if any(card.is_demo for card, _ in runs) else ""
    overview = f"{''.join(tables)}{_images(drawn)}<h3>Runs in detail</h3><nav>{links}</nav>"
    details = "".join(_run(card, figures) for card, figures in runs)
    body = f"<h1>avbench results{demo}</h1><section>{overview}</section>{details}"
    path = folder / "report.html"
    with atomic_write(path) as temporary:
        temporary.write_text(page("avbench results", body), "utf-8")
    return path


def _run(card: Card, figures: Sequence[Path]) -> str:
    caveats = "".join(f'<span class="mark">{escape(caveat)}</span>' for caveat in card.caveats)
    said = [line for line in (*count_lines(card), *origin_lines(card)) if not line.startswith("caveats: ")]
    lines = "<br>".join(escape(line) for line in said)
    further = [*confusion_tables(card), *perturbation_tables(card)]
    tables = table_section(metric_table(card), heading=False) + "".join(table_section(table) for table in further)
    head = f'<section id="{escape(card.id, quote=True)}"><h2>{escape(card.title)}</h2>{caveats}'
    shown = f'<div class="tables">{tables}</div>{_images(figures)}'
    return f'{head}<p class="soft">{lines}</p>{shown}</section>'


def _figures(card: Card, folder: Path, *, alone: bool) -> list[Path]:
    for place in [folder / card.id, *([folder] if alone else [])]:
        if found := sorted((place / "figures").glob("*.svg")):
            return found
    return []


def _images(figures: Sequence[Path]) -> str:
    drawn = "".join(f'<img alt="{escape(path.stem)}" src="{inlined(path)}">' for path in figures)
    return f'<div class="figures">{drawn}</div>'
