"""Declares SSLAS: its presets, every setting, and the published encoder it starts from."""

from __future__ import annotations

from collections.abc import Iterable

from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Preset, Setting, Stage, WeightSpec

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
    # training
    "rawboost": 5,  # as published for ASVspoof 2021 LA; 3 for DF; 0: none
    "weight_real": 0.5,
    "weight_fake": 0.5,
    "asvspoof_weights": False,
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
    "rawboost": 0,
}

CLIP = ClipSpec(frames=0, sound_rate=16_000, sound_samples=64_600)
DEMO_CLIP = ClipSpec(frames=0, sound_rate=16_000, sound_samples=16_000)
STAGE = Stage(epochs=100, batch=14, micro_batch=14, lr=1e-6, weight_decay=1e-4, clip_norm=0.0)
DEMO_STAGE = Stage(epochs=10, batch=8, micro_batch=8, lr=1e-3, weight_decay=1e-4, clip_norm=1.0)

# inverse frequency of "the audio is fake" in FakeAVCeleb (11,335 of 21,544); in LAV-DF it is a half
BALANCE: dict[str, dict[str, Setting]] = {"fakeav": {"weight_real": 0.526, "weight_fake": 0.474}}
ASVSPOOF: dict[str, dict[str, Setting]] = {"asvspoof_weights": {"weight_real": 0.9, "weight_fake": 0.1}}

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
        presets=(
            Preset("official", CLIP, OFFICIAL, (STAGE,), BALANCE, ASVSPOOF),
            Preset("demo", DEMO_CLIP, DEMO, (DEMO_STAGE,), switches=ASVSPOOF, eval_batch=16),
        ),
        weights=WEIGHTS,
        paper="https://arxiv.org/abs/2202.12233",
    )
