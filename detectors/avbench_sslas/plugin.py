"""Declares SSLAS: its presets, every setting, and the published encoder it starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from avbench.hookspecs import hookimpl
from avbench.types import Count, DetectorSpec, Range, Setting, Share, Stage, WeightSpec, ZeroOrMore
from avbench_antispoofing.presets import SpoofSettings, two_presets


@dataclass(frozen=True, slots=True)
class Settings(SpoofSettings):
    """Every setting, as in the published code."""

    # encoder: XLS-R 300M
    encoder: str = "auto"
    encoder_width: Count = 1024
    encoder_layers: ZeroOrMore = 24
    encoder_heads: Count = 16
    encoder_inner: Count = 4096
    conv_width: Count = 512
    position_kernel: Count = 128
    position_groups: Count = 16
    # back-end
    features: Annotated[int, Range(min=3)] = 128  # pooled by threes
    narrow: Count = 32
    wide: Count = 64
    graph: Count = 32
    keep_spectral: Share = 0.5  # shares of nodes
    keep_temporal: Share = 0.5
    keep_joined: Share = 0.5
    dropout: bool = True  # of the back-end
    # training: an algorithm of RawBoost, 5 as published for ASVspoof 2021 LA, 3 for DF; 0: none
    rawboost: Annotated[int, Range(min=0, max=8)] = 5


OFFICIAL = Settings()
DEMO = Settings(
    encoder="random",
    encoder_width=48,
    encoder_layers=2,
    encoder_heads=4,
    encoder_inner=96,
    conv_width=24,
    position_kernel=16,
    position_groups=4,
    features=48,
    narrow=8,
    wide=16,
    graph=16,
    dropout=False,
    rawboost=0,
)

STAGE = Stage(epochs=100, batch=14, micro_batch=14, lr=1e-6, weight_decay=1e-4, clip_norm=0.0)
DEMO_STAGE = Stage(epochs=16, batch=8, micro_batch=8, lr=5e-4, weight_decay=1e-4, clip_norm=1.0)

XLS_R: dict[str, Setting] = {"encoder_width": 1024, "encoder_layers": 24}

WEIGHTS = (
    WeightSpec(
        name="xls-r-300m-transformers",
        setting="encoder",
        fits=XLS_R,
        title="XLS-R 300M, 128 languages (transformers)",
        url="https://huggingface.co/facebook/wav2vec2-xls-r-300m/resolve/main/pytorch_model.bin",
        licence="Apache-2.0",
    ),
    WeightSpec(
        name="xls-r-300m",
        setting="encoder",
        fits=XLS_R,
        title="XLS-R 300M, 128 languages (fairseq; its `model` must be saved alone if the file holds code)",
        url="https://dl.fbaipublicfiles.com/fairseq/wav2vec/xlsr2_300m.pt",
        licence="Apache-2.0",
    ),
)


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield SSLAS."""
    yield DetectorSpec(
        name="sslas",
        load="avbench_sslas.detector:SSLASDetector",
        title="SSLAS",
        summary="a self-supervised speech encoder (XLS-R 300M), then AASIST's graph attention",
        tasks=("binary",),
        requires=frozenset({"audio"}),
        presets=two_presets(OFFICIAL, STAGE, DEMO, DEMO_STAGE),
        weights=WEIGHTS,
        paper="https://arxiv.org/abs/2202.12233",
    )
