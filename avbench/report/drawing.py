"""Draws the figures of every run that ends, as an observer of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from avbench.hookspecs import hookimpl
from avbench.records.training import CURVES, FRAME_SCORES

if TYPE_CHECKING:
    from avbench.records.card import Card


@hookimpl(tryfirst=True)  # so that whoever is told next finds the figures
def avbench_run_finished(card: Card, folder: Path) -> None:
    """Draw into `folder`/figures what the card and the scores hold: matrices, curves, histograms, robustness, F1."""
    import pandas as pd

    from avbench.records import scores
    from avbench.report.figures import draw_run
    from avbench.report.pretraining_figure import draw_pretraining
    from avbench.report.robustness_figure import draw_robustness

    if (folder / FRAME_SCORES).is_file():  # a pre-training
        scored, curves = pd.read_csv(folder / FRAME_SCORES), pd.read_csv(folder / CURVES)
        draw_pretraining(card, scored, curves, folder / "figures")
        return
    table, _ = scores.read(folder / "scores.parquet", card.scores_sha256)
    clean = table[table["level"] == 0] if "level" in table else table
    draw_run(card, clean, folder / "figures", curves=folder / CURVES)
    if card.perturbations is not None:
        draw_robustness([card], folder / "figures" / "robustness")
