"""A table of texts, how values are written in it, and what it becomes: terminal text, Markdown, LaTeX, CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev

from tabulate import tabulate

from avbench.records.measured import Measured

_FORMULA = re.compile(r"\s*[=+\-@]")
_NUMBERS = re.compile(r"[-+]?[0-9.][0-9.,e%\s\[\]()±*–+-]*|[-–]")


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of texts, which every output format renders in its own way."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def without_empty_columns(self) -> Table:
        """Return the table without the columns in which no row says anything."""
        kept = [i for i in range(len(self.head)) if any(row[i] for row in self.rows)]
        rows = tuple(tuple(row[i] for i in kept) for row in self.rows)
        return replace(self, head=tuple(self.head[i] for i in kept), rows=rows)


def file_name(title: str) -> str:
    """Return what a table of this title is called as a file, without an ending."""
    return "_".join(re.findall(r"[a-z0-9]+", title.lower()))


def percent(value: float | None) -> str:
    """Show a share as percent with one decimal; nothing known as a dash."""
    return "–" if value is None else f"{100 * value:.1f}"


def with_interval(measured: Measured | None) -> str:
    """Show a measured value as 93.1 [90.2, 95.4]; a star says that there were few clusters."""
    if measured is None or measured.value is None:
        return "–"
    if measured.ci95 is None:
        return percent(measured.value)
    low, high = measured.ci95
    return f"{percent(measured.value)} [{percent(low)}, {percent(high)}]{'*' if measured.few_clusters else ''}"


def published(value: float | None) -> str:
    """Show a published share as percent with the two decimals that papers print."""
    return "" if value is None else f"{100 * value:.2f}"


def spread(values: Sequence[float | None]) -> str:
    """Show mean ± sample standard deviation (range) of several runs."""
    known = [v for v in values if v is not None]
    if len(known) < 2:
        return percent(known[0] if known else None)
    return f"{percent(mean(known))} ± {percent(stdev(known))} ({percent(min(known))} to {percent(max(known))})"


def text(table: Table) -> str:
    """Return a table as text for the terminal."""
    body = tabulate(
        table.rows,
        headers=table.head,
        tablefmt="simple",
        disable_numparse=True,
        colalign=["left" if _is_text(column) else "right" for column in zip(*table.rows, strict=True)],
    )
    return "\n".join([table.title, body, *table.notes])


def _is_text(column: Sequence[str]) -> bool:
    """Whether no cell of a column shows a number."""
    return not any(letter.isdigit() for cell in column for letter in cell)


def markdown(table: Table) -> str:
    """Return a table as GitHub Markdown under a heading."""
    head, *rows = [
        [_harmless(cell).replace("|", "\\|").replace("\n", "<br>") for cell in row] for row in (table.head, *table.rows)
    ]
    body = tabulate(rows, headers=head, tablefmt="github", disable_numparse=True)
    return "\n\n".join([f"## {_harmless(' '.join(table.title.split()))}", body, *map(_harmless, table.notes)])


def _harmless(words: str) -> str:
    """Return words without HTML and without links: names and titles come from plugins, cards and file names."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]&#40;").replace("![", "!&#91;")


def latex(table: Table) -> str:
    """Return a table as a LaTeX table environment for the booktabs package."""
    head, *rows = [[cell.replace("\n", " ") for cell in row] for row in (table.head, *table.rows)]
    body = tabulate(rows, headers=head, tablefmt="latex_booktabs", disable_numparse=True)
    notes = "".join(f"\\par\\footnotesize {_escaped(note)}\n" for note in table.notes)
    whole = f"\\begin{{table}}\n\\centering\n\\caption{{{_escaped(table.title)}}}\n{body}\n{notes}\\end{{table}}\n"
    return whole.replace("→", "$\\rightarrow$").replace("−", "$-$").replace("±", "$\\pm$")


def _escaped(words: str) -> str:
    return "".join(f"\\{c}" if c in "#$%&_{}" else c for c in words)


def comma_separated(table: Table) -> str:
    """Return head and rows of a table as CSV; a cell that a spreadsheet would compute begins with an apostrophe."""
    file = io.StringIO()
    rows = ([_inert(cell.replace("\n", " ")) for cell in row] for row in (table.head, *table.rows))
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _inert(cell: str) -> str:
    """Return a cell that is a text in every spreadsheet; numbers with a sign and their intervals stay as they are."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBERS.fullmatch(cell) else cell
