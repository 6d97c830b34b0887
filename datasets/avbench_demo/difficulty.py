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
    Articulation is what forgeries lack: models that learnt means move lips and tongue about a middle, from 0, as people
    do, to 1, not at all. People mumble too, but less.
    """

    name: Level
    real_seen: tuple[float, float]
    fake_seen: tuple[float, float]
    real_heard: tuple[float, float]
    fake_heard: tuple[float, float]
    real_mumbled: tuple[float, float]
    fake_passages: tuple[float, float]  # lips and voice of replaced words
    fake_lips: tuple[float, float]  # of a whole video
    fake_voice: tuple[float, float]


_ANY = (0.0, 1.0)
_FLAT = (0.8, 1.0)
DIFFICULTIES = {
    level.name: level
    for level in (
        Difficulty("easy", (0.0, 0.0), _FLAT, (0.0, 0.0), _FLAT, (0.0, 0.1), _FLAT, _FLAT, _FLAT),
        Difficulty("medium", _ANY, _ANY, _ANY, _ANY, (0.0, 0.25), (0.85, 1.0), (0.5, 0.75), _FLAT),
        Difficulty("hard", _ANY, _ANY, _ANY, _ANY, (0.0, 0.4), (0.5, 0.8), (0.4, 0.7), (0.4, 0.7)),
    )
}


def drawn(extent: tuple[float, float], seed: list[int]) -> float:
    """Draw a strength from a range."""
    return float(np.random.default_rng(seed).uniform(*extent))
