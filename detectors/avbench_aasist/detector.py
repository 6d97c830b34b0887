"""AASIST as a detector: settings -> network, and its schedule."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from avbench.config import Config
from avbench.types import Stage
from avbench_aasist.plugin import Settings
from avbench_antispoofing.detector import SincDetector
from avbench_backbones.aasist import AASIST, JudgeSize

FLOOR = 0.05  # of the rate, where the cosine ends: 5e-6 of 1e-4


class AASISTDetector(SincDetector):
    """Judge sound by two graphs, over filters and over time, joined by heterogeneous attention."""

    settings: Settings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s = self.settings
        keep = (s.keep_spectral, s.keep_temporal, s.keep_joined)
        self.network = AASIST(JudgeSize(s.filters, s.narrow, s.wide, s.graph, *keep, s.dropout), s.hop)

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam, whose rate falls along a cosine to a twentieth, step by step."""
        adam, _ = super().optimizer(stage, steps)
        return adam, LambdaLR(adam, lambda step: FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * step / steps)))
