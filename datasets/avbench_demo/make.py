"""Make both demo databases, on all cores, into a folder that appears only when it is complete."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from avbench.errors import UserError
from avbench_demo.layout import write_fakeav, write_lavdf
from avbench_demo.plan import FAKEAV, LAVDF, Scene, Subject, plan_scenes, plan_subjects
from avbench_demo.plugin import VERSION
from avbench_demo.recipe import Recipe
from avbench_demo.stamp import NAME, stamp_of

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def make_demo(
    root: Path,
    *,
    difficulty: str = "medium",
    edition: str = "published",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make `root`/LAV-DF, `root`/FakeAVCeleb_v1.2 and `root`/truth unless they are there; return root.

    workers: processes, by default one a core; the files are the same for any number. progress(done, total) counts
    videos. The folder is built beside root and renamed at the end, so two callers at once do no harm. Processes are
    spawned: a script that calls this needs the usual `if __name__ == "__main__":`. Demo data of another difficulty,
    edition or version make way. Raises UserError for an unknown difficulty or edition, and where root holds anything
    but demo data.
    """
    recipe = Recipe.named(difficulty, edition)
    return make(Path(root), plan_scenes(recipe.edition), plan_subjects(recipe.edition), recipe, workers, progress)


def make(
    root: Path,
    scenes: list[Scene],
    subjects: list[Subject],
    recipe: Recipe,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make what a plan asks for, as `make_demo` does for the whole plan."""
    wanted = _stamp(scenes, subjects, recipe)
    if _says(root) == wanted:
        return root
    if root.exists() and not (root / NAME).exists() and not (root.is_dir() and not any(root.iterdir())):
        raise UserError(f"{root} holds something else than demo data, which would be lost; name a folder of their own")
    root.parent.mkdir(parents=True, exist_ok=True)
    building = Path(mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        _render(building, scenes, subjects, recipe, workers or os.cpu_count() or 1, progress)
        for folder in (building, building / LAVDF, building / FAKEAV):  # each may be copied alone
            (folder / NAME).write_text(json.dumps(wanted, indent=2))
        _put_in_place(building, root, wanted)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return root


def _render(
    folder: Path,
    scenes: list[Scene],
    subjects: list[Subject],
    recipe: Recipe,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    total, done = sum(_counts(scenes, subjects)), 0
    rows: list[dict[str, Any]] = []
    # Spawned, not forked: the caller may hold threads and open decoders.
    context = multiprocessing.get_context("spawn")
    with _single_threaded(), ProcessPoolExecutor(workers, context) as pool:
        items: list[Scene | Subject] = [*subjects, *scenes]
        jobs = [pool.submit(_make_one, item, folder, recipe) for item in items]
        for job in as_completed(jobs):
            count, more = job.result()
            rows += more
            done += count
            if progress is not None:
                progress(done, total)
    write_lavdf(folder / LAVDF, rows)
    write_fakeav(folder / FAKEAV, subjects)


def _make_one(item: Scene | Subject, folder: Path, recipe: Recipe) -> tuple[int, list[dict[str, Any]]]:
    """In a worker: make the videos of one plan item; return their number and any rows for metadata.json."""
    import cv2

    from avbench_demo.fakeav_subjects import make_subject
    from avbench_demo.lavdf_scenes import make_scene

    cv2.setNumThreads(1)
    if isinstance(item, Subject):
        return make_subject(item, folder, recipe), []
    rows = make_scene(item, folder, recipe)
    return len(rows), rows


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Have child processes start with one thread each: faster on all cores, and the same sums everywhere."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _stamp(scenes: list[Scene], subjects: list[Subject], recipe: Recipe) -> dict[str, Any]:
    """What demo.json says: all that the bytes of the files depend on."""
    local, whole = _counts(scenes, subjects)
    return {
        "version": VERSION,
        "difficulty": recipe.difficulty.name,
        "edition": recipe.edition.name,
        "seed": recipe.edition.seed,
        "videos": local + whole,
        LAVDF: local,
        FAKEAV: whole,
        "libraries": {name: version(name) for name in ("av", "numpy", "opencv-python-headless", "scipy")},
    }


def _counts(scenes: list[Scene], subjects: list[Subject]) -> tuple[int, int]:
    """Videos of LAV-DF and of FakeAVCeleb."""
    return 4 * len(scenes), sum(len(s.takes) + len(s.fakes) for s in subjects)


def _says(root: Path) -> dict[str, Any] | None:
    """What demo.json of a folder says, None without a readable one."""
    try:
        return stamp_of(root)
    except UserError:
        return None


def _put_in_place(building: Path, root: Path, wanted: dict[str, Any]) -> None:
    """Rename the finished folder; an outdated one makes way, a current one made meanwhile by somebody else stays."""
    building.chmod(0o755)
    if root.exists() and _says(root) != wanted:
        outdated = Path(mkdtemp(prefix=f".{root.name}-old-", dir=root.parent))
        with suppress(FileNotFoundError):  # another process moved it away first
            os.replace(root, outdated / root.name)
        shutil.rmtree(outdated, ignore_errors=True)
    try:
        os.rename(building, root)
    except OSError:
        if _says(root) != wanted:
            raise
