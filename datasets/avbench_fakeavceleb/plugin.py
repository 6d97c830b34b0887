"""Declares FakeAVCeleb."""

from __future__ import annotations

from collections.abc import Iterable

from avbench.hookspecs import hookimpl
from avbench.types import DatasetSpec


@hookimpl
def avbench_datasets() -> Iterable[DatasetSpec]:
    """Yield FakeAVCeleb."""
    yield DatasetSpec(
        name="fakeav",
        title="FakeAVCeleb",
        scan="avbench_fakeavceleb.reader:scan",
        check="avbench_fakeavceleb.check:check",
        train_identities="avbench_fakeavceleb.reader:train_identities",
        folders=("FakeAVCeleb_v1.2", "FakeAVCeleb", "FakeAVCeleb_v1_2"),
        summary="21,544 videos of 500 speakers, forged from end to end; no official split, so identity folds",
        identity_is="speaker (swap targets are speakers of the database too)",
        licence="by request to its authors",
        paper="https://arxiv.org/abs/2108.05080",
    )
