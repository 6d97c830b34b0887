"""Draws docs/images/survival.png from results/demo: what is left of each detector's AUC on the other demo database.

python docs/make/survival.py
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from avbench.records.style import COLOURS, INK, SOFT, saved_figure, write_heading

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "survival.png"
WITHIN = ROOT / "results" / "demo" / "demo_data_table_i_binary_within_database.csv"
ACROSS = ROOT / "results" / "demo" / "demo_data_table_iii_auc_across_databases.csv"
NAMES = {"lavdf": "LAV-DF", "fakeav": "FakeAVCeleb"}


@dataclass(frozen=True, slots=True)
class Measured:
    """The mean AUC of some seeds in per cent, the lowest and the highest."""

    value: float
    low: float
    high: float


def read(path: Path, column: str) -> dict[str, Measured]:
    """Return what a table says of each of its models in the column whose heading is `column`."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for row in rows:
        spread = re.fullmatch(r"([\d.]+) ± [\d.]+ \(([\d.]+) to ([\d.]+)\)", row[column])
        if spread:
            found[row["model"]] = Measured(*map(float, spread.groups()))
    return found


def draw(path: Path) -> None:
    """Draw both directions: a hollow dot on people of the database learnt from, a full one on the other database."""
    with saved_figure(path, (9.0, 3.4)) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        figure.subplots_adjust(left=0.15, right=0.99, top=0.72, bottom=0.17, wspace=0.08)
        write_heading(
            figure,
            "DEMO DATA · which detector survives another database?",
            "rendered faces: these numbers mean nothing about real forgeries; mean of three seeds, lowest to highest",
        )
        for panel, train, test in zip(panels, ("lavdf", "fakeav"), ("fakeav", "lavdf"), strict=True):
            within = read(WITHIN, f"{train} AUC")
            across = read(ACROSS, f"{train} → {test} binary AUC")
            for place, model in enumerate(across):
                for entry, shift, filled in ((within[model], 0.14, False), (across[model], -0.14, True)):
                    colour = COLOURS["FAFV"] if filled else SOFT
                    y = len(across) - 1 - place + shift
                    panel.plot([entry.low, entry.high], [y, y], color=colour, linewidth=1.6, solid_capstyle="round")
                    panel.plot(
                        entry.value, y, "o", color=colour, markersize=6, markerfacecolor=colour if filled else "white"
                    )
            panel.axvline(50, color=SOFT, linewidth=0.8, linestyle=":")
            panel.set_xlim(38, 101.5)
            panel.set_yticks(range(len(across)), list(reversed(across)))
            panel.tick_params(axis="y", length=0)
            panel.set_title(f"trained on demo {NAMES[train]}", color=INK)
            panel.set_xlabel("AUC %")
        panels[0].plot([], [], "o-", color=SOFT, markerfacecolor="white", label="tested on new people of it")
        panels[0].plot([], [], "o-", color=COLOURS["FAFV"], label="tested on the other database")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper right", ncols=2, bbox_to_anchor=(1.0, 1.01), columnspacing=1)


if __name__ == "__main__":
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    draw(PICTURE)
    PICTURE.with_suffix(".svg").unlink()  # the paths of its letters are larger than the picture
