"""The types of avbench in one place: the values that travel through it, and what plugins declare.

Nothing here imports torch, so that listing plugins is quick.
"""

from avbench.types.clips import Change, Clip, MediaError, MediaInfo
from avbench.types.protocols import Protocol
from avbench.types.settings import AnySettings, Count, Range, Setting, Share, ZeroOrMore
from avbench.types.specs import (
    LEVELS,
    AnnotationSpec,
    Context,
    DatasetSpec,
    DetectorSpec,
    EnsembleSettings,
    Finding,
    MadeData,
    MetricSpec,
    PerturbationSpec,
    Preset,
    PretrainingSpec,
    Stage,
)
from avbench.types.values import (
    CLASSES,
    FORMER_PLACEMENTS,
    PASSING,
    PLACEMENTS,
    TASKS,
    ClipBatch,
    ClipSpec,
    Forgery,
    Output,
    Placement,
    Pooling,
    Reason,
    Sample,
    Stream,
    Task,
)
from avbench.types.weights import WeightSpec

__all__ = [
    "CLASSES",
    "FORMER_PLACEMENTS",
    "LEVELS",
    "PASSING",
    "PLACEMENTS",
    "TASKS",
    "AnnotationSpec",
    "AnySettings",
    "Change",
    "Clip",
    "ClipBatch",
    "ClipSpec",
    "Context",
    "Count",
    "DatasetSpec",
    "DetectorSpec",
    "EnsembleSettings",
    "Finding",
    "Forgery",
    "MadeData",
    "MediaError",
    "MediaInfo",
    "MetricSpec",
    "Output",
    "PerturbationSpec",
    "Placement",
    "Pooling",
    "Preset",
    "PretrainingSpec",
    "Protocol",
    "Range",
    "Reason",
    "Sample",
    "Setting",
    "Share",
    "Stage",
    "Stream",
    "Task",
    "WeightSpec",
    "ZeroOrMore",
]
