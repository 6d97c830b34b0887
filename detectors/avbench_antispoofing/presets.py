"""What the plugins of audio anti-spoofing declare alike: four seconds of sound, class weights, two presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

from avbench.types import ClipSpec, Count, Preset, Range, Setting, Stage

CLIP = ClipSpec(frames=0, sample_rate=16_000, audio_samples=64_600)
DEMO_CLIP = ClipSpec(frames=0, sample_rate=16_000, audio_samples=16_000)  # most forgeries of the demo data are short


@dataclass(frozen=True, slots=True)
class SpoofSettings:
    """Settings of every detector of spoofed speech: the weights of both classes in the loss."""

    weight_real: Annotated[float, Range(min=0)] = 0.5
    weight_fake: Annotated[float, Range(min=0)] = 0.5
    asvspoof_weights: bool = False


@dataclass(frozen=True, slots=True)
class SincSettings(SpoofSettings):
    """Settings of what starts with sinc filters."""

    emphasis: float = 0.0  # of high over low frequencies: the share of the last sample that is subtracted
    filters: Annotated[int, Range(min=3)] = 70  # pooled by threes
    hop: Count = 1  # samples
    narrow: Count = 32
    wide: Count = 64
    graph: Annotated[int, Range(min=2)] = 32
    mask_filters: bool = True
    weights: str = "random"


Sinc = TypeVar("Sinc", bound=SincSettings)


def demo_sinc(official: Sinc) -> Sinc:
    """Return settings with sinc filters and blocks of the size that the demo preset has."""
    return replace(
        official,
        filters=24,
        hop=2,
        narrow=8,
        wide=16,
        graph=16,
        mask_filters=False,
        emphasis=0.97,  # else the loud low bands hide the others from a small random network
    )


# inverse frequency of "the audio is fake" in FakeAVCeleb (11,335 of 21,544); in LAV-DF it is a half
BALANCE: dict[str, dict[str, Setting]] = {"fakeav": {"weight_real": 0.526, "weight_fake": 0.474}}
ASVSPOOF: dict[str, dict[str, Setting]] = {"asvspoof_weights": {"weight_real": 0.9, "weight_fake": 0.1}}


def two_presets(official: SpoofSettings, stage: Stage, demo: SpoofSettings, demo_stage: Stage) -> tuple[Preset, Preset]:
    """Return the presets `official` and `demo` of a detector with these settings and recipes."""
    return (
        Preset("official", CLIP, official, (stage,), BALANCE, ASVSPOOF),
        Preset("demo", DEMO_CLIP, demo, (demo_stage,), switches=ASVSPOOF, eval_batch=16),
    )
