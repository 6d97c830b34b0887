"""Figure 6 of the paper: how the AUC of detectors falls as their test videos are perturbed, one panel a type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from avbench.records.card import Card
from avbench.records.measured import PerturbedType, Robustness
from avbench.records.style import FAINT, saved_figure, write_heading
from avbench.types import LEVELS

PALETTE = ("#c8405a", "#2c7a9c", "#e0912f", "#6f63c1", "#1b8a7a", "#7c8791", "#22303c", "#b5651d")
COLUMNS = 3
TITLES = {"auc": "AUC", "acc": "Acc"}


def draw_robustness(cards: Sequence[Card], path: Path, metric: str = "auc") -> list[Path]:
    """Draw a metric over levels 0 to 5, one panel a perturbation, one line a run with its 95 % band, as PNG and SVG.

    Runs that lack a type are missing in its panel.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    swept = [(card, card.perturbations) for card in cards if card.perturbations is not None]
    types: dict[str, PerturbedType] = {}
    for _, part in swept:
        types |= {name: found for name, found in part.types.items() if name not in types}
    columns = min(COLUMNS, len(types))
    rows = -(-len(types) // columns)
    protocols = ", ".join(dict.fromkeys(card.protocol.name for card in cards))
    heading = f"Robustness to unseen perturbations{' (demo data)' if any(card.is_demo for card in cards) else ''}"
    below = f"{protocols} · {TITLES[metric]} in %, bands: 95 % over identities; level 0 is the video as it is"
    with saved_figure(path, (3.3 * columns + 0.4, 2.75 * rows + 0.9)) as figure:
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat[len(types) :]:
            axes.set_visible(False)
        for axes, (name, found) in zip(panels.flat, types.items(), strict=False):
            for colour, (card, part) in zip(PALETTE * len(cards), swept, strict=False):
                if name in part.types:
                    _draw_line(axes, part, name, metric, colour, _label(card))
            axes.axhline(0.5, color=FAINT, linewidth=0.8, linestyle=(0, (4, 4)))
            axes.set_title(found.title)
            axes.set_xticks(LEVELS)
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
            axes.grid(axis="y", color="#e7ecef", linewidth=0.8)
            axes.set_axisbelow(True)
        for column in panels.T:  # of which the last row may have fewer
            lowest = [axes for axes in column if axes.get_visible()][-1]
            lowest.tick_params(labelbottom=True)
            lowest.set_xlabel("level")
        for axes in panels[:, 0]:
            axes.set_ylabel(f"{TITLES[metric]} (%)")
        top = 1 - 0.62 / figure.get_figheight()
        figure.tight_layout(rect=(0, 0.3 / figure.get_figheight() if len(cards) > 1 else 0, 1, top))
        write_heading(figure, heading, below)
        if len(cards) > 1:
            lines = {
                label: handle
                for axes in panels.flat
                for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
            }
            figure.legend(lines.values(), lines.keys(), loc="lower center", ncols=min(4, len(cards)))
    return [path.with_suffix(".png"), path.with_suffix(".svg")]


def _draw_line(axes: Axes, found: Robustness, name: str, metric: str, colour: str, label: str) -> None:
    by_level = found.types[name].levels
    entries = [found.clean[metric], *(level.metrics[metric] for level in by_level.values())]
    levels = [0, *by_level]
    values = np.array([entry.value for entry in entries], np.float64)
    bounds = np.array([entry.ci95 or (np.nan, np.nan) for entry in entries], np.float64)
    axes.fill_between(levels, bounds[:, 0], bounds[:, 1], color=colour, alpha=0.15, linewidth=0)
    axes.plot(levels, values, color=colour, linewidth=1.8, marker="o", markersize=4, label=label)


def _label(card: Card) -> str:
    return f"{card.detector.shown}, {card.task.replace('_', '-')}, seed {card.seed}"
