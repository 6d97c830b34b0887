"""RawGAT-ST as a detector: settings -> network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avbench.config import Config
from avbench.errors import unknown
from avbench_antispoofing.detector import AntiSpoofing, check_sinc, size_from
from avbench_backbones.rawgat import RawGATSize, RawGATST

FUSIONS = ("mul", "add", "cat")


class RawGAT(AntiSpoofing):
    """Judge sound by two graphs, over filters and over time, and their fusion."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s: Mapping[str, Any] = config.settings
        if s["fusion"] not in FUSIONS:
            raise unknown("value of fusion", str(s["fusion"]), FUSIONS)
        check_sinc(config)
        dropout = (s["attention_dropout"], s["pool_dropout"])
        self.network = RawGATST(size_from(RawGATSize, config, samples=config.clip.samples, dropout=dropout))
