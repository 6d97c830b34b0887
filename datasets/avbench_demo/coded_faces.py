"""A third demo database, of many real faces with known action units: what DISFA is to the other two.

Its people are in neither of them, and nobody is forged.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from avbench.series import Series
from avbench.types import Forgery, Sample
from avbench_demo.encoding import encode_video
from avbench_demo.faces import Face
from avbench_demo.performance import AU_NAMES, FPS, Performance, perform
from avbench_demo.person import draw_person
from avbench_demo.phonemes import say
from avbench_demo.portrait import paint_portrait
from avbench_demo.recording import LOCAL_STYLE, WHOLE_STYLE, film
from avbench_demo.speech import speak

VERSION = 1  # raise when anything that is written changes
SEED = 2024  # its own: an edition of the demo data may have it too, see _STREAM
PEOPLE = {"train": 192, "validation": 24, "test": 40}
SECONDS, EVERY = 4.0, 5  # of a performance, of which every fifth frame is kept
# Keeps the draws apart from those of the demo data in every edition: the numbers of their styles are 1 and 2.
_STREAM = 3


def make_faces(root: Path, *, progress: Callable[[int, int], None] | None = None, people: int | None = None) -> Path:
    """Make `root`/P000.mp4 and `root`/P000.npz of each person unless they are there; return root.

    A video holds moments a fifth of a second apart. people: how many, by default all.
    """
    count = people or sum(PEOPLE.values())
    libraries = {name: version(name) for name in ("av", "numpy", "opencv-python-headless", "scipy")}
    wanted = {"version": VERSION, "seed": SEED, "people": count, "libraries": libraries}
    stamp = root / "faces.json"
    if stamp.is_file() and json.loads(stamp.read_text()) == wanted:
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    building = Path(mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        context = multiprocessing.get_context("spawn")  # the caller may hold threads and open decoders
        with ProcessPoolExecutor(os.cpu_count() or 1, context) as pool:
            for done, _ in enumerate(pool.map(_make_one, range(count), [building] * count), 1):
                if progress is not None:
                    progress(done, count)
        (building / stamp.name).write_text(json.dumps(wanted, indent=2))
        building.chmod(0o755)
        shutil.rmtree(root, ignore_errors=True)
        os.rename(building, root)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return root


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
    parts = [part for part, count in PEOPLE.items() for _ in range(count)]
    return [
        Sample(
            id=path.name,
            path=path,
            forgery=Forgery.RARV,
            split=parts[int(path.stem[1:])],
            identity=path.stem,
            fps=float(FPS),
            frames=len(read_units(path.with_suffix(".npz")).values),
            annotations=(("au", path.with_suffix(".npz")),),
        )
        for path in sorted(root.glob("P*.mp4"))
    ]


def read_units(path: Path) -> Series:
    """Read the action units of a person, (T,8) intensity 0-5, in the order of AU_NAMES."""
    with np.load(path, allow_pickle=False) as truth:
        return Series.of_frames(truth["au"], FPS)
