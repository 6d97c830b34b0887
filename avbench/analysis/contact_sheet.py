"""A contact sheet: one row a perturbation, one column a level; pictures as they look, sounds as spectrograms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import stft

from avbench.records.style import INK, saved_figure

if TYPE_CHECKING:
    from avbench.media.frames import Picture
    from avbench.media.sound import Sound

CELL, GAP = 1.5, 0.08  # inches
BAND = 0.62  # inches above a row, for its title and the captions
HEAD = 0.35  # inches
SOUND_HEIGHT = 0.6  # of the width
WINDOW = 0.025  # seconds
FLOOR = -80.0  # dB below the loudest of the sound as it is
SOFT = "#5f6d79"


@dataclass(frozen=True, slots=True)
class Row:
    """A titled row of cells, a caption and a picture (H,W,3) uint8 or a sound (S,) float32 at `rate` Hz each."""

    title: str
    cells: list[tuple[str, Picture | Sound]]
    rate: int = 0

    @property
    def height(self) -> float:
        """Return the height of a cell as a share of its width."""
        content = self.cells[0][1]
        return content.shape[0] / content.shape[1] if content.ndim == 3 else SOUND_HEIGHT


def draw_contact_sheet(rows: list[Row], heading: str, path: Path) -> Path:
    """Draw rows of cells into a PNG, and an SVG beside it; return the PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = max(len(row.cells) for row in rows)
    width = columns * (CELL + GAP)
    height = HEAD + sum(BAND + CELL * row.height for row in rows)
    with saved_figure(path, (width, height)) as figure:
        figure.text(0, 1, heading, va="top", fontsize=11, fontweight="bold", color=INK)
        top = height - HEAD
        for row in rows:
            figure.text(0, (top - 0.08) / height, row.title, va="top", fontsize=9.5, fontweight="bold", color=INK)
            tall = CELL * row.height
            top -= BAND + tall
            for column, (caption, content) in enumerate(row.cells):
                left = column * (CELL + GAP)
                axes = figure.add_axes((left / width, top / height, CELL / width, tall / height))
                axes.set_axis_off()
                if content.ndim == 3:
                    axes.imshow(content, aspect="auto")
                else:
                    axes.imshow(_spectrogram(content, row), aspect="auto", cmap="magma", vmin=FLOOR, vmax=0)
                figure.text(
                    (left + CELL / 2) / width,
                    (top + tall + 0.05) / height,
                    caption,
                    ha="center",
                    va="bottom",
                    fontsize=7.5,
                    color=SOFT,
                )
    return path


def _spectrogram(sound: NDArray[Any], row: Row) -> NDArray[np.float64]:
    """Return dB below the loudest moment of the row's first sound, high frequencies on top."""
    window = max(16, round(WINDOW * row.rate))
    own, first = (np.abs(stft(s, row.rate, nperseg=window)[2]) for s in (sound, row.cells[0][1]))
    decibels: NDArray[np.float64] = 20 * np.log10(np.maximum(own / max(float(first.max()), 1e-9), 1e-6))
    return decibels[::-1]
