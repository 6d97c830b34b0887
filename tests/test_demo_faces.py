"""The demo faces: the same files for the same seed, labels that fit what is seen, people apart, no protocols."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from avbench.media.placing import Place
from avbench.perturbations.open_clip import OpenClip
from avbench.plugins.registry import installed
from avbench.protocol import known
from avbench.types import ClipSpec, Sample
from avbench_demo.coded_faces import EVERY, PEOPLE, make_faces, read_units, scan, thinned
from avbench_demo.performance import AU_NAMES, Performance

COUNT = 4


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces(tmp_path_factory.mktemp("faces") / "demo_faces", people=COUNT)


def frames_of(sample: Sample) -> np.ndarray:
    spec = ClipSpec(frames=50, size=224, audio_samples=0, whole=True)
    return OpenClip(sample.path, spec, Place.start(0.0)).clean().frames


def test_labels_are_those_of_the_frames(root: Path) -> None:
    """The wider lips part (AU25), the less a mouth looks like the most closed one."""
    likeness, elsewhere = [], []
    for sample in scan(root):
        frames, units = frames_of(sample), read_units(dict(sample.annotations)["au"]).values
        assert len(frames) == len(units) == sample.frames == 20 and units.shape[1] == len(AU_NAMES)
        parted = units[:, AU_NAMES.index("AU25")]
        mouth = frames[:, 140:195, 85:140].astype(float)
        change = np.abs(mouth - mouth[parted.argmin()]).mean(axis=(1, 2, 3))
        likeness.append(np.corrcoef(change, parted)[0, 1])
        elsewhere.append(max(np.corrcoef(change, np.roll(parted, k))[0, 1] for k in (-2, -1, 1, 2)))
    assert np.mean(likeness) > 0.3 and np.mean(likeness) > np.mean(elsewhere), (likeness, elsewhere)


def test_moments_are_a_fifth_of_a_second_apart() -> None:
    whole = Performance(*(np.arange(11.0)[:, None] + k for k in range(len(fields(Performance)))))
    kept = thinned(whole)
    assert EVERY == 5 and [kept.au[:, 0].tolist(), kept.light[:, 0].tolist()] == [[0, 5, 10], [5, 10, 15]]


def test_the_same_seed_gives_the_same_files_and_they_are_made_once(root: Path, tmp_path: Path) -> None:
    again = make_faces(tmp_path / "again", people=COUNT)
    files = sorted(path.name for path in root.iterdir())
    assert len(files) == 2 * COUNT + 1 and files == sorted(path.name for path in again.iterdir())
    for name in files:
        if name.endswith(".mp4"):
            assert (root / name).read_bytes() == (again / name).read_bytes()
    before = (again / "P000.mp4").stat().st_mtime_ns
    assert make_faces(again, people=COUNT) == again and (again / "P000.mp4").stat().st_mtime_ns == before


def test_each_person_is_in_one_list_and_nobody_is_forged(root: Path) -> None:
    samples = scan(root)
    assert {s.split for s in samples} == {"train"} and len({s.identity for s in samples}) == COUNT
    assert sum(PEOPLE.values()) == 256 and not any(s.forgery for s in samples)
    assert not [name for name in known(installed().datasets()) if "demo_faces" in name]
    assert installed().dataset("demo_faces").annotations[0].columns == AU_NAMES
