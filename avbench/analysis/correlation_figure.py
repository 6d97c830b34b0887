"""Figure 1(b) of FauForensics for any run: how intensity spreads in each class, and how it falls with the lag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from avbench.analysis.correlation import Mean, cluster_mean, difference
from avbench.records.style import COLOURS, FAINT, INK, PAPER, saved_figure, write_heading
from avbench.types import Forgery

MAX_POINTS = 400  # of a class
FEW = 10  # clusters
PICTURES = {"pictures real": COLOURS["RARV"], "pictures fake": COLOURS["fake"]}


def draw_correlation(table: pd.DataFrame, heading: str, below: str, fps: float, path: Path) -> list[Path]:
    """Draw a table of `correlation.table_of` as PNG and SVG; `below` says what the units are."""
    known = table[table["intensity"].notna()]
    with saved_figure(path, (9.6, 4.4)) as figure:
        spread, lags = figure.subplots(1, 2, width_ratios=(1.15, 1))
        _draw_classes(spread, known)
        _draw_lags(lags, known, fps)
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.85 / figure.get_figheight()), w_pad=2.5)
        write_heading(figure, heading, f"{below}\n{told(known)}")
    return [path.with_suffix(".png"), path.with_suffix(".svg")]


def told(table: pd.DataFrame) -> str:
    """Return the difference between clips with real and with forged pictures in one line."""
    groups = dict(_by_pictures(table))
    if len(groups) < 2:
        return f"all clips have {next(iter(groups), 'no known units')}"
    everyone = list(table["cluster"])
    real, fake = (
        cluster_mean(groups[name]["intensity"].to_numpy(), list(groups[name]["cluster"]), everyone=everyone)
        for name in PICTURES
    )
    by, low, high = difference(real, fake)
    clusters = len(set(everyone))
    rough = " (few: a rough guide only)" if clusters < FEW else ""
    return f"real minus fake pictures: {by:+.3f} [{low:+.3f}, {high:+.3f}], 95 % over {clusters} clusters{rough}"


def _by_pictures(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    fake = table["class"].map(lambda name: Forgery[name].video_fake).astype(bool)
    groups = zip(PICTURES, (table[~fake], table[fake]), strict=True)
    return [(name, group) for name, group in groups if len(group)]


def _draw_classes(axes: Axes, table: pd.DataFrame) -> None:
    """Draw every clip as a point, and each class's mean with its interval."""
    present = [f.name for f in Forgery if (table["class"] == f.name).any()]
    random = np.random.default_rng(0)
    for place, name in enumerate(present):
        rows = table[table["class"] == name]
        shown = rows if len(rows) <= MAX_POINTS else rows.sample(MAX_POINTS, random_state=0)
        beside = place + random.uniform(-0.22, 0.22, len(shown))
        axes.scatter(beside, shown["intensity"], s=11, color=COLOURS[name], alpha=0.45, linewidth=0)
        mean = cluster_mean(rows["intensity"].to_numpy(), list(rows["cluster"]))
        _mark(axes, place, mean)
    axes.set_xticks(range(len(present)), [f"{name}\nn = {(table['class'] == name).sum():,}" for name in present])
    axes.set_xlim(-0.6, len(present) - 0.25)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("temporal correlation intensity")
    axes.set_title("a clip a point; mean of the class, 95 %", fontsize=9.5)


def _mark(axes: Axes, place: float, mean: Mean) -> None:
    value, low, high = float(mean.value), float(mean.low), float(mean.high)
    axes.plot([place, place], [low, high], color=INK, linewidth=1.6, zorder=3)
    axes.plot(place, value, "o", color=INK, markeredgecolor=PAPER, markersize=7, zorder=4)
    note: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 9}
    axes.annotate(f"{value:.3f}", (place + 0.3, value), (0, 0), color=INK, **note)


def _draw_lags(axes: Axes, table: pd.DataFrame, fps: float) -> None:
    """Draw the mean correlation of frames a lag apart, for real and for forged pictures."""
    names = lag_columns(table)
    lags = np.arange(1, len(names) + 1)
    for name, rows in _by_pictures(table):
        values = rows[names].to_numpy(dtype=float)
        keep = ~np.isnan(values).all(axis=0)
        mean = cluster_mean(values[:, keep], list(rows["cluster"]))
        seconds = lags[keep] / fps
        axes.fill_between(seconds, mean.low, mean.high, color=PICTURES[name], alpha=0.16, linewidth=0)
        axes.plot(seconds, mean.value, color=PICTURES[name], linewidth=1.8, label=f"{name}, n = {len(rows):,}")
    axes.set_xlim(0, None)
    axes.set(xlabel="seconds between the frames", ylabel="mean correlation")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
    axes.legend(loc="best")
    axes.set_title("frames a lag apart, 95 % over clusters", fontsize=9.5)


def lag_columns(table: pd.DataFrame) -> Sequence[str]:
    """Return the names of the lags of a table, the shortest first."""
    return [str(name) for name in table if str(name).startswith("lag_")]
