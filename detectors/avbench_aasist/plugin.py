"""Declares AASIST and AASIST-L: presets, every setting, and the published weights they start from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from avbench.hookspecs import hookimpl
from avbench.types import DetectorSpec, Share, Stage, WeightSpec
from avbench_antispoofing.presets import SincSettings, demo_sinc, two_presets


@dataclass(frozen=True, slots=True)
class Settings(SincSettings):
    """Every setting, as published for AASIST."""

    mask_filters: bool = False  # the published configurations leave it off
    keep_spectral: Share = 0.5  # shares of nodes
    keep_temporal: Share = 0.7
    keep_joined: Share = 0.5
    dropout: bool = True


OFFICIAL = Settings()
LIGHT = replace(OFFICIAL, wide=24, keep_spectral=0.4, keep_temporal=0.5, keep_joined=0.7)
DEMO = replace(demo_sinc(OFFICIAL), dropout=False)
DEMO_LIGHT = replace(demo_sinc(LIGHT), wide=12, dropout=False)

STAGE = Stage(epochs=100, batch=24, micro_batch=24, lr=1e-4, weight_decay=1e-4, clip_norm=0.0)
DEMO_STAGE = Stage(epochs=16, batch=8, micro_batch=8, lr=1e-3, weight_decay=1e-4, clip_norm=1.0)

REPOSITORY = "https://github.com/clovaai/aasist/raw"

AASIST_WEIGHTS = WeightSpec(
    name="aasist",
    setting="weights",
    part="network",
    fits={"filters": 70},
    title="AASIST, ASVspoof 2019 LA",
    url=f"{REPOSITORY}/f8ad059ccba0ed8a3ed3772eb766c1d20a93dcd2/models/weights/AASIST.pth",
    licence="MIT",
    sha256="51d2d9cf0738172f61e2a384ec50a54a55363240f67c971ed55a92435bc1a1c0",
    size=1_281_532,
)
LIGHT_WEIGHTS = replace(
    AASIST_WEIGHTS,
    name="aasist-l",
    title="AASIST-L, ASVspoof 2019 LA",
    url=f"{REPOSITORY}/8ec3bf996b1e3591ee6371cc28980a74e5042136/models/weights/AASIST-L.pth",
    sha256="814331d088032bb4",  # its beginning
    size=0,
)


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield AASIST and AASIST-L."""
    aasist = DetectorSpec(
        name="aasist",
        load="avbench_aasist.detector:AASISTDetector",
        title="AASIST",
        summary="the raw wave through sinc filters, then heterogeneous graph attention over frequency and time",
        tasks=("binary",),
        requires=frozenset({"audio"}),
        presets=two_presets(OFFICIAL, STAGE, DEMO, DEMO_STAGE),
        weights=(AASIST_WEIGHTS,),
        paper="https://arxiv.org/abs/2110.01200",
    )
    yield aasist
    yield replace(
        aasist,
        name="aasist_l",
        title="AASIST-L",
        summary="AASIST with fewer channels and other shares of nodes",
        presets=two_presets(LIGHT, STAGE, DEMO_LIGHT, DEMO_STAGE),
        weights=(LIGHT_WEIGHTS,),
    )
