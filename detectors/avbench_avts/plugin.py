"""Declares AVTS: its presets, every setting, and the published weights it starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from avbench.hookspecs import hookimpl
from avbench.types import (
    ClipSpec,
    Count,
    DetectorSpec,
    Preset,
    Range,
    Setting,
    Share,
    Stage,
    WeightSpec,
    ZeroOrMore,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, as in the released checkpoint."""

    variant: Literal["ckpt", "train"] = "ckpt"  # the released checkpoint's network; the training code's
    window: Count = 5  # frames that are judged at a time
    features: Count = 512  # of a token of one stream
    depth: ZeroOrMore = 6
    heads: Count = 8
    head_width: Count = 64
    hidden: Count = 2048
    dropout: Share = 0.1
    # stage 1
    align_windows: Count = 10  # of a clip, a frame apart
    temperature: Annotated[float, Range(above=0)] = 0.07
    augment_each: bool = True  # each window in its own way
    erasing: bool = True
    # stage 2
    freeze_encoders: bool = True
    frozen_batch_norm: Literal["eval", "train"] = "eval"  # "train": the statistics of frozen encoders drift
    shares: str = "0.25,0.25,0.25,0.25"  # of RARV, RAFV, FARV, FAFV among the training videos
    # start
    pretrained: str = "random"  # both stages teach from scratch; or the released detector
    demo_init: bool = False  # random filters that respond to change
    reproduce_bugs: bool = False


OFFICIAL = Settings()
TRAIN = Settings(variant="train", window=18, features=768, depth=1, align_windows=12)
DEMO = Settings(
    features=64,
    depth=1,
    heads=4,
    head_width=16,
    hidden=128,
    align_windows=6,
    augment_each=False,
    erasing=False,
    freeze_encoders=False,
    demo_init=True,
)

CLIP = ClipSpec(frames=15, fps=25, size=256)
LONG_CLIP = ClipSpec(frames=36, fps=25, size=256)
DEMO_CLIP = ClipSpec(frames=25, fps=25, size=64)

ALIGN = Stage(
    "align", samples="real", epochs=100, batch=10, lr=1e-4, weight_decay=1e-5, clip_norm=0.0, precision="16-mixed"
)
JUDGE = Stage("judge", epochs=200, batch=64, lr=2e-4, weight_decay=1e-4, clip_norm=0.0, precision="16-mixed")
DEMO_ALIGN = Stage("align", samples="real", epochs=2, batch=8, micro_batch=8, lr=1e-3, weight_decay=1e-5)
DEMO_JUDGE = Stage("judge", epochs=14, batch=8, micro_batch=8, lr=1e-3, weight_decay=1e-4)

# of 21,544 videos 500, 9,709, 500 and 10,835; of 136,304 the reals are 36,431 and the rest thirds
SHARES: dict[str, dict[str, Setting]] = {
    "fakeav": {"shares": "0.0232,0.4507,0.0232,0.5029"},
    "lavdf": {"shares": "0.2673,0.2442,0.2442,0.2443"},
}
# The published trainer puts frozen encoders into training mode, so that their statistics drift.
BUGS: dict[str, dict[str, Setting]] = {"reproduce_bugs": {"frozen_batch_norm": "train"}}

WEIGHTS = (
    WeightSpec(
        name="avts-released",
        setting="pretrained",
        part="network",
        fits={"variant": "ckpt"},
        title="AVTS, the released detector of 5 frames (for variant=ckpt)",
        url="https://drive.google.com/file/d/1KAmPNMWRS2hHh_cvQB-L0hjKDvtmJfbU",
        licence="none given",
        by_hand="It is one file, whatever it is called",
    ),
)


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield AVTS."""
    yield DetectorSpec(
        name="avts",
        load="avbench_avts.detector:AVTS",
        title="AVTS",
        summary="learns from real clips which moments of both streams belong together, then judges 0.2 s at a time",
        presets=(
            Preset("official", CLIP, OFFICIAL, (ALIGN, JUDGE), SHARES, BUGS),
            Preset("train_code", LONG_CLIP, TRAIN, (ALIGN, JUDGE), SHARES, BUGS),
            Preset("demo", DEMO_CLIP, DEMO, (DEMO_ALIGN, DEMO_JUDGE), switches=BUGS, eval_batch=16),
        ),
        pooling="mean_logit",
        weights=WEIGHTS,
        paper="https://ieeexplore.ieee.org/document/10095247",
    )
