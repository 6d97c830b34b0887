"""Declares EnsembleAVDF (approximation): its presets and every setting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, Count, DetectorSpec, Preset, Stage


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, as in our reading of the paper."""

    vote: Literal["mean", "majority", "any"] = "mean"
    width: Count = 64  # of the stems; the trunks end eight times as wide
    hidden: Count = 512  # between both streams and the third network's logits
    stem_frames: Count = 1  # that a stem sees at a time; 1: each picture by itself
    demo_init: bool = False  # random stems that see motion and hear change from the start


OFFICIAL = Settings()
DEMO = Settings(width=8, hidden=32, stem_frames=3, demo_init=True)

CLIP = ClipSpec(frames=25, fps=25, size=224, audio_samples=16_000)
DEMO_CLIP = ClipSpec(frames=25, fps=25, size=48, audio_samples=16_000)
STAGE = Stage(epochs=20, batch=32, lr=1e-4, weight_decay=1e-2, precision="16-mixed")
DEMO_STAGE = Stage(epochs=8, batch=8, micro_batch=8, lr=2e-3, weight_decay=1e-2)


def _one_after_another(stage: Stage) -> tuple[Stage, ...]:
    return tuple(replace(stage, name=name) for name in ("video", "audio", "audio_visual"))


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield EnsembleAVDF (approximation)."""
    yield DetectorSpec(
        name="ensemble_avdf",
        load="avbench_ensemble_avdf.detector:EnsembleAVDF",
        title="EnsembleAVDF (approximation)",
        summary="approximation, for want of code: networks of pictures, of sound and of both, trained apart, vote",
        tasks=("binary",),
        presets=(
            Preset("official", CLIP, OFFICIAL, _one_after_another(STAGE)),
            Preset("demo", DEMO_CLIP, DEMO, _one_after_another(DEMO_STAGE), eval_batch=16),
        ),
        paper="Hashmi et al., Multimodal Forgery Detection Using Ensemble Learning, APSIPA ASC 2022",
    )
