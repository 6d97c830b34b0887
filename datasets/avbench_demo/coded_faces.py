"""A third demo database, of many real faces with known action units: what DISFA is to the other two.

Its people are in neither of them, and nobody is forged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from avbench.series import Series
from avbench.types import Sample
from avbench_demo.encoding import encode_video
from avbench_demo.faces import Face
from avbench_demo.people import SEED, list_people, make_people
from avbench_demo.performance import AU_NAMES, FPS, Performance, perform
from avbench_demo.person import draw_person
from avbench_demo.phonemes import say
from avbench_demo.portrait import paint_portrait
from avbench_demo.recording import LOCAL_STYLE, WHOLE_STYLE, film
from avbench_demo.speech import speak

VERSION = 1  # raise when anything that is written changes
PEOPLE = {"train": 192, "validation": 24, "test": 40}
SECONDS, EVERY = 4.0, 5  # of a performance, of which every fifth frame is kept
_STREAM = 3  # keeps the draws apart from those of the other databases


def make_faces(root: Path, *, progress: Callable[[int, int], None] | None = None, people: int | None = None) -> Path:
    """Make `root`/P000.mp4 and `root`/P000.npz of each person unless they are there; return root.

    A video holds moments a fifth of a second apart. people: how many, by default all.
    """
    count = people or sum(PEOPLE.values())
    return make_people(root, _make_one, stamp="faces.json", version=VERSION, people=count, progress=progress)


def _make_one(number: int, folder: Path) -> None:
    style = (LOCAL_STYLE, WHOLE_STYLE)[number % 2]
    seed = [SEED, _STREAM, number]
    person = draw_person([*seed, 1], woman=number // 2 % 2 == 1)
    sentence = say(np.random.default_rng([*seed, 2]), SECONDS, person.voice.pace)
    whole = perform(sentence, speak(sentence, person.voice, [*seed, 3]).accent, [*seed, 4])
    kept = thinned(whole)
    frames = Face(paint_portrait(person, style.studio, [*seed, 5]), person).act(kept)
    video = encode_video(film(frames, style, [*seed, 6]), style.crf, style.preset)
    (folder / f"P{number:03d}.mp4").write_bytes(video)
    np.savez(folder / f"P{number:03d}.npz", au=kept.au.astype(np.float32), au_names=np.array(AU_NAMES))


def thinned(performance: Performance) -> Performance:
    """Keep every fifth moment of a performance."""
    kept: dict[str, Any] = {f.name: getattr(performance, f.name)[::EVERY] for f in fields(Performance)}
    return replace(performance, **kept)


def scan(root: Path) -> list[Sample]:
    """Return a sample for each person; the first ones are for training, the last for the test."""
    return list_people(root, PEOPLE, ("au",), lambda truth: len(read_units(truth).values))


def read_units(path: Path) -> Series:
    """Read the action units of a person, (T,8) intensity 0-5, in the order of AU_NAMES."""
    with np.load(path, allow_pickle=False) as truth:
        return Series.of_frames(truth["au"], FPS)
