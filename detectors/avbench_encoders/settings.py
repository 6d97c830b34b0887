"""Every setting of the networks, and how they are taught."""

from __future__ import annotations

from dataclasses import dataclass, replace

from avbench.types import ClipSpec, Count, Preset, Stage, ZeroOrMore

SPEECH, LIPS = "speech", "lips"  # the frame-level truth of a dataset that is learnt


@dataclass(frozen=True, slots=True)
class LipSettings:
    """Of the lip reader: sizes and pictures are those of the demo presets of FauForensics and RealForensics."""

    column_names: str = ""  # set by the database
    csn_blocks: str = "1,1,1,1"
    csn_width: Count = 8
    # pixels of a picture of 224, scaled to others
    crop_from: Count = 160
    crop: Count = 140
    input_size: Count = 56


@dataclass(frozen=True, slots=True)
class MouthSettings:
    """Of the mouth reader: sizes are those of LipForensics' demo preset."""

    column_names: str = ""  # set by the database
    width: Count = 8  # of the stem; the trunk ends eight times as wide
    tcn_width: Count = 48
    tcn_layers: Count = 2


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """Of the speech reader: sizes and features are those of FauForensics' demo preset."""

    column_names: str = ""  # set by the database
    audio_state: Count = 96
    audio_heads: Count = 4
    audio_layers: ZeroOrMore = 2
    sound_gain: float = 3.0  # makes the sound speak up against the positions that are added to it


LIP_CLIP = ClipSpec(frames=25, fps=25.0, size=112, audio_samples=0, annotations=(LIPS,))
MOUTH_CLIP = replace(LIP_CLIP, size=48, region="mouth")
# Its pictures only tell which frames there are.
SPEECH_CLIP = ClipSpec(frames=25, fps=25.0, size=16, audio_samples=16_000, annotations=(SPEECH,))
STAGE = Stage(epochs=36, batch=12, micro_batch=12, lr=2e-3, weight_decay=1e-2, clip_norm=1.0)

LIP_PRESET = Preset("demo", LIP_CLIP, LipSettings(), (replace(STAGE, epochs=32),), eval_batch=16)
MOUTH_PRESET = Preset("demo", MOUTH_CLIP, MouthSettings(), (replace(STAGE, epochs=32),), eval_batch=16)
SPEECH_PRESET = Preset("demo", SPEECH_CLIP, SpeechSettings(), (STAGE,), eval_batch=16)
