"""RawGAT-ST as a detector: settings -> network."""

from __future__ import annotations

from avbench.config import Config
from avbench_antispoofing.detector import SincDetector
from avbench_backbones.rawgat import RawGATSize, RawGATST
from avbench_rawgat.plugin import Settings


class RawGAT(SincDetector):
    """Judge sound by two graphs, over filters and over time, and their fusion."""

    settings: Settings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s = self.settings
        self.network = RawGATST(
            RawGATSize(
                config.clip.samples,
                s.filters,
                s.hop,
                s.narrow,
                s.wide,
                s.graph,
                s.fused,
                s.fusion,
                (s.attention_dropout, s.pool_dropout),
            )
        )
