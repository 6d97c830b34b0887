"""How the moments of one clip go together: a detector's attention matrices as heat maps beside what is seen and heard.

FauForensics' temporal attentional pooler (eqs. 4 to 6; arXiv 2505.08294) judges by such matrices alone. T frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from avbench.records.style import INK, PAPER, SOFT, saved_figure, write_heading

PREFIX = "attention/"
THUMBNAILS = 5
MAP, STRIP, GAP = 2.9, 0.58, 0.08  # inches
ABOVE, BELOW, BESIDE = 1.1, 0.62, 0.55  # inches
_TITLES = {"video": "pictures", "audio": "sound"}
_SIGNED = LinearSegmentedColormap.from_list("signed", ["#1b8a7a", "#a9d5cd", "#f7f8f9", "#f0b7a6", "#c8405a"])
_SHARES = LinearSegmentedColormap.from_list("shares", ["#f5f8fa", "#a8cbdc", "#2c7a9c", "#123c53"])


def matrices_of(features: Mapping[str, NDArray[Any]], row: int) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Return one clip's matrices (T,T) by the streams of their rows and columns."""
    found = {}
    for name, values in features.items():
        if name.startswith(PREFIX):
            rows, columns = name.removeprefix(PREFIX).split("/")
            found[rows, columns] = np.asarray(values[row], np.float64)
    return found


def table_of(matrices: Mapping[tuple[str, str], NDArray[np.float64]]) -> pd.DataFrame:
    """Return a row a cell: streams, frame of the row and of the column, value."""
    tables = []
    for (rows, columns), matrix in matrices.items():
        i, j = np.indices(matrix.shape)
        cells = {"row": i.ravel(), "column": j.ravel(), "value": matrix.ravel()}
        tables.append(pd.DataFrame(cells).assign(rows=rows, columns=columns))
    return pd.concat(tables, ignore_index=True)[["rows", "columns", "row", "column", "value"]]


def draw_attention(
    matrices: Mapping[tuple[str, str], NDArray[np.float64]],
    pictures_TCHW: NDArray[np.uint8],
    sound_S: NDArray[Any],
    seconds: float,
    path: Path,
    *,
    heading: str,
    below: str,
) -> list[Path]:
    """Draw matrices side by side, the frames or the sound of the clip, `seconds` long, along their axes."""
    cell = BESIDE + STRIP + GAP + MAP + 0.66
    width, height = cell * len(matrices) + 0.1, ABOVE + MAP + GAP + STRIP + BELOW
    with saved_figure(path, (width, height)) as figure:
        for number, ((rows, columns), matrix) in enumerate(matrices.items()):
            left, bottom = number * cell + BESIDE + STRIP + GAP, BELOW + STRIP + GAP
            axes = _place(figure, left, bottom, MAP, MAP)
            _draw_matrix(figure, axes, matrix, seconds)
            axes.set_title(f"{_TITLES[rows]} × {_TITLES[columns]}", fontsize=10, fontweight="bold", pad=7)
            across = _place(figure, left, bottom - GAP - STRIP, MAP, STRIP)
            down = _place(figure, left - GAP - STRIP, bottom, STRIP, MAP)
            _draw_strip(across, columns, pictures_TCHW, sound_S)
            _draw_strip(down, rows, pictures_TCHW, sound_S, upright=True)
            _tell_time(across, columns, seconds)
            down.set_ylabel(f"rows: {_TITLES[rows]}", fontsize=8.5, color=SOFT)
        write_heading(figure, heading, below)
    return [path.with_suffix(".png"), path.with_suffix(".svg")]


def _place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    across, up = figure.get_size_inches()
    axes = figure.add_axes((left / across, bottom / up, width / across, height / up))
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes


def _draw_matrix(figure: Figure, axes: Axes, matrix: NDArray[np.float64], seconds: float) -> None:
    """Draw signed values in two hues about 0, others in one from the smallest on."""
    most = max(float(np.nanmax(np.abs(matrix))), 1e-9)
    signed = float(np.nanmin(matrix)) < 0
    least = -most if signed else float(np.nanmin(matrix))
    shown = axes.imshow(
        matrix,
        cmap=_SIGNED if signed else _SHARES,
        vmin=least,
        vmax=most,
        extent=(0, seconds, seconds, 0),
        aspect="auto",
        interpolation="nearest",
    )
    x, y, wide, tall = axes.get_position().bounds
    beside = figure.add_axes((x + wide * 1.03, y, wide * 0.035, tall))
    bar = figure.colorbar(shown, cax=beside)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=7.5)


def _draw_strip(
    axes: Axes, stream: str, pictures_TCHW: NDArray[np.uint8], sound_S: NDArray[Any], *, upright: bool = False
) -> None:
    """Draw frames in equal steps, or the envelope of the sound, from left to right or (upright) from top to bottom."""
    if stream == "video":
        edges = np.linspace(0, 1, THUMBNAILS + 1)
        middle = ((edges[:-1] + edges[1:]) / 2 * len(pictures_TCHW)).astype(int)
        for k, frame in enumerate(middle):
            picture = pictures_TCHW[frame].transpose(1, 2, 0)
            extent = (0, 1, edges[k + 1], edges[k]) if upright else (edges[k], edges[k + 1], 1, 0)
            axes.imshow(picture, extent=extent, aspect="auto", interpolation="antialiased")
        axes.set(xlim=(0, 1), ylim=(1, 0))
        for edge in edges[1:-1]:
            (axes.axhline if upright else axes.axvline)(edge, color=PAPER, linewidth=1.5)
        return
    steps = np.array_split(np.abs(sound_S), 200)
    loud = np.array([step.max() if len(step) else 0.0 for step in steps])
    loud = loud / max(float(loud.max()), 1e-9)
    clock = (np.arange(len(loud)) + 0.5) / len(loud)
    if upright:
        axes.fill_betweenx(clock, -loud, loud, color=INK, linewidth=0)
        axes.set(xlim=(-1.05, 1.05), ylim=(1, 0))
    else:
        axes.fill_between(clock, -loud, loud, color=INK, linewidth=0)
        axes.set(xlim=(0, 1), ylim=(-1.05, 1.05))


def _tell_time(axes: Axes, stream: str, seconds: float) -> None:
    axes.set_xticks(np.linspace(0, 1, 5), [f"{second:.2f}" for second in np.linspace(0, seconds, 5)], fontsize=8)
    axes.tick_params(axis="x", length=2)
    axes.set_xlabel(f"columns: {_TITLES[stream]}, seconds of the clip", fontsize=8.5, color=SOFT)
