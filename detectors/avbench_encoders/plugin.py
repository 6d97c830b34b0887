"""Declares the networks that avbench pretrain teaches to read lips and to hear speech."""

from __future__ import annotations

from collections.abc import Iterator

from avbench.hookspecs import hookimpl
from avbench.types import PretrainingSpec
from avbench_encoders.settings import LIP_PRESET, LIPS, MOUTH_PRESET, SPEECH, SPEECH_PRESET


@hookimpl
def avbench_pretrainings() -> Iterator[PretrainingSpec]:
    """Yield the lip, mouth and speech readers."""
    yield PretrainingSpec(
        name="lip_reader",
        load="avbench_encoders.detector:LipReader",
        title="Lip reader (CSN)",
        annotation=LIPS,
        learns="lips",
        labels="avbench_encoders.labels:labels_of_values",
        loss="avbench_encoders.labels:frame_loss",
        settings="avbench_encoders.labels:settings_of",
        decided=("column_names",),
        presets=(LIP_PRESET,),
        prefix="network.",
        used_by="FauForensics uses it by --set csn_weights=FILE, RealForensics by --set backbone_weights=FILE",
    )
    yield PretrainingSpec(
        name="mouth_reader",
        load="avbench_encoders.mouth_reader:MouthReader",
        title="Mouth reader (ResNet-18, MS-TCN)",
        annotation=LIPS,
        learns="lips",
        labels="avbench_encoders.labels:labels_of_values",
        loss="avbench_encoders.labels:frame_loss",
        settings="avbench_encoders.labels:settings_of",
        decided=("column_names",),
        presets=(MOUTH_PRESET,),
        prefix="network.",
        used_by="LipForensics uses it by --set pretrained=FILE",
    )
    yield PretrainingSpec(
        name="speech_reader",
        load="avbench_encoders.detector:SpeechReader",
        title="Speech reader (Whisper's encoder)",
        annotation=SPEECH,
        learns="speech",
        labels="avbench_encoders.labels:labels_of_values",
        loss="avbench_encoders.labels:frame_loss",
        settings="avbench_encoders.labels:settings_of",
        decided=("column_names",),
        requires=frozenset({"audio"}),
        presets=(SPEECH_PRESET,),
        prefix="network.",
        used_by="FauForensics uses it by --set whisper_weights=FILE",
    )
