"""Declares the demo data, which stand in for LAV-DF and FakeAVCeleb where neither is on disk."""

from __future__ import annotations

from collections.abc import Iterable

from avbench.hookspecs import hookimpl
from avbench.types import DatasetSpec


@hookimpl
def avbench_datasets() -> Iterable[DatasetSpec]:
    """Yield the demo data."""
    yield DatasetSpec(
        name="demo",
        title="Demo data",
        scan="avbench_demo.reader:scan",
        make="avbench_demo.make:make_demo",
        stands_in_for=("lavdf", "fakeav"),
        summary="two small sets of rendered talking faces, made on first use; their numbers mean nothing",
        identity_is="rendered speaker, or root original video",
        locally_forged=True,
    )
