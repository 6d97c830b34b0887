"""What the plugins of audio anti-spoofing declare alike: four seconds of sound, class weights, two presets."""

from __future__ import annotations

from avbench.types import ClipSpec, Preset, Setting, Stage

CLIP = ClipSpec(frames=0, sample_rate=16_000, audio_samples=64_600)
DEMO_CLIP = ClipSpec(frames=0, sample_rate=16_000, audio_samples=16_000)  # most forgeries of the demo data are short

CLASS_WEIGHTS: dict[str, Setting] = {"weight_real": 0.5, "weight_fake": 0.5, "asvspoof_weights": False}

# of what starts with sinc filters
SINC: dict[str, Setting] = {
    "emphasis": 0.0,  # of high over low frequencies: the share of the last sample that is subtracted
    "filters": 70,
    "hop": 1,  # samples
    "narrow": 32,
    "wide": 64,
    "graph": 32,
    "mask_filters": True,
    "weights": "random",
}
DEMO_SINC: dict[str, Setting] = SINC | {
    "filters": 24,
    "hop": 2,
    "narrow": 8,
    "wide": 16,
    "graph": 16,
    "mask_filters": False,
    "emphasis": 0.97,  # else the loud low bands hide the others from a small random network
}

# inverse frequency of "the audio is fake" in FakeAVCeleb (11,335 of 21,544); in LAV-DF it is a half
BALANCE: dict[str, dict[str, Setting]] = {"fakeav": {"weight_real": 0.526, "weight_fake": 0.474}}
ASVSPOOF: dict[str, dict[str, Setting]] = {"asvspoof_weights": {"weight_real": 0.9, "weight_fake": 0.1}}


def two_presets(
    official: dict[str, Setting], stage: Stage, demo: dict[str, Setting], demo_stage: Stage
) -> tuple[Preset, Preset]:
    """Return the presets `official` and `demo` of a detector with these settings and recipes."""
    return (
        Preset("official", CLIP, official | CLASS_WEIGHTS, (stage,), BALANCE, ASVSPOOF),
        Preset("demo", DEMO_CLIP, demo | CLASS_WEIGHTS, (demo_stage,), switches=ASVSPOOF, eval_batch=16),
    )
