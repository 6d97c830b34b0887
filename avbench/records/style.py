"""How every figure looks: colours, type, PNG and SVG that are the same bytes for the same values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from avbench.records.svg import compact

COLOURS = {"RARV": "#1b8a7a", "RAFV": "#e0912f", "FARV": "#6f63c1", "FAFV": "#c8405a", "fake": "#c8405a"}
INK, SOFT, FAINT, PAPER = "#22303c", "#5f6d79", "#9aa7b2", "#ffffff"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.parse_math": False,  # a title or a label with $ is no formula
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.hashsalt": "avbench",
    "svg.fonttype": "none",  # text is text: it can be found, and is not repeated as outlines
}


@contextmanager
def saved_figure(path: Path, size: tuple[float, float]) -> Iterator[Figure]:
    """Yield an empty figure in the house style, and save it as PNG and SVG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, dpi=160, facecolor=PAPER)
        FigureCanvasAgg(figure)
        yield figure
        everything = figure.get_tightbbox().padded(0.15)  # no title, however long, is cut
        figure.savefig(path.with_suffix(".png"), bbox_inches=everything, metadata={"Software": None})
        drawing = StringIO()
        figure.savefig(drawing, format="svg", bbox_inches=everything, metadata={"Date": None, "Creator": None})
        path.with_suffix(".svg").write_text(compact(drawing.getvalue()), "utf-8")


def write_heading(figure: Figure, heading: str, below: str) -> None:
    """Write a heading and a smaller line below it at the top of a figure of several panels; leave 0.62 inches free."""
    height = figure.get_figheight()
    figure.text(0.01, 1 - 0.1 / height, heading, fontweight="bold", va="top", color=INK)
    figure.text(0.01, 1 - 0.33 / height, below, fontsize=8.5, color=SOFT, va="top")
