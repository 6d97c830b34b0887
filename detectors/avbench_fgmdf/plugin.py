"""Declares FGMDF: its presets and every setting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, Count, DetectorSpec, Preset, Range, Share, Stage


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, as in the published code."""

    groups: Count = 10  # that a clip is cut into
    frames: Count = 4  # that are seen of each
    width: Annotated[int, Range(min=4)] = 32  # of the first convolution of the video encoder
    emphasis: float = 0.0  # of high over low frequencies: the share of the last sample that is subtracted
    filters: Count = 50
    hop: Count = 1  # samples
    narrow: Count = 32
    wide: Count = 64
    dropout: Share = 0.3  # of what pooling judges
    halve_every: Count = 8  # epochs; the rate
    demo_init: bool = False  # random weights that see small changes, see start.py
    keep_eyes: bool = False  # the video encoder stays as it starts; its BatchNorm counts on


OFFICIAL = Settings()
DEMO = Settings(
    groups=6,
    width=8,
    filters=24,
    hop=2,
    narrow=8,
    wide=16,
    emphasis=0.97,  # else the loud low bands hide the others from a small random network
    dropout=0.0,
    demo_init=True,
    keep_eyes=True,
)

# A second clip starts two seconds after the first; sound is as long as the frames.
CLIP = ClipSpec(frames=100, fps=25, size=128, hop=50, min_frames=100)
DEMO_CLIP = ClipSpec(frames=24, fps=25, size=40, hop=12, min_frames=24)
STAGE = Stage(epochs=20, batch=32, lr=1e-3, weight_decay=0.0, clip_norm=0.0)
DEMO_STAGE = Stage(epochs=12, batch=8, micro_batch=8, lr=2e-3, weight_decay=0.0, clip_norm=1.0)


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield FGMDF."""
    yield DetectorSpec(
        name="fgmdf",
        load="avbench_fgmdf.detector:FineGrained",
        title="FGMDF",
        summary="moments of pictures and of sound as two graphs that listen to each other",
        presets=(
            Preset("official", CLIP, OFFICIAL, (STAGE,)),
            Preset("demo", DEMO_CLIP, DEMO, (DEMO_STAGE,), eval_batch=16),
        ),
        paper="https://doi.org/10.1007/s11263-024-02128-1",
    )
