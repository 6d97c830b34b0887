"""The AUC of every shortcut with its interval, one panel a label, as PNG and SVG."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from avbench.auditing.report import Audit
from avbench.auditing.shortcuts import LABELS, PROBES
from avbench.auditing.tables import LABEL_TITLES
from avbench.auditing.verdicts import GIVES_AWAY, TELLS, Area
from avbench.records.style import FAINT, saved_figure, write_heading

_COLOURS = {"ok": "#7c8791", "warning": "#e0912f", "fail": "#c8405a"}


def draw_shortcuts(audit: Audit, path: Path) -> list[Path]:
    """Draw the part of the data that verdicts are about; what is shaded tells nothing, dashed lines are fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {(s.label, s.probe): s.area for s in audit.shortcuts if s.part == audit.part}
    with saved_figure(path, (11.0, 0.27 * len(PROBES) + 1.5)) as figure:
        panels = figure.subplots(1, len(LABELS), sharey=True)
        for axes, label in zip(panels, LABELS, strict=True):
            _frame(axes, LABEL_TITLES[label])
            for row, probe in enumerate(PROBES):
                _draw(axes, row, found[label, probe.column])
        panels[0].set_yticks(range(len(PROBES)), [probe.title for probe in PROBES])
        panels[0].set_ylim(len(PROBES) - 0.4, -0.6)
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.62 / figure.get_figheight()))
        heading = f"What tells the classes apart beside the forgery{' (demo data)' if audit.demo else ''}"
        below = f"{audit.name}, {audit.part} · AUC in %, 95 % over clusters; shaded: tells nothing; grey: no finding"
        write_heading(figure, heading, below)
    return [path.with_suffix(".png"), path.with_suffix(".svg")]


def _frame(axes: Axes, name: str) -> None:
    axes.axvspan(1 - TELLS, TELLS, color="#eef2f5", linewidth=0)
    axes.axvline(0.5, color=FAINT, linewidth=0.8)
    for line in (1 - GIVES_AWAY, GIVES_AWAY):
        axes.axvline(line, color=FAINT, linewidth=0.8, linestyle=(0, (4, 4)))
    axes.set(xlim=(-0.02, 1.02), xlabel="AUC (%)", title=name)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.tick_params(axis="y", length=0)


def _draw(axes: Axes, row: int, area: Area) -> None:
    if area.value is None:
        axes.annotate("not measured", (0.5, row), ha="center", va="center", fontsize=7.5, color=FAINT)
        return
    colour = _COLOURS.get(area.level, FAINT)
    if area.ci95 is not None:
        axes.plot(area.ci95, (row, row), color=colour, linewidth=2.0, solid_capstyle="round")
    axes.plot([area.value], [row], marker="o", markersize=4.5, color=colour, markerfacecolor="white")
