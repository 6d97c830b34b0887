"""The types of avbench in one place: the values that travel through it, and what plugins declare.

Nothing here imports torch, so that listing plugins is quick.
"""

from avbench.types.clips import Change, Clip, MediaError, MediaInfo
from avbench.types.protocols import Protocol
from avbench.types.specs import (
    LEVELS,
    AnnotationSpec,
    Context,
    DatasetSpec,
    DetectorSpec,
    Finding,
    MetricSpec,
    PerturbationSpec,
    Preset,
    Stage,
    WeightSpec,
)
from avbench.types.values import (
    CLASSES,
    FORMER_PLACEMENTS,
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
    Setting,
    Stream,
    Task,
)

__all__ = [
    "CLASSES",
    "FORMER_PLACEMENTS",
    "LEVELS",
    "PLACEMENTS",
    "TASKS",
    "AnnotationSpec",
    "Change",
    "Clip",
    "ClipBatch",
    "ClipSpec",
    "Context",
    "DatasetSpec",
    "DetectorSpec",
    "Finding",
    "Forgery",
    "MediaError",
    "MediaInfo",
    "MetricSpec",
    "Output",
    "PerturbationSpec",
    "Placement",
    "Pooling",
    "Preset",
    "Protocol",
    "Reason",
    "Sample",
    "Setting",
    "Stage",
    "Stream",
    "Task",
    "WeightSpec",
]
