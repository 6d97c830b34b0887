"""Declares LAV-DF."""

from __future__ import annotations

from collections.abc import Iterable

from avbench.hookspecs import hookimpl
from avbench.types import DatasetSpec


@hookimpl
def avbench_datasets() -> Iterable[DatasetSpec]:
    """Yield LAV-DF."""
    yield DatasetSpec(
        name="lavdf",
        title="LAV-DF",
        scan="avbench_lavdf.reader:scan",
        check="avbench_lavdf.check:check",
        folders=("LAV-DF", "LAVDF", "LAV_DF"),
        summary="136,304 videos; words of 0.65 s replaced inside real speech; official splits",
        identity_is="root original video (LAV-DF names no speakers)",
        locally_forged=True,
        licence="CC BY-NC 4.0 and the VoxCeleb2 terms",
        paper="https://arxiv.org/abs/2204.06228",
    )
