"""Databases of invented people who appear once each and are in no other: made on all cores, listed, split."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from tempfile import mkdtemp

from avbench.types import Forgery, Sample
from avbench_demo.performance import FPS

SEED = 2024  # a draw begins with it and with the stream of its database, of which the two forged ones have 1 and 2


def make_people(
    root: Path,
    make_one: Callable[[int, Path], None],
    *,
    stamp: str,
    version: int,
    people: int,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Have `make_one` (number, folder) make the files of each person in `root` unless they are there; return root.

    stamp: name of the file that tells what was made; version: raised when anything that is written changes.
    """
    libraries = {name: metadata.version(name) for name in ("av", "numpy", "opencv-python-headless", "scipy")}
    wanted = {"version": version, "seed": SEED, "people": people, "libraries": libraries}
    if (root / stamp).is_file() and json.loads((root / stamp).read_text()) == wanted:
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    building = Path(mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        context = multiprocessing.get_context("spawn")  # the caller may hold threads and open decoders
        with ProcessPoolExecutor(os.cpu_count() or 1, context) as pool:
            for done, _ in enumerate(pool.map(make_one, range(people), [building] * people), 1):
                if progress is not None:
                    progress(done, people)
        (building / stamp).write_text(json.dumps(wanted, indent=2))
        building.chmod(0o755)
        shutil.rmtree(root, ignore_errors=True)
        os.rename(building, root)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return root


def list_people(
    root: Path, parts: Mapping[str, int], annotations: tuple[str, ...], frames_of: Callable[[Path], int]
) -> list[Sample]:
    """Return a sample for each person of `root`/P000.mp4, ...; `parts` says how many are in each split, in turn.

    The .npz beside a video holds all of its `annotations` and tells `frames_of` how many frames it has.
    """
    splits = [part for part, count in parts.items() for _ in range(count)]
    return [
        Sample(
            id=path.name,
            path=path,
            forgery=Forgery.RARV,
            split=splits[int(path.stem[1:])],
            identity=path.stem,
            fps=float(FPS),
            frames=frames_of(path.with_suffix(".npz")),
            annotations=tuple((name, path.with_suffix(".npz")) for name in annotations),
        )
        for path in sorted(root.glob("P*.mp4"))
    ]
