"""Declares the controls: what a detector must beat before its number says anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Preset, Stage
from avbench_controls.settings import Settings

# Without frames and without sound, nothing is decoded.
FILE_ALONE = ClipSpec(frames=0, audio_samples=0, whole=True)
FIRST_SECONDS = ClipSpec(frames=0, audio_samples=4 * 16_000, whole=True)
ONCE = (Stage(epochs=1, batch=32, micro_batch=32),)
NEVER = (Stage(epochs=0),)
# Three clips of every video; only the last pass is measured on validation data.
PASSES = (Stage("collect", epochs=2, batch=32, micro_batch=32), Stage(epochs=1, batch=32, micro_batch=32))
CLIP = ClipSpec(frames=25, fps=25, size=224, audio_samples=16_000)
SILENCE_PAPER = "Smeu et al., Circumventing shortcuts in audio-visual deepfake detection datasets, arXiv 2412.00175"


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield the five controls."""
    file_alone = Preset(clip=FILE_ALONE, stages=ONCE, eval_batch=32)
    yield DetectorSpec(
        name="chance",
        load="avbench_controls.constant:Chance",
        title="Chance",
        summary="a random score for every video",
        tasks=("binary",),
        requires=frozenset(),
        presets=(Preset(clip=FILE_ALONE, stages=NEVER, eval_batch=32),),
    )
    yield DetectorSpec(
        name="majority",
        load="avbench_controls.constant:Majority",
        title="Majority",
        summary="the share of fakes in training, for every video",
        tasks=("binary",),
        requires=frozenset(),
        presets=(file_alone,),
    )
    yield DetectorSpec(
        name="leading_silence",
        load="avbench_controls.probe:LeadingSilence",
        title="Leading silence",
        summary="how long the sound is silent at its start",
        tasks=("binary",),
        requires=frozenset({"audio"}),
        presets=(Preset(clip=FIRST_SECONDS, stages=ONCE, eval_batch=32),),
        paper=SILENCE_PAPER,
    )
    yield DetectorSpec(
        name="metadata",
        load="avbench_controls.probe:Metadata",
        title="Metadata",
        summary="duration, size and bitrate of the file",
        tasks=("binary",),
        requires=frozenset(),
        presets=(file_alone,),
    )
    yield DetectorSpec(
        name="handmade",
        load="avbench_controls.handmade:HandMade",
        title="Hand-made numbers",
        summary="a logistic regression on 48 hand-made numbers of pictures and sound",
        tasks=("binary",),
        requires=frozenset(),
        presets=(
            Preset("official", CLIP, Settings(), PASSES, eval_batch=32),
            Preset("demo", replace(CLIP, size=112), Settings(kept=5_000), PASSES, eval_batch=32),
        ),
    )
