"""Declares LipForensics: its presets, every setting, and the published weights it starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, Count, DetectorSpec, Preset, Range, Setting, Share, Stage, WeightSpec
from avbench_backbones.shipped import MOUTH_DEMO, MOUTH_DEMO_SHA256


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, as in the published code."""

    width: Count = 64  # of the stem; the trunk ends eight times as wide
    tcn_width: Count = 768
    tcn_layers: Count = 4
    dropout: Share = 0.2
    freeze_front_end: Literal["auto", "true", "false"] = "auto"  # frozen if pretrained
    real_share: Annotated[float, Range(above=0, below=1)] = 0.5  # of the training clips; both labels then weigh alike
    optimizer: Literal["adam", "adamp"] = "adam"
    pretrained: str = "auto"


OFFICIAL = Settings()
DEMO = Settings(width=8, tcn_width=48, tcn_layers=2, optimizer="adamp", pretrained="mouth-demo")

CLIP = ClipSpec(frames=25, fps=25, size=96, region="mouth", audio_samples=0)
DEMO_CLIP = ClipSpec(frames=25, fps=25, size=48, region="mouth", audio_samples=0)
STAGE = Stage(epochs=20, batch=32, lr=2e-4, weight_decay=0.0, clip_norm=0.0)
DEMO_STAGE = Stage(epochs=12, batch=8, micro_batch=8, lr=1.5e-3, weight_decay=1e-2)

# 1,000 of FakeAVCeleb's 21,544 videos have real pictures; LAV-DF's are real and fake in equal parts.
REAL_SHARES: dict[str, dict[str, Setting]] = {"fakeav": {"real_share": 0.0464}}

WEIGHTS = (
    WeightSpec(
        name="lipforensics-ff",
        setting="pretrained",
        part="lip reader",
        fits={"width": 64, "tcn_width": 768, "tcn_layers": 4},
        title="LipForensics, trained on FaceForensics++",
        url="https://drive.google.com/file/d/1wfZnxZpyNd5ouJs0LjVls7zU0N_W73L7",
        licence="MIT",
        file="lipforensics_ff.pth",
    ),
    WeightSpec(
        name="mouth-demo",
        setting="pretrained",
        part="lip reader",
        title="narrow lip reader of the demo preset; taught on the demo speakers, lips",
        url="",
        licence="Apache-2.0",
        sha256=MOUTH_DEMO_SHA256,
        shipped=MOUTH_DEMO,
    ),
)


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield LipForensics."""
    yield DetectorSpec(
        name="lipforensics",
        load="avbench_lipforensics.detector:LipForensics",
        title="LipForensics",
        summary="how a mouth moves, read by a lip reader and judged by a temporal network",
        tasks=("binary",),
        requires=frozenset({"video"}),
        presets=(
            Preset("official", CLIP, OFFICIAL, (STAGE,), REAL_SHARES),
            Preset("demo", DEMO_CLIP, DEMO, (DEMO_STAGE,), eval_batch=16),
        ),
        pooling="mean_logit",
        weights=WEIGHTS,
        paper="https://arxiv.org/abs/2012.07657",
    )
