"""Figures of a run as PNG and SVG: confusion matrices, ROC curves, score histograms, training curves.

The same table gives the same bytes: no dates, fixed SVG ids, fixed resampling.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from avbench.metrics import definitions as metrics
from avbench.metrics import intervals as stats
from avbench.metrics.pooling import pool
from avbench.records.card import Card
from avbench.records.measured import Confusion, Measured
from avbench.records.style import COLOURS, FAINT, INK, PAPER, SOFT, saved_figure
from avbench.records.table import with_interval
from avbench.types import Forgery

_BLUES = LinearSegmentedColormap.from_list("counts", ["#f5f8fa", "#a8cbdc", "#2c7a9c", "#123c53"])
_CURVES = {"val_auc": "validation AUC", "val_nll": "validation loss"}
_GRID = np.linspace(0, 1, 201)  # false positive rates at which the ROC band is drawn
_RESAMPLES = 500


def draw_run(card: Card, table: pd.DataFrame, folder: Path, *, curves: Path | None = None) -> list[Path]:
    """Draw every figure of a run into `folder`: by placement and granularity, and its training (a CSV)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for setting in card.settings():
        clips = table[table["placement"] == setting.placement]
        per_video = setting.granularity == "video"
        rows = pool(clips, card.detector.pooling) if per_video else clips.assign(forgery=clips["clip_forgery"])
        rows = rows[rows["score"].notna()].reset_index(drop=True)
        where, name = setting.title, "_".join(setting)
        if found := card.confusion_at(setting):
            paths += confusion(card, found, where, folder / f"confusion_{name}")
        if len(rows):
            paths += roc(card, rows, where, folder / f"roc_{name}", card.metrics_at(setting))
            paths += histogram(card, rows, where, folder / f"scores_{name}")
    if curves is not None and curves.is_file():
        paths += training(card, pd.read_csv(curves), folder / "training")
    return paths


def confusion(card: Card, found: Confusion, where: str, path: Path) -> list[Path]:
    """Draw a confusion matrix: counts, shares of the true class, shade by share."""
    side = 3.4 + 0.55 * len(found.labels)
    with _figure(card, f"Confusion matrix, {where}", path, (side, side - 0.3)) as axes:
        draw_matrix(axes, found)
    return _both(path)


def draw_matrix(axes: Axes, found: Confusion) -> None:
    """Draw a confusion matrix into axes: counts, shares of the true class, shade by share."""
    counts, labels = np.array(found.matrix), found.labels
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap=_BLUES, vmin=0, vmax=1)
    for (row, column), n in np.ndenumerate(counts):
        colour = PAPER if share[row, column] > 0.5 else INK
        for text, height, size in ((f"{n:,}", 5, 12), (f"{100 * share[row, column]:.1f} %", -12, 8.5)):
            axes.annotate(
                text,
                (column, row),
                (0, height),
                textcoords="offset points",
                ha="center",
                va="center",
                color=colour,
                fontsize=size,
            )
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="called", ylabel="true")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(len(labels) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(labels) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color=PAPER, linewidth=3)
    axes.tick_params(which="minor", length=0)


def roc(card: Card, rows: pd.DataFrame, where: str, path: Path, measured: Mapping[str, Measured]) -> list[Path]:
    """Draw the ROC curve of P(fake) with its 95 % band over clusters, or one curve for each of four classes."""
    four = metrics.is_four_class(rows)
    count = metrics.levels(rows)
    with _figure(card, f"ROC curve, {where}", path, (5.2, 5.0)) as axes:
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=(0, (4, 4)))
        for k, name in enumerate([f.name for f in Forgery] if four else ["fake"]):
            curve = metrics.Metric(metrics.levels, _hits_on_grid(k))
            hit = curve.of_counts(count.total())[0]
            if np.isnan(hit).any():
                continue
            low, high = _band(rows, curve)
            entry = measured.get(f"rest_auc_{name.lower()}" if four else "auc")
            axes.fill_between(_GRID, low, high, color=COLOURS[name], alpha=0.14, linewidth=0)
            value = with_interval(entry).rstrip("*") if entry else ""
            axes.plot(_GRID, hit, color=COLOURS[name], linewidth=1.8, label=f"{name + ' ' if four else ''}AUC {value}")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="false positive rate", ylabel="true positive rate")
        axes.set_aspect("equal")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.03))
    return _both(path)


def histogram(card: Card, rows: pd.DataFrame, where: str, path: Path) -> list[Path]:
    """Draw how P(fake) spreads within each class, as shares of the class; the line at 0.5 is where a fake is called."""
    present = [f for f in Forgery if (rows["forgery"] == f).any()]
    size = (6.2, 1.0 + 1.05 * len(present))
    with _figure(card, f"Scores by class, {where}", path, size, len(present)) as panels:
        for axes, forgery in zip(np.atleast_1d(panels), present, strict=True):
            score = rows.loc[rows["forgery"] == forgery, "score"].to_numpy()
            share = np.histogram(score, bins=40, range=(0, 1))[0] / len(score)
            axes.stairs(share, np.linspace(0, 1, 41), fill=True, color=COLOURS[forgery.name])
            axes.axvline(0.5, color=FAINT, linewidth=0.8, linestyle=(0, (4, 4)))
            axes.set_ylabel(f"{forgery.name}\nn = {len(score):,}", rotation=0, ha="right", va="center")
            axes.yaxis.set_label_coords(-0.1, 0.5)
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.yaxis.set_major_locator(MaxNLocator(2))
            axes.set(xlim=(0, 1))
            axes.tick_params(labelbottom=False, length=2)
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("P(fake)")
    return _both(path)


def training(card: Card, epochs: pd.DataFrame, path: Path) -> list[Path]:
    """Draw losses, and validation measures, over epochs; the chosen epoch is marked."""
    losses = [name for name in epochs if "loss" in str(name) or str(name).endswith("nll")]
    others = [name for name in epochs if name not in {"epoch", "lr", *losses} and epochs[name].dtype.kind in "fi"]
    panels = [(label, names) for label, names in (("loss", losses), ("validation", others)) if names]
    if not panels or epochs.empty:
        return []
    chosen = card.training.chosen_epoch
    palette = ["#2c7a9c", "#c8405a", "#e0912f", "#6f63c1", "#1b8a7a", "#7c8791"]
    with _figure(card, "Training", path, (6.4, 2.5 * len(panels) + 0.6), len(panels)) as drawn:
        for axes, (label, names) in zip(np.atleast_1d(drawn), panels, strict=True):
            styles = itertools.cycle(itertools.product(("-", "--", ":"), palette))  # more curves than colours: dashed
            for (line, colour), name in zip(styles, names, strict=False):
                axes.plot(
                    epochs["epoch"],
                    epochs[name],
                    color=colour,
                    linestyle=line,
                    linewidth=1.8,
                    marker="o",
                    markersize=3.5,
                    label=_CURVES.get(str(name), str(name).replace("_", " ")),
                )
            if chosen is not None:
                axes.axvline(chosen, color=FAINT, linewidth=0.8, linestyle=(0, (4, 4)), label="chosen epoch")
            axes.set_ylabel(label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        axes.set_xlabel("epoch")
    return _both(path)


def _hits_on_grid(k: int) -> metrics.Formula:
    def formula(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        false, true = metrics.roc_points(counts[:, k : k + 1])
        return np.stack([np.interp(_GRID, f, t) for f, t in zip(false, true, strict=True)])

    return formula


def _band(rows: pd.DataFrame, curve: metrics.Metric) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 2.5 and 97.5 % quantiles of the true positive rate over resampled clusters."""
    cluster, clusters = stats.codes(rows["cluster"])
    named = {"curve": curve}
    drawn = stats.resampled(stats.count_once(rows, named), named, cluster, clusters, _RESAMPLES, 0)["curve"]
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    return low, high


@contextmanager
def _figure(card: Card, what: str, path: Path, size: tuple[float, float], rows: int = 1) -> Iterator[Any]:
    """Yield empty axes in the house style, and save them as PNG and SVG; what is drawn from demo data says so."""
    with saved_figure(path, size) as figure:
        axes = figure.subplots(rows, 1, sharex=True)
        yield axes
        top: Axes = np.atleast_1d(axes)[0]
        top.set_title(f"{what}{' (demo data)' if card.is_demo else ''}", fontweight="bold", pad=24)
        top.annotate(
            card.title_without_demo,
            (0, 1),
            (0, 9),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=8.5,
            color=SOFT,
        )


def _both(path: Path) -> list[Path]:
    return [path.with_suffix(".png"), path.with_suffix(".svg")]
