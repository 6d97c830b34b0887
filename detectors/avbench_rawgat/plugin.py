"""Declares RawGAT-ST: its presets, every setting, and the published weights it starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from avbench.hookspecs import hookimpl
from avbench.types import Count, DetectorSpec, Share, Stage, WeightSpec
from avbench_antispoofing.presets import SincSettings, demo_sinc, two_presets


@dataclass(frozen=True, slots=True)
class Settings(SincSettings):
    """Every setting, as in the published code."""

    fused: Count = 12
    fusion: Literal["mul", "add", "cat"] = "mul"
    attention_dropout: Share = 0.2
    pool_dropout: Share = 0.3


OFFICIAL = Settings()
DEMO = replace(demo_sinc(OFFICIAL), fusion="cat", attention_dropout=0.0, pool_dropout=0.0)

STAGE = Stage(epochs=300, batch=10, micro_batch=10, lr=1e-4, weight_decay=1e-4, clip_norm=0.0)
DEMO_STAGE = Stage(epochs=16, batch=8, micro_batch=8, lr=2e-3, weight_decay=1e-4, clip_norm=1.0)

REPOSITORY = "https://github.com/eurecom-asp/RawGAT-ST-antispoofing/raw/2f770aa46d303b9ed7513ba041b8e64cab1b31b5"
SHA256 = {  # of add and cat the beginning is known
    "mul": "8a91ce8201d42119cbfb9ebca8850e5914f1a85959b3ca962819783738c2a9e2",
    "add": "0b59dd135194db79",
    "cat": "4ee991100731fab8",
}
SIZES = {"mul": 1_858_500}  # bytes

WEIGHTS = tuple(
    WeightSpec(
        name=f"rawgat-st-{fusion}",
        setting="weights",
        part="network",
        fits={"fusion": fusion, "filters": 70},
        title=f"RawGAT-ST, {fusion}, ASVspoof 2019 LA",
        url=f"{REPOSITORY}/Pre_trained_models/RawGAT_ST_{fusion}/Best_epoch.pth",
        licence="MIT",
        sha256=SHA256[fusion],
        size=SIZES.get(fusion, 0),
    )
    for fusion in ("mul", "add", "cat")
)


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield RawGAT-ST."""
    yield DetectorSpec(
        name="rawgat_st",
        load="avbench_rawgat.detector:RawGAT",
        title="RawGAT-ST",
        summary="the raw wave through sinc filters, then graph attention over frequency and time",
        tasks=("binary",),
        requires=frozenset({"audio"}),
        presets=two_presets(OFFICIAL, STAGE, DEMO, DEMO_STAGE),
        weights=WEIGHTS,
        paper="https://arxiv.org/abs/2107.12710",
    )
