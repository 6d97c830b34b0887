"""AASIST as a detector: settings -> network, and its schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from avbench.config import Config
from avbench.types import Stage
from avbench_antispoofing.detector import AntiSpoofing, check_sinc, size_from
from avbench_backbones.aasist import AASIST, JudgeSize

FLOOR = 0.05  # of the rate, where the cosine ends: 5e-6 of 1e-4


class AASISTDetector(AntiSpoofing):
    """Judge sound by two graphs, over filters and over time, joined by heterogeneous attention."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s: Mapping[str, Any] = config.settings
        check_sinc(config)
        self.network = AASIST(size_from(JudgeSize, config, rows=s["filters"]), s["hop"])

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam, whose rate falls along a cosine to a twentieth, step by step."""
        adam, _ = super().optimizer(stage, steps)
        return adam, LambdaLR(adam, lambda step: FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * step / steps)))
