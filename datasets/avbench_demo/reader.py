"""Reads both demo datasets as one, by the readers of the databases that they imitate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from avbench.splits import PARTS, split
from avbench.types import Sample
from avbench_fakeavceleb import reader as fakeavceleb
from avbench_lavdf import reader as lavdf

LOCAL, WHOLE = "LAV-DF", "FakeAVCeleb_v1.2"


def scan(root: Path) -> list[Sample]:
    """Return the samples of both; where a split is missing, fold 1 by identity is the test set."""
    parts = split(fakeavceleb.scan(root / WHOLE))
    return [
        *_within(LOCAL, lavdf.scan(root / LOCAL)),
        *(replace(sample, split=part) for part in PARTS for sample in _within(WHOLE, getattr(parts, part))),
    ]


def _within(folder: str, samples: Iterable[Sample]) -> Iterator[Sample]:
    return (replace(sample, id=f"{folder}/{sample.id}") for sample in samples)
