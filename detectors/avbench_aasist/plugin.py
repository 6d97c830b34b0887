"""Declares AASIST and AASIST-L: presets, every setting, and the published weights they start from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Preset, Setting, Stage, WeightSpec

OFFICIAL: dict[str, Setting] = {
    "filters": 70,
    "hop": 1,  # samples
    "narrow": 32,
    "wide": 64,
    "graph": 32,
    "keep_spectral": 0.5,  # shares of nodes
    "keep_temporal": 0.7,
    "keep_joined": 0.5,
    "mask_filters": True,
    "weight_real": 0.5,
    "weight_fake": 0.5,
    "asvspoof_weights": False,
    "weights": "random",
}

LIGHT: dict[str, Setting] = OFFICIAL | {"wide": 24, "keep_spectral": 0.4, "keep_temporal": 0.5, "keep_joined": 0.7}
DEMO: dict[str, Setting] = OFFICIAL | {
    "filters": 24,
    "hop": 4,
    "narrow": 8,
    "wide": 16,
    "graph": 16,
    "mask_filters": False,
}

CLIP = ClipSpec(frames=0, sound_rate=16_000, sound_samples=64_600)
DEMO_CLIP = ClipSpec(frames=0, sound_rate=16_000, sound_samples=16_000)
STAGE = Stage(epochs=100, batch=24, micro_batch=24, lr=1e-4, weight_decay=1e-4, clip_norm=0.0)
DEMO_STAGE = Stage(epochs=12, batch=8, micro_batch=8, lr=1e-3, weight_decay=1e-4, clip_norm=1.0)

# inverse frequency of "the audio is fake" in FakeAVCeleb (11,335 of 21,544); in LAV-DF it is a half
BALANCE: dict[str, dict[str, Setting]] = {"fakeav": {"weight_real": 0.526, "weight_fake": 0.474}}
ASVSPOOF: dict[str, dict[str, Setting]] = {"asvspoof_weights": {"weight_real": 0.9, "weight_fake": 0.1}}

REPOSITORY = "https://github.com/clovaai/aasist/raw"

AASIST_WEIGHTS = WeightSpec(
    name="aasist",
    setting="weights",
    title="AASIST, ASVspoof 2019 LA",
    url=f"{REPOSITORY}/f8ad059ccba0ed8a3ed3772eb766c1d20a93dcd2/models/weights/AASIST.pth",
    licence="MIT",
    sha256="51d2d9cf0738172f61e2a384ec50a54a55363240f67c971ed55a92435bc1a1c0",
)
LIGHT_WEIGHTS = replace(
    AASIST_WEIGHTS,
    name="aasist-l",
    title="AASIST-L, ASVspoof 2019 LA",
    url=f"{REPOSITORY}/8ec3bf996b1e3591ee6371cc28980a74e5042136/models/weights/AASIST-L.pth",
    sha256="",
)


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield AASIST and AASIST-L."""
    aasist = DetectorSpec(
        name="aasist",
        load="avbench_aasist.detector:AASISTDetector",
        title="AASIST",
        summary="the raw wave through sinc filters, then heterogeneous graph attention over frequency and time",
        tasks=("binary",),
        requires=frozenset({"audio"}),
        presets=(
            Preset("official", CLIP, OFFICIAL, (STAGE,), BALANCE, ASVSPOOF),
            Preset("demo", DEMO_CLIP, DEMO, (DEMO_STAGE,), switches=ASVSPOOF, eval_batch=16),
        ),
        weights=(AASIST_WEIGHTS,),
        paper="https://arxiv.org/abs/2110.01200",
    )
    yield aasist
    official, demo = aasist.presets
    small = DEMO | {name: LIGHT[name] for name in ("keep_spectral", "keep_temporal", "keep_joined")} | {"wide": 12}
    yield replace(
        aasist,
        name="aasist_l",
        title="AASIST-L",
        summary="AASIST with fewer channels and other shares of nodes",
        presets=(replace(official, settings=LIGHT), replace(demo, settings=small)),
        weights=(LIGHT_WEIGHTS,),
    )
