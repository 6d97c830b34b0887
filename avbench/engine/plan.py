"""What a training is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avbench.config import Config
from avbench.data.placement import oracle
from avbench.data.requests import ClipRequest
from avbench.engine.validation import BY_AUC, Selection
from avbench.types import ClipSpec, DetectorSpec, Sample

Place = Callable[[Sequence[Sample], ClipSpec, int, int], list[ClipRequest]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What a training is made of; `id` is a hash of all of it, `about` what weights and record say of it.

    `place` is (samples, clip, seed, epoch) -> the clips of an epoch, as many in each; `selection` chooses the epoch.
    """

    id: str
    folder: Path
    spec: DetectorSpec
    config: Config
    seed: int
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    about: Mapping[str, Any]
    place: Place = oracle
    selection: Selection = BY_AUC
