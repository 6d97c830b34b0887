"""A detector as the harness builds it, small enough for a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from avbench.config import resolve
from avbench.engine.building import build
from avbench.plugins.registry import installed
from avbench.types import Task

SMALL = {
    "fgmdf": ("clip.size=32", "width=4", "filters=12", "narrow=8", "wide=8"),
    "mrdf": (
        "trunk_width=4",
        "width=16",
        "layers=1",
        "heads=2",
        "hidden=16",
        "position_kernel=8",
        "position_groups=2",
        "clip.frames=10",
        "clip.size=20",
        "crop=16",
    ),
}


def build_detector(
    name: str,
    *overrides: str,
    preset: str = "demo",
    task: Task = "binary",
    seed: int = 0,
    dataset: str = "",
    last_stage: bool = False,
) -> Any:
    """Build an installed detector of a preset and overrides ("setting=value"); its weights follow from the seed.

    With `last_stage` its training is the last stage alone. The type is not narrowed: tests reach into what is theirs.
    """
    spec = installed().detector(name)
    config = resolve(spec, task, preset=preset, overrides=overrides, dataset=dataset)
    return build(spec, replace(config, stages=config.stages[-1:]) if last_stage else config, seed)


def begin_stages(detector: Any, stage: int) -> Any:
    """Begin the stages of a detector up to this one; return it."""
    for reached in detector.config.stages[: stage + 1]:
        detector.begin_stage(reached)
    return detector
