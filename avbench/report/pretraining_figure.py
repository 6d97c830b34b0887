"""What a pre-training looks like: F1 of each label beside what looks at nothing, and losses and F1 over epochs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from avbench.records.card import Card
from avbench.records.style import saved_figure

MEASURED, BLIND, FAINT = "#2c7a9c", "#e0912f", "#7c8791"


def draw_pretraining(card: Card, scores: pd.DataFrame, curves: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw f1 and training into `folder`, PNG and SVG each."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = " (demo data)" if card.is_demo else ""
    judged = card.data.test.title if card.data.test is not None else ""
    _labels(scores, f"F1 of {card.task}, {judged.removesuffix(mark)}{mark}", folder / "f1")
    _training(curves, f"Pre-training{mark}", card.training.chosen_epoch, folder / "training")
    return sorted(folder.iterdir())


def _labels(scores: pd.DataFrame, what: str, path: Path) -> None:
    with saved_figure(path, (1.2 + 0.75 * len(scores), 3.4)) as figure:
        axes = figure.subplots()
        places = np.arange(len(scores))
        axes.bar(places - 0.2, scores["f1"], 0.4, color=MEASURED, label="measured, 95 % over people")
        axes.bar(places + 0.2, scores["all positive"], 0.4, color=BLIND, label='"every unit is shown"')
        off = np.clip([scores["f1"] - scores["low"], scores["high"] - scores["f1"]], 0, None)
        axes.errorbar(places - 0.2, scores["f1"], off, fmt="none", ecolor=FAINT, linewidth=1)
        axes.set_xticks(places, scores["unit"])
        axes.set_ylim(0, 1)
        axes.set_ylabel("F1")
        axes.set_title(what, fontweight="bold")
        axes.legend(frameon=False, fontsize=8)


def _training(curves: pd.DataFrame, what: str, chosen: int | None, path: Path) -> None:
    named = [str(name) for name in curves]
    panels = {"loss": [name for name in named if "loss" in name], "F1": [name for name in named if name == "val_f1"]}
    with saved_figure(path, (6.4, 4.6)) as figure:
        for axes, (label, names) in zip(figure.subplots(2, 1, sharex=True), panels.items(), strict=True):
            for name, colour in zip(names, (MEASURED, BLIND, FAINT, "#c8405a", "#6f63c1"), strict=False):
                axes.plot(curves["epoch"], curves[name], color=colour, label=name)
            if chosen is not None:
                axes.axvline(chosen, color=FAINT, linewidth=0.8, linestyle=(0, (4, 4)))
            axes.set_ylabel(label)
            axes.legend(frameon=False, fontsize=8)
        axes.set_xlabel("epoch")
        figure.suptitle(what, fontweight="bold")
