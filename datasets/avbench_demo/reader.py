"""Reads both demo datasets as one, by the readers of the databases that they imitate; adds what only demo data know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from avbench.data.splits import PARTS, split
from avbench.types import Sample
from avbench_demo.plan import FAKEAV, LAVDF, plan_scenes
from avbench_demo.recipe import Edition
from avbench_demo.stamp import stamp_of
from avbench_demo.truth import truth_of
from avbench_fakeavceleb import reader as fakeavceleb
from avbench_lavdf import reader as lavdf


def scan(root: Path) -> list[Sample]:
    """Return the samples of both, each with its action units; where a split is missing, fold 1 is the test set."""
    parts = split(fakeavceleb.scan(root / FAKEAV))
    samples = [
        *_within(LAVDF, lavdf.scan(root / LAVDF)),
        *(replace(sample, split=part) for part in PARTS for sample in _within(FAKEAV, getattr(parts, part))),
    ]
    speakers = _speakers(root)
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


def _speakers(root: Path) -> dict[str, str]:
    """Return who speaks in each video of LAV-DF, by id, as planned for the edition that the folder holds."""
    stamp = stamp_of(root)
    if stamp is None:
        return {}
    scenes = plan_scenes(Edition(str(stamp.get("edition", "")), int(stamp["seed"])))
    return {f"{LAVDF}/{s.split}/{name}": f"speaker{s.speaker:02d}" for s in scenes for name in s.names}
