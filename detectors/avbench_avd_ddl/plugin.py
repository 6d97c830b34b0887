"""Declares AVD-DDL: its presets and every setting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, Count, DetectorSpec, Preset, Range, Share, Stage


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, as in the published code."""

    video_width: Count = 64
    audio_width: Count = 64
    hidden: Count = 4096
    embedding: Count = 1024
    dropout: Share = 0.5
    nfft: Count = 2048
    margin: Annotated[float, Range(above=0)] = 0.99  # a distance: fakes are pushed so far apart
    threshold: Annotated[float, Range(above=0)] = 0.6  # a distance: beyond it a video is fake
    track_running_stats: bool = True  # False: the published video network, whose clips are normalised by their own
    # start
    calm_start: bool = False  # small first distances and logits
    demo_init: bool = False  # random filters that respond to change


OFFICIAL = Settings()
DEMO = Settings(
    video_width=8,
    audio_width=8,
    hidden=128,
    embedding=32,
    dropout=0.1,
    nfft=512,
    calm_start=True,
    demo_init=True,
)

CLIP = ClipSpec(frames=30, fps=30, size=224, sample_rate=48_000)
DEMO_CLIP = ClipSpec(frames=30, fps=30, size=64, sample_rate=16_000)
STAGE = Stage(epochs=50, batch=8, micro_batch=8, lr=1e-3, weight_decay=1e-5, clip_norm=0.0)
DEMO_STAGE = Stage(epochs=20, batch=8, micro_batch=8, lr=1e-3, weight_decay=1e-5)


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield AVD-DDL."""
    yield DetectorSpec(
        name="avd_ddl",
        load="avbench_avd_ddl.detector:AVDDL",
        title="AVD-DDL",
        summary="how far a second of pictures lies from its sound (modality dissonance score)",
        tasks=("binary",),
        presets=(
            Preset("official", CLIP, OFFICIAL, (STAGE,)),
            Preset("demo", DEMO_CLIP, DEMO, (DEMO_STAGE,), eval_batch=16),
        ),
        pooling="mean_odds",
        paper="https://arxiv.org/abs/2005.14405",
    )
