"""Declares MRDF: its presets, every setting, and the AUROC its code reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from avbench.hookspecs import hookimpl
from avbench.types import (
    ClipSpec,
    Count,
    DetectorSpec,
    MetricSpec,
    Preset,
    Setting,
    Share,
    Stage,
    ZeroOrMore,
)

Variant = Literal["ce", "margin", "avdf", "ensemble", "multilabel", "multiclass"]  # from "avdf" on: ablations


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, as in the published code."""

    variant: Variant = "ce"
    # AV-HuBERT Base
    trunk_width: Count = 64  # of the stem; the trunk ends eight times as wide
    width: Count = 768
    layers: ZeroOrMore = 0  # of the transformer; 12 in the text, 0 in the network that the published code builds
    heads: Count = 12
    hidden: Count = 3072
    position_kernel: Count = 128
    position_groups: Count = 16
    dropout: Share = 0.1
    # inputs
    crop: Count = 100  # of a picture of clip.size
    # start and faithfulness
    avhubert_weights: str = "random"  # nothing else: see below
    demo_init: bool = False  # a random stem that sees motion from the start
    train_stem: bool = True
    reproduce_bugs: bool = False

    def __post_init__(self) -> None:
        """Refuse AV-HuBERT's files: names and shapes fit this encoder, what they compute in it does not."""
        if self.avhubert_weights not in ("random", "none"):
            raise ValueError(
                f"avhubert_weights={self.avhubert_weights}: AV-HuBERT's layers normalise what they read (pre-LN), "
                "MRDF's what they write (post-LN), so that its files load and compute nonsense; MRDF starts at random, "
                "as published: leave avhubert_weights out"
            )


OFFICIAL = Settings()
TEXT = replace(OFFICIAL, layers=12)
DEMO = replace(
    OFFICIAL,
    trunk_width=8,
    width=48,
    layers=2,
    heads=4,
    hidden=96,
    position_kernel=16,
    position_groups=4,
    dropout=0.0,
    crop=50,
    demo_init=True,
    train_stem=False,
)

# Pictures of 224 px are halved while they are cut, as published.
CLIP = ClipSpec(frames=500, fps=25, size=112, whole=True)
DEMO_CLIP = ClipSpec(frames=108, fps=25, size=56, whole=True)
STAGE = Stage(epochs=30, batch=64, lr=1e-3, weight_decay=1e-4, clip_norm=0.0, precision="16-mixed")
DEMO_STAGE = Stage(batch=8, micro_batch=8, lr=1.5e-3, weight_decay=1e-4)
DEMO_STAGES = (replace(DEMO_STAGE, name="streams", epochs=5), replace(DEMO_STAGE, epochs=5))

# The published code pools the stem's output without gradients, so that the stem stays random.
BUGS: dict[str, dict[str, Setting]] = {"reproduce_bugs": {"train_stem": False}}


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield MRDF."""
    yield DetectorSpec(
        name="mrdf",
        load="avbench_mrdf.detector:MRDF",
        title="MRDF",
        summary="a whole video through an audio-visual speech encoder, whose streams are compared with each other",
        presets=(
            Preset("official", CLIP, OFFICIAL, (STAGE,), switches=BUGS),
            Preset("text", CLIP, TEXT, (STAGE,), switches=BUGS),
            Preset("demo", DEMO_CLIP, DEMO, DEMO_STAGES, switches=BUGS, eval_batch=16),
        ),
        paper="https://arxiv.org/abs/2401.05746",
    )


@hookimpl
def avbench_metrics() -> Iterable[MetricSpec]:
    """Yield the area under the curve of called labels; of two classes it is the balanced accuracy."""
    yield MetricSpec("auc_of_labels", "AUC of called labels (as MRDF reports)", "avbench_mrdf.metric:auc_of_labels")
