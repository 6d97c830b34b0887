"""Figures over several runs: Figure 4 of the paper (confusion matrices side by side) and Figure 6 (perturbations)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avbench.records.card import REPORTED, Card
from avbench.records.caveats import demo_choice
from avbench.records.measured import Confusion
from avbench.records.style import saved_figure, write_heading
from avbench.report.cells import cell, newest
from avbench.report.figures import draw_matrix
from avbench.report.robustness_figure import draw_robustness

COLUMNS = 2


def draw_suite(cards: Sequence[Card], folder: Path) -> list[Path]:
    """Draw, as PNG and SVG, the four-class confusion matrices of each protocol and the perturbed runs of each.

    Of a detector's runs under one protocol the newest is drawn; to its matrix those of its other seeds and folds are
    added.
    """
    measured = [card for card in cards if card.metrics and not card.members]
    paths: list[Path] = []
    for name, of_protocol in _by_protocol(measured).items():
        swept = [newest_of(runs) for runs in of_protocol if newest_of(runs).perturbations is not None]
        four = [runs for runs in of_protocol if runs[0].task == "four_class" and newest_of(runs) not in swept]
        if four:
            paths += draw_confusions(four, folder / f"confusion_{name}")
        if swept:
            paths += draw_robustness(swept, folder / f"robustness_{name}")
    return paths


def newest_of(cards: Sequence[Card]) -> Card:
    """Return the run that was started last."""
    return max(cards, key=lambda card: card.started)


def _by_protocol(cards: Sequence[Card]) -> dict[str, list[list[Card]]]:
    """Return, for each protocol, the seeds and folds of the newest cell of each detector with its settings."""
    alike: dict[tuple[Any, ...], list[Card]] = {}
    for card in cards:
        key = (card.protocol.name, card.detector.name, card.overrides, card.task, _data(card))
        alike.setdefault(key, []).append(card)
    found: dict[str, list[list[Card]]] = {}
    for (name, *_, data), runs in alike.items():
        today = cell(newest_of(runs))
        found.setdefault(f"{name}{data}", []).append(newest(card for card in runs if cell(card) == today))
    return found


def _data(card: Card) -> str:
    """Return what a file's name says of demo data, such as _demo or _demo_hard_tuning_edition; nothing of real data."""
    return "_".join(["", "demo", *re.findall(r"\w+", demo_choice(card.caveats))]) if card.is_demo else ""


def draw_confusions(detectors: Sequence[Sequence[Card]], path: Path) -> list[Path]:
    """Draw the confusion matrices of detectors under one protocol side by side, two in a row, runs of each added up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = min(COLUMNS, len(detectors))
    rows = -(-len(detectors) // columns)
    cards = [card for runs in detectors for card in runs]
    protocol = cards[0].protocol.name
    heading = f"Confusion matrices, {protocol}{' (demo data)' if any(card.is_demo for card in cards) else ''}"
    with saved_figure(path, (4.6 * columns + 0.3, 4.5 * rows + 0.6)) as figure:
        panels = figure.subplots(rows, columns, squeeze=False)
        for axes in panels.flat[len(detectors) :]:
            axes.set_visible(False)
        for axes, runs in zip(panels.flat, detectors, strict=False):
            kept, summed = total(runs)
            if summed:
                draw_matrix(axes, summed)
            axes.set_title(_title(kept))
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.62 / figure.get_figheight()))
        added = ", runs added up" if len(detectors) < len(cards) else ""
        write_heading(figure, heading, f"videos{added}, and shares of the true class in %")
    return [path.with_suffix(".png"), path.with_suffix(".svg")]


def total(runs: Sequence[Card]) -> tuple[list[Card], Confusion | None]:
    """Return which runs of a cell have a matrix in the newest one's placement, and the sum of these; None of none."""
    setting = newest_of(runs).reported_setting() or REPORTED
    found = [(card, matrix) for card in runs if (matrix := card.confusion_at(setting)) is not None]
    if not found:
        return list(runs), None
    summed = np.sum([matrix.matrix for _, matrix in found], axis=0).tolist()
    return [card for card, _ in found], Confusion(found[0][1].labels, tuple(map(tuple, summed)))


def _title(runs: Sequence[Card]) -> str:
    seeds = sorted({card.seed for card in runs})
    folds = {card.protocol.fold for card in runs}
    named = f"seed{'s' if len(seeds) > 1 else ''} {' '.join(map(str, seeds))}"
    return f"{runs[0].detector.shown}, {named}" + (f", {len(folds)} folds" if len(folds) > 1 else "")
