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
from avbench.report.figures import draw_matrix
from avbench.report.robustness_figure import draw_robustness

COLUMNS = 2


def draw_suite(cards: Sequence[Card], folder: Path) -> list[Path]:
    """Draw, as PNG and SVG, the four-class confusion matrices of each protocol and the perturbed runs of each.

    Matrices add the seeds and folds of a detector up; of its perturbed runs under one protocol the newest is drawn.
    """
    measured = [card for card in cards if card.metrics and not card.members]
    paths: list[Path] = []
    for name, of_protocol in _by_protocol(measured).items():
        swept = [card for card in of_protocol if card.perturbations is not None]
        four = [card for card in of_protocol if card.task == "four_class" and card not in swept]
        if four:
            paths += draw_confusions(four, folder / f"confusion_{name}")
        if swept:
            paths += draw_robustness([of_one[-1] for of_one in _by_detector(swept)], folder / f"robustness_{name}")
    return paths


def _by_protocol(cards: Sequence[Card]) -> dict[str, list[Card]]:
    newest: dict[tuple[Any, ...], Card] = {}
    for card in sorted(cards, key=lambda card: card.started):
        protocol, detector = card.protocol, card.detector.name
        key = (protocol.name, protocol.fold, detector, card.overrides, card.task, card.seed, _data(card))
        newest.pop(key, None)  # so that what is newest comes last
        newest[key] = card
    found: dict[str, list[Card]] = {}
    for (name, *_, data), card in newest.items():
        found.setdefault(f"{name}{data}", []).append(card)
    return found


def _by_detector(cards: Sequence[Card]) -> list[list[Card]]:
    found: dict[tuple[Any, ...], list[Card]] = {}
    for card in cards:
        found.setdefault((card.detector.name, card.overrides, card.task), []).append(card)
    return list(found.values())


def _data(card: Card) -> str:
    """Return what a file's name says of demo data, such as _demo or _demo_hard_tuning_edition; nothing of real data."""
    return "_".join(["", "demo", *re.findall(r"\w+", demo_choice(card.caveats))]) if card.is_demo else ""


def draw_confusions(cards: Sequence[Card], path: Path) -> list[Path]:
    """Draw the confusion matrices of detectors under one protocol side by side, two in a row, runs of each added up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    detectors = _by_detector(cards)
    columns = min(COLUMNS, len(detectors))
    rows = -(-len(detectors) // columns)
    protocol = cards[0].protocol.name
    heading = f"Confusion matrices, {protocol}{' (demo data)' if any(card.is_demo for card in cards) else ''}"
    with saved_figure(path, (4.6 * columns + 0.3, 4.5 * rows + 0.6)) as figure:
        panels = figure.subplots(rows, columns, squeeze=False)
        for axes in panels.flat[len(detectors) :]:
            axes.set_visible(False)
        for axes, runs in zip(panels.flat, detectors, strict=False):
            found = [card.confusion_at(card.reported_setting() or REPORTED) for card in runs]
            if summed := total([one for one in found if one is not None]):
                draw_matrix(axes, summed)
            axes.set_title(_title(runs))
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.62 / figure.get_figheight()))
        added = ", runs added up" if len(detectors) < len(cards) else ""
        write_heading(figure, heading, f"videos{added}, and shares of the true class in %")
    return [path.with_suffix(".png"), path.with_suffix(".svg")]


def total(matrices: Sequence[Confusion]) -> Confusion | None:
    """Return the sum of confusion matrices with equal labels; None where there is none."""
    if not matrices:
        return None
    return Confusion(matrices[0].labels, tuple(map(tuple, np.sum([one.matrix for one in matrices], axis=0).tolist())))


def _title(runs: Sequence[Card]) -> str:
    seeds = sorted({card.seed for card in runs})
    folds = {card.protocol.fold for card in runs}
    named = f"seed{'s' if len(seeds) > 1 else ''} {' '.join(map(str, seeds))}"
    return f"{runs[0].detector.shown}, {named}" + (f", {len(folds)} folds" if len(folds) > 1 else "")
