"""Declares AVTS: its presets, every setting, and the published weights it starts from."""

from __future__ import annotations

from collections.abc import Iterable

from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Preset, Setting, Stage, WeightSpec

OFFICIAL: dict[str, Setting] = {
    "variant": "ckpt",  # the released checkpoint's network; "train": the training code's
    "window": 5,  # frames that are judged at a time
    "features": 512,  # of a token of one stream
    "depth": 6,
    "heads": 8,
    "head_width": 64,
    "hidden": 2048,
    "dropout": 0.1,
    # stage 1
    "align_windows": 10,  # of a clip, a frame apart
    "temperature": 0.07,
    "augment_each": True,  # each window in its own way
    "erasing": True,
    # stage 2
    "freeze_encoders": True,
    "frozen_batch_norm": "eval",  # "train": the statistics of frozen encoders drift
    "shares": "0.25,0.25,0.25,0.25",  # of RARV, RAFV, FARV, FAFV among the training videos
    # start
    "pretrained": "auto",
    "demo_init": False,  # random filters that respond to change
}
TRAIN: dict[str, Setting] = OFFICIAL | {
    "variant": "train",
    "window": 18,
    "features": 768,
    "depth": 1,
    "align_windows": 12,
    "pretrained": "random",
}
DEMO: dict[str, Setting] = OFFICIAL | {
    "features": 64,
    "depth": 1,
    "heads": 4,
    "head_width": 16,
    "hidden": 128,
    "align_windows": 6,
    "augment_each": False,
    "erasing": False,
    "freeze_encoders": False,
    "pretrained": "random",
    "demo_init": True,
}

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

WEIGHTS = (
    WeightSpec(
        name="avts-released",
        setting="pretrained",
        title="AVTS, the released detector of 5 frames (for variant=ckpt)",
        url="https://drive.google.com/file/d/1KAmPNMWRS2hHh_cvQB-L0hjKDvtmJfbU",
        licence="none given",
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
            Preset("official", CLIP, OFFICIAL, (ALIGN, JUDGE), SHARES),
            Preset("train_code", LONG_CLIP, TRAIN, (ALIGN, JUDGE), SHARES),
            Preset("demo", DEMO_CLIP, DEMO, (DEMO_ALIGN, DEMO_JUDGE), eval_batch=16),
        ),
        pooling="mean_logit",
        weights=WEIGHTS,
        paper="https://ieeexplore.ieee.org/document/10095247",
    )
