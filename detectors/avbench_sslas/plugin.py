"""Declares SSLAS: its presets, every setting, and the published encoder it starts from."""

from __future__ import annotations

from collections.abc import Iterable

from avbench.hookspecs import hookimpl
from avbench.types import DetectorSpec, Setting, Stage, WeightSpec
from avbench_antispoofing.presets import two_presets

OFFICIAL: dict[str, Setting] = {
    # encoder: XLS-R 300M
    "encoder": "auto",
    "encoder_width": 1024,
    "encoder_layers": 24,
    "encoder_heads": 16,
    "encoder_inner": 4096,
    "conv_width": 512,
    "position_kernel": 128,
    "position_groups": 16,
    # back-end
    "features": 128,
    "narrow": 32,
    "wide": 64,
    "graph": 32,
    "keep_spectral": 0.5,  # shares of nodes
    "keep_temporal": 0.5,
    "keep_joined": 0.5,
    "dropout": True,  # of the back-end
    # training
    "rawboost": 5,  # as published for ASVspoof 2021 LA; 3 for DF; 0: none
}

DEMO: dict[str, Setting] = OFFICIAL | {
    "encoder": "random",
    "encoder_width": 48,
    "encoder_layers": 2,
    "encoder_heads": 4,
    "encoder_inner": 96,
    "conv_width": 24,
    "position_kernel": 16,
    "position_groups": 4,
    "features": 48,
    "narrow": 8,
    "wide": 16,
    "graph": 16,
    "dropout": False,
    "rawboost": 0,
}

STAGE = Stage(epochs=100, batch=14, micro_batch=14, lr=1e-6, weight_decay=1e-4, clip_norm=0.0)
DEMO_STAGE = Stage(epochs=16, batch=8, micro_batch=8, lr=5e-4, weight_decay=1e-4, clip_norm=1.0)

WEIGHTS = (
    WeightSpec(
        name="xls-r-300m",
        setting="encoder",
        title="XLS-R 300M, 128 languages (fairseq)",
        url="https://dl.fbaipublicfiles.com/fairseq/wav2vec/xlsr2_300m.pt",
        licence="Apache-2.0",
    ),
    WeightSpec(
        name="xls-r-300m-transformers",
        setting="encoder",
        title="XLS-R 300M, 128 languages (transformers)",
        url="https://huggingface.co/facebook/wav2vec2-xls-r-300m/resolve/main/pytorch_model.bin",
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
