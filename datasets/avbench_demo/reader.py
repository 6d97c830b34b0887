"""Reads both demo datasets as one, by the readers of the databases that they imitate; adds what only demo data know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from avbench.data.splits import PARTS, split
from avbench.types import Sample
from avbench_demo.plan import plan_scenes
from avbench_demo.truth import truth_of
from avbench_fakeavceleb import reader as fakeavceleb
from avbench_lavdf import reader as lavdf

LOCAL, WHOLE = "LAV-DF", "FakeAVCeleb_v1.2"


def scan(root: Path) -> list[Sample]:
    """Return the samples of both, each with its action units; where a split is missing, fold 1 is the test set."""
    parts = split(fakeavceleb.scan(root / WHOLE))
    samples = [
        *_within(LOCAL, lavdf.scan(root / LOCAL)),
        *(replace(sample, split=part) for part in PARTS for sample in _within(WHOLE, getattr(parts, part))),
    ]
    speakers = {f"{LOCAL}/{s.split}/{name}": f"speaker{s.speaker:02d}" for s in plan_scenes() for name in s.names}
    return [
        replace(
            sample,
            cluster=speakers.get(sample.id, sample.cluster),  # who speaks twice in a database that names nobody
            annotations=(("au", truth_of(root, sample.path)),),
        )
        for sample in samples
    ]


def _within(folder: str, samples: Iterable[Sample]) -> Iterator[Sample]:
    return (replace(sample, id=f"{folder}/{sample.id}") for sample in samples)
