"""Declares the dataset that is any folder of labelled files."""

from __future__ import annotations

from collections.abc import Iterable

from avbench.hookspecs import hookimpl
from avbench.types import DatasetSpec


@hookimpl
def avbench_datasets() -> Iterable[DatasetSpec]:
    """Yield the dataset of a user's own files."""
    yield DatasetSpec(
        name="folder",
        title="Own files",
        scan="avbench_folder.reader:scan",
        check="avbench_folder.check:check",
        summary="real/ and fake/ in a folder, or a labels.csv; plain fakes count as fake in both streams",
        identity_is="column identity of the CSV, else each file is its own",
        locally_forged=True,
    )
