"""Declares DISFA, DISFA+ and BP4D, and decodes their folders of pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from avbench.hookspecs import hookimpl
from avbench.types import AnnotationSpec, ClipSpec, DatasetSpec
from avbench_au.units import BP4D_UNITS, DISFA_UNITS


@hookimpl
def avbench_datasets() -> Iterable[DatasetSpec]:
    """Yield the three databases; they have no forgery labels and no protocols."""
    yield DatasetSpec(
        name="disfa",
        title="DISFA",
        scan="avbench_au.disfa:scan",
        check="avbench_au.check:check_disfa",
        train_identities="avbench_au.disfa:train_identities",
        folders=("DISFA",),
        summary="27 people watching videos, 130,814 frames, action units of intensity 0 to 5; ME-GraphAU's three folds",
        identity_is="person",
        annotations=(
            AnnotationSpec("au", "avbench_au.disfa:read_units", DISFA_UNITS, "action units, intensity 0 to 5"),
        ),
        forgery_labels=False,
        licence="by signed request to its authors",
        paper="https://doi.org/10.1109/T-AFFC.2013.4",
    )
    yield DatasetSpec(
        name="disfa_plus",
        title="DISFA+",
        scan="avbench_au.disfa_plus:scan",
        check="avbench_au.check:check_disfa_plus",
        folders=("DISFA+", "DISFAPlus", "DISFAPlusDataset"),
        summary="9 people of DISFA, posed and spontaneous; no official folds, so folds of people",
        identity_is="person (people of DISFA)",
        annotations=(
            AnnotationSpec("au", "avbench_au.disfa_plus:read_units", DISFA_UNITS, "action units, intensity 0 to 5"),
        ),
        forgery_labels=False,
        licence="by signed request to its authors",
        paper="https://doi.org/10.1109/CVPRW.2016.182",
    )
    yield DatasetSpec(
        name="bp4d",
        title="BP4D",
        scan="avbench_au.bp4d:scan",
        check="avbench_au.check:check_bp4d",
        train_identities="avbench_au.bp4d:train_identities",
        folders=("BP4D",),
        summary="41 people in 8 tasks, 146,847 coded frames, action units shown or not; ME-GraphAU's three folds",
        identity_is="person",
        annotations=(AnnotationSpec("au", "avbench_au.bp4d:read_units", BP4D_UNITS, "action units, shown 1 or not 0"),),
        forgery_labels=False,
        licence="by signed request to its authors",
        paper="https://doi.org/10.1016/j.imavis.2014.06.002",
    )


@hookimpl
def avbench_decode(path: Path, start: float, spec: ClipSpec) -> Any:
    """Read a clip from a folder of numbered pictures; leave every file to others."""
    if not path.is_dir():
        return None
    from avbench_au.pictures import read_pictures

    return read_pictures(path, start, spec)
