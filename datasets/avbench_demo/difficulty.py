"""How much a forgery gives itself away: three difficulties, and what is drawn for each file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Level = Literal["easy", "medium", "hard"]


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What real and forged files show, as ranges from which each file draws.

    Traces are the marks of processing, 0 none to 1 those of a crude generator. Genuine recordings have them too, as
    beauty filters and speech codecs leave them, so that a trace alone proves nothing unless the ranges are apart.
    What genuine recordings do not show: a face whose mouth sits `offset` pixels off the middle line and swims by
    `swim` pixels against the head, and a voice whose pitch moves in steps (`stairs`, 0 to 1).
    """

    name: Level
    real_seen: tuple[float, float]
    fake_seen: tuple[float, float]
    real_heard: tuple[float, float]
    fake_heard: tuple[float, float]
    offset: float
    swim: float
    stairs: float


DIFFICULTIES = {
    "easy": Difficulty("easy", (0.0, 0.0), (0.8, 1.0), (0.0, 0.0), (0.8, 1.0), 0.0, 1.0, 0.0),
    "medium": Difficulty("medium", (0.0, 0.7), (0.3, 1.0), (0.0, 0.7), (0.3, 1.0), 2.5, 1.5, 1.0),
    "hard": Difficulty("hard", (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), 5.0, 0.0, 1.0),
}


def drawn(extent: tuple[float, float], seed: list[int]) -> float:
    """Draw a strength from a range."""
    return float(np.random.default_rng(seed).uniform(*extent))
