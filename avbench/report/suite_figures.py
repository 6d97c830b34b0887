"""Figures over several runs: Figure 4 of the paper (confusion matrices side by side) and Figure 6 (perturbations)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avbench.records.card import REPORTED, Card
from avbench.records.caveats import demo_choice
from avbench.records.style import saved_figure, write_heading
from avbench.report.figures import draw_matrix
from avbench.report.robustness_figure import draw_robustness

COLUMNS = 2


def draw_suite(cards: Sequence[Card], folder: Path) -> list[Path]:
    """Draw, as PNG and SVG, the four-class confusion matrices of each protocol and the perturbed runs of each.

    Of runs of one detector under one protocol the newest is drawn.
    """
    measured = [card for card in cards if card.metrics and not card.members]
    paths: list[Path] = []
    for name, of_protocol in _by_protocol(measured).items():
        swept = [card for card in of_protocol if card.perturbations is not None]
        four = [card for card in of_protocol if card.task == "four_class" and card not in swept]
        if four:
            paths += draw_confusions(four, folder / f"confusion_{name}")
        if swept:
            paths += draw_robustness(swept, folder / f"robustness_{name}")
    return paths


def _by_protocol(cards: Sequence[Card]) -> dict[str, list[Card]]:
    newest: dict[tuple[Any, ...], Card] = {}
    for card in sorted(cards, key=lambda card: card.started):
        newest[card.protocol.name, card.detector.name, card.overrides, card.task, _data(card)] = card
    found: dict[str, list[Card]] = {}
    for (name, *_, data), card in newest.items():
        found.setdefault(f"{name}{data}", []).append(card)
    return found


def _data(card: Card) -> str:
    """Return what a file's name says of demo data, such as _demo or _demo_hard_tuning_edition; nothing of real data."""
    return "_".join(["", "demo", *re.findall(r"\w+", demo_choice(card.caveats))]) if card.is_demo else ""


def draw_confusions(cards: Sequence[Card], path: Path) -> list[Path]:
    """Draw the confusion matrices of runs under one protocol side by side, two in a row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = min(COLUMNS, len(cards))
    rows = -(-len(cards) // columns)
    protocol = cards[0].protocol.name
    heading = f"Confusion matrices, {protocol}{' (demo data)' if any(card.is_demo for card in cards) else ''}"
    with saved_figure(path, (4.6 * columns + 0.3, 4.5 * rows + 0.6)) as figure:
        panels = figure.subplots(rows, columns, squeeze=False)
        for axes in panels.flat[len(cards) :]:
            axes.set_visible(False)
        for axes, card in zip(panels.flat, cards, strict=False):
            if found := card.confusion_at(card.reported_setting() or REPORTED):
                draw_matrix(axes, found)
            axes.set_title(f"{card.detector.shown}, seed {card.seed}")
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.62 / figure.get_figheight()))
        write_heading(figure, heading, "videos, and shares of the true class in %")
    return [path.with_suffix(".png"), path.with_suffix(".svg")]
