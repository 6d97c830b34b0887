"""A self-contained HTML page in the house style: tables that sort on a click, figures inside, nothing fetched."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from pathlib import Path

from avbench.records.table import Table

DENSE = 12  # columns, above which a table is set small to fit 1280 pixels
_STYLE = """
:root { --ink: #22303c; --soft: #5f6d79; --line: #e1e7ec; --back: #f5f8fa; --accent: #2c7a9c; --warn: #c8405a; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 20px; } h2 { font-size: 19px; margin: 0 0 4px; }
h3 { font-size: 15px; margin: 24px 0 6px; } section > :first-child h3, .tables h3 { margin-top: 0; }
section { background: white; border: 1px solid var(--line); border-radius: 10px; padding: 22px 24px;
  margin-bottom: 24px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
.dense { font-size: 12px; } .dense th, .dense td { padding: 5px; } .dense td:last-child { min-width: 0; }
.dense td:first-child { white-space: normal; }
th, td { padding: 6px 10px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: 0; } .number { text-align: right; }
th, td:not(:last-child), .number { white-space: nowrap; } td:last-child { min-width: 110px; }
th { color: var(--soft); font-weight: 600; cursor: pointer; } th:hover { color: var(--accent); }
th[data-order="1"]::after { content: " \\25B2"; } th[data-order="-1"]::after { content: " \\25BC"; }
.mark { display: inline-block; border: 1px solid var(--warn); color: var(--warn); border-radius: 99px; padding: 0 10px;
  font-size: 12.5px; margin: 4px 6px 4px 0; }
.soft { color: var(--soft); font-size: 13.5px; margin: 6px 0; }
.tables, .figures { display: flex; flex-wrap: wrap; gap: 20px 56px; margin-top: 20px; }
.tables > div { max-width: 100%; }
.figures img { max-width: 100%; height: auto; align-self: flex-start; }
nav a { color: var(--accent); text-decoration: none; display: block; padding: 2px 0; }
"""
_SCRIPT = """
for (const head of document.querySelectorAll("th")) head.onclick = () => {
  const order = head.dataset.order === "1" ? -1 : 1, table = head.closest("table"), body = table.tBodies[0];
  for (const other of table.querySelectorAll("th")) delete other.dataset.order;
  head.dataset.order = order;
  const key = row => row.cells[head.cellIndex].textContent;
  const compare = (a, b) => { const x = parseFloat(a), y = parseFloat(b);
    return isNaN(x) || isNaN(y) ? a.localeCompare(b) : x - y; };
  [...body.rows].sort((a, b) => order * compare(key(a), key(b))).forEach(row => body.append(row));
};
"""


def page(name: str, body: str) -> str:
    """Return a whole page in the house style, with its script, around the HTML of its body."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(name)}</title><style>{_STYLE}</style></head><body><main>{body}</main>"
        f"<script>{_SCRIPT}</script></body></html>\n"
    )


def table_section(table: Table, *, heading: bool = True) -> str:
    """Return a table as HTML, its title above and its notes below."""
    kinds = [' class="number"' if all(map(_is_number, column)) else "" for column in zip(*table.rows, strict=True)]
    head = "".join(f"<th{kind}>{_lines(cell)}</th>" for kind, cell in zip(kinds, table.head, strict=True))
    shown = [[_lines(cell) for cell in row] for row in table.rows]
    cells = ["".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) for row in shown]
    rows = "".join(f"<tr>{row}</tr>" for row in cells)
    notes = "".join(f'<p class="soft">{escape(note)}</p>' for note in table.notes)
    name = f"<h3>{escape(table.title)}</h3>" if heading else ""
    dense = ' class="dense"' if len(table.head) > DENSE else ""
    drawn = f'<div class="wide"><table{dense}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<div>{name}{drawn}{notes}</div>"


def _lines(cell: str) -> str:
    return escape(cell).replace("\n", "<br>")


def _is_number(cell: str) -> bool:
    """Whether a cell shows a measurement, a count or that there is none; such columns are set flush right."""
    return cell == "" or cell[0] in "0123456789-−+–"


def inlined(path: Path) -> str:
    """Return an SVG as a data address: as an image of its own, a figure's ids cannot clash with another's."""
    return "data:image/svg+xml;base64," + b64encode(path.read_bytes()).decode()
