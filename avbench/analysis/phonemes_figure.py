"""Figure 8 of FauForensics for any data: frames, AU25 and phonemes of one speaker's four classes under each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from avbench.analysis.phonemes import UNIT, Track
from avbench.records.style import COLOURS, FAINT, INK, PAPER, SOFT, saved_figure, write_heading

WIDTH, LINE, STRIP = 9.4, 1.0, 0.72  # inches
MOST = 5.0  # of AU25
MIN_LABELLED = 0.012  # of the width, for a phoneme's name


def draw_phonemes(
    tracks: Sequence[Track],
    pictures: Sequence[NDArray[np.uint8]],
    span: tuple[float, float],
    closing: Sequence[str],
    path: Path,
    *,
    heading: str,
    below: str,
) -> list[Path]:
    """Draw each video's AU25 over its phonemes from `span`[0] to `span`[1] s; `pictures` (P,H,W,3) lie along it."""
    height = 0.8 + len(tracks) * (LINE + STRIP + 0.62) + 0.3
    with saved_figure(path, (WIDTH, height)) as figure:
        for number, (one, frames) in enumerate(zip(tracks, pictures, strict=True)):
            top = height - 0.8 - number * (LINE + STRIP + 0.62)
            place: Any = {"left": 0.75 / WIDTH, "width": (WIDTH - 0.95) / WIDTH}
            strip = figure.add_axes(_box(place, top - 0.25 - STRIP, STRIP, height))
            axes = figure.add_axes(_box(place, top - 0.3 - STRIP - LINE, LINE, height))
            _draw_pictures(strip, frames)
            _draw_line(axes, one, span, closing)
            axes.tick_params(labelbottom=number == len(tracks) - 1)
            said = _told(one, closing)
            figure.text(place["left"], top / height, one.sample.forgery.name, fontweight="bold", va="top", color=INK)
            figure.text(place["left"] + 0.065, top / height, said, fontsize=8.5, va="top", color=SOFT)
        axes.set_xlabel("seconds of the video")
        write_heading(figure, heading, below)
    return [path.with_suffix(".png"), path.with_suffix(".svg")]


def _box(place: dict[str, float], bottom: float, tall: float, height: float) -> tuple[float, float, float, float]:
    return place["left"], bottom / height, place["width"], tall / height


def _told(one: Track, closing: Sequence[str]) -> str:
    found = one.openings(closing)
    sounds = " ".join(f"/{name}/" for name in closing)
    name = one.sample.id.rsplit("/", 1)[-1]
    if not found:
        return f"{name} · no {sounds}"
    return f"{name} · smallest {UNIT} during {sounds}: {np.mean(found):.2f} on average over {len(found)}"


def _draw_pictures(axes: Axes, pictures: NDArray[np.uint8]) -> None:
    axes.set_axis_off()
    for k, picture in enumerate(pictures):
        axes.imshow(picture, extent=(k, k + 0.97, 1, 0), aspect="auto", interpolation="antialiased")
    axes.set(xlim=(0, len(pictures) - 0.03), ylim=(1, 0))


def _draw_line(axes: Axes, one: Track, span: tuple[float, float], closing: Sequence[str]) -> None:
    """Draw AU25 as a line, phonemes as cells named on top; closing ones in the class's colour."""
    colour = COLOURS[one.sample.forgery.name]
    for spoken in one.phonemes:
        start, end = max(spoken.start, span[0]), min(spoken.end, span[1])
        if end <= start or not spoken.name:
            continue
        closes = spoken.name in closing
        axes.axvspan(start, end, color=colour if closes else FAINT, alpha=0.3 if closes else 0.1, linewidth=0)
        axes.axvline(start, color=PAPER, linewidth=1.2)
        if end - start > MIN_LABELLED * (span[1] - span[0]):
            weight = "bold" if closes else "normal"
            axes.text(
                (start + end) / 2,
                MOST * 0.97,
                spoken.name,
                ha="center",
                va="top",
                fontsize=9,
                fontweight=weight,
                color=INK,
            )
    axes.plot(one.times, one.lips, color=colour, linewidth=1.8, marker="o", markersize=3)
    axes.set(xlim=span, ylim=(-0.2, MOST), yticks=[0, 2, 4])
    axes.set_ylabel(UNIT)
