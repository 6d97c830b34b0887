"""Writes the tables of results/demo/*.csv into results/demo/README.md, without the paper's values.

python docs/make/demo_tables.py
"""

from __future__ import annotations

import csv
from pathlib import Path

from avbench.records.table import Table, markdown

FOLDER = Path(__file__).resolve().parents[2] / "results" / "demo"
PAGE = FOLDER / "README.md"
BEGIN, END = "<!-- tables -->\n", "\n<!-- end -->"
TITLES = {
    "i": "Table I: binary, within a database",
    "ii": "Table II: four classes, within a database",
    "iii": "Table III: AUC across databases",
    "iv": "Table IV: modules of FauForensics, AUC, trained on LAV-DF",
    "v": "Table V: encoders of FauForensics, AUC, trained on LAV-DF",
}
# What others measured of real videos says nothing beside demo data, a category nothing that the name does not.
LEFT_OUT = {"paper", "category", "modality"}


def tables() -> list[Table]:
    """Return the tables of the folder, I to V, as the page shows them."""
    paths = sorted(FOLDER.glob("demo_data_table_*.csv"))
    return [read(path, TITLES[path.name.split("_")[3]]) for path in paths]


def read(path: Path, title: str) -> Table:
    """Return a table under a title, the range of a spread in a second line."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    kept = [column for column, called in enumerate(head) if called not in LEFT_OUT]
    cells = (tuple(row[c].replace(" (", "\n(") if c else row[c] for c in kept) for row in rows)
    return Table(f"DEMO DATA · {title}", tuple(head[column] for column in kept), tuple(cells))


def written() -> str:
    """Return the page with its tables as the CSV files have them."""
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n\n".join(markdown(table) for table in tables()) + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(), "utf-8")
