"""Declares the averages of a detector of pictures and a detector of sound; the core does the rest."""

from __future__ import annotations

from collections.abc import Iterable

from avbench.hookspecs import hookimpl
from avbench.types import DetectorSpec, EnsembleSettings, Preset

PAPER = "arXiv 2505.08294, Table I"


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield the paper's two, whose scores it averages."""
    mean = Preset(settings=EnsembleSettings("mean"), stages=())
    yield DetectorSpec(
        name="lipforensics_rawgat",
        title="LipForensics + RawGAT-ST",
        summary="the mean of two fake probabilities, of the lips and of the sound",
        members=("lipforensics", "rawgat_st"),
        presets=(mean,),
        paper=PAPER,
    )
    yield DetectorSpec(
        name="realforensics_rawgat",
        title="RealForensics + RawGAT-ST",
        summary="the mean of two fake probabilities, of the face and of the sound",
        members=("realforensics", "rawgat_st"),
        presets=(mean,),
        paper=PAPER,
    )
