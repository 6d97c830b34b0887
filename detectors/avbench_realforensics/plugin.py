"""Declares RealForensics: its presets, every setting, and the published weights it starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, Count, DetectorSpec, Preset, Range, Setting, Share, Stage, WeightSpec, ZeroOrMore
from avbench_backbones.shipped import CSN_DEMO, CSN_DEMO_SHA256


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, as published for the second stage alone."""

    csn_blocks: str = "3,4,23,3"
    csn_width: Count = 64
    # self-supervision
    audio_width: Count = 64
    projection: Count = 256
    width: Count = 512  # of the predictor
    heads: Count = 8
    head_width: Count = 64
    hidden: Count = 2048
    ssl_weight: Annotated[float, Range(min=0)] = 0.0  # of the agreement with the teacher on real clips
    teacher_speed: Annotated[float, Range(min=0)] = 1.0  # 1: the published momentum
    teacher_batch_norm: Literal["eval", "train"] = "eval"  # in stage 2
    # inputs; pixels of a picture of 224, scaled to others
    crop_from: Count = 150
    crop: Count = 140
    input_size: Count = 112
    grayscale: Share = 0.5
    masking: bool = True  # random erasing, time and frequency masks
    # recipe
    fake_share: Annotated[float, Range(above=0, below=1)] = 0.5  # of the training clips; moves the logit in training
    represent_warmup: ZeroOrMore = 20  # epochs
    forgery_warmup: ZeroOrMore = 5
    # start and faithfulness
    backbone_weights: str = "auto"
    reproduce_bugs: bool = False


OFFICIAL = Settings()
TWO_STAGE = replace(OFFICIAL, ssl_weight=1.0, backbone_weights="random")  # the first stage teaches from scratch
DEMO = replace(
    TWO_STAGE,
    ssl_weight=0.1,
    csn_blocks="1,1,1,1",
    csn_width=8,
    audio_width=8,
    projection=32,
    width=32,
    heads=2,
    head_width=16,
    hidden=64,
    input_size=56,
    grayscale=0.0,
    masking=False,
    teacher_speed=100.0,
    represent_warmup=1,
    forgery_warmup=1,
    backbone_weights="csn-demo",
)

PICTURES = ClipSpec(frames=25, fps=25, size=224, hop=24, audio_samples=0)
BOTH = ClipSpec(frames=25, fps=25, size=224, hop=24, audio_samples=16_000)
DEMO_CLIP = ClipSpec(frames=25, fps=25, size=112, hop=24, audio_samples=16_000)

FORGERY = Stage("forgery", epochs=150, batch=32, lr=2.475e-4, weight_decay=1e-2, clip_norm=0.0, precision="16-mixed")
REPRESENT = Stage(
    "represent",
    samples="real",
    epochs=150,
    batch=32,
    accumulate=8,
    lr=7e-4,
    weight_decay=1e-2,
    clip_norm=0.0,
    precision="16-mixed",
)
DEMO_REPRESENT = Stage("represent", samples="real", epochs=1, batch=8, micro_batch=8, lr=1.5e-3)
DEMO_FORGERY = Stage("forgery", epochs=14, batch=8, micro_batch=8, lr=7e-4)

# 20,544 of FakeAVCeleb's 21,544 videos have forged pictures; LAV-DF's are real and fake in equal parts.
FAKE_SHARES: dict[str, dict[str, Setting]] = {"fakeav": {"fake_share": 0.9536}}
BUGS: dict[str, dict[str, Setting]] = {"reproduce_bugs": {"teacher_batch_norm": "train"}}

CSN_101: dict[str, Setting] = {"csn_blocks": "3,4,23,3", "csn_width": 64}

WEIGHTS = (
    WeightSpec(
        name="realforensics-ff",
        setting="backbone_weights",
        fits=CSN_101,
        title="RealForensics, trained on LRW, then FaceForensics++",
        file="realforensics_ff.pth",
        url="https://drive.google.com/file/d/1nqEVlRN51WyzMWSeB7x9okcaegFgA-BQ",
        licence="MIT",
    ),
    WeightSpec(
        name="realforensics-ff-nomasking",
        setting="backbone_weights",
        fits=CSN_101,
        title="RealForensics without augmentation, for tests of robustness",
        file="realforensics_ff_nomasking.pth",
        url="https://drive.google.com/file/d/1EGcHXbRCh2_3Sj0VJi2pseoGE2FiM7BJ",
        licence="MIT",
    ),
    WeightSpec(
        name="csn-r101-kinetics400",
        setting="backbone_weights",
        fits=CSN_101,
        title="ir-CSN-101, Kinetics-400, 32 x 2 (pytorchvideo)",
        url="https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/CSN_32x2_R101.pyth",
        licence="Apache-2.0",
    ),
    WeightSpec(
        name="csn-demo",
        setting="backbone_weights",
        title="narrow ir-CSN of the demo preset; taught on the demo speakers, lips",
        url="",
        licence="Apache-2.0",
        sha256=CSN_DEMO_SHA256,
        shipped=CSN_DEMO,
    ),
)


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield RealForensics."""
    yield DetectorSpec(
        name="realforensics",
        load="avbench_realforensics.detector:RealForensics",
        title="RealForensics",
        summary="learns from real talking faces how pictures and sound go together, then judges the pictures",
        tasks=("binary",),
        requires=frozenset({"video"}),
        presets=(
            Preset("official", PICTURES, OFFICIAL, (FORGERY,), FAKE_SHARES, BUGS),
            Preset("two_stage", BOTH, TWO_STAGE, (REPRESENT, FORGERY), FAKE_SHARES, BUGS),
            Preset("demo", DEMO_CLIP, DEMO, (DEMO_REPRESENT, DEMO_FORGERY), switches=BUGS, eval_batch=16),
        ),
        pooling="mean_logit",
        weights=WEIGHTS,
        paper="https://arxiv.org/abs/2201.07131",
    )
