"""The types of avbench in one place: the values that travel through it, and what plugins declare.

Nothing here imports torch, so that listing plugins is quick.
"""

from avbench.specs import (
    LEVELS,
    DatasetSpec,
    DetectorSpec,
    Finding,
    MetricSpec,
    PerturbationSpec,
    Preset,
    Setting,
    Stage,
    TargetSpec,
    WeightSpec,
)
from avbench.values import (
    CLASSES,
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

__all__ = [
    "CLASSES",
    "LEVELS",
    "TASKS",
    "ClipBatch",
    "ClipSpec",
    "DatasetSpec",
    "DetectorSpec",
    "Finding",
    "Forgery",
    "MetricSpec",
    "Output",
    "PerturbationSpec",
    "Placement",
    "Pooling",
    "Preset",
    "Reason",
    "Sample",
    "Setting",
    "Stage",
    "Stream",
    "TargetSpec",
    "Task",
    "WeightSpec",
]
