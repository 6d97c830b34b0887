"""Declares the demo data, which stand in for LAV-DF and FakeAVCeleb where neither is on disk."""

from __future__ import annotations

from collections.abc import Iterable

from avbench.hookspecs import hookimpl
from avbench.types import DatasetSpec, TargetSpec

EDITION = 9  # raise when anything that is written changes: trainings on older editions are not used again
UNITS = ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26")


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
        edition=str(EDITION),
        targets=(
            TargetSpec("au", "avbench_demo.truth:read_units", UNITS, "action units as rendered, intensity 0 to 5"),
        ),
    )
