"""The mouth reader for the training engine: LipForensics' network, asked frame by frame what lips do.

Letters: B clips, T frames, C channels, H W pixels, L features, N columns.
"""

from __future__ import annotations

from torch import Tensor, nn

from avbench.config import Config
from avbench.types import ClipBatch, Output
from avbench_backbones.mouths import prepare
from avbench_backbones.mstcn import MSTCN
from avbench_backbones.resnet18 import Trunk, frame_by_frame, stem_3d
from avbench_encoders.detector import FrameReader, said
from avbench_encoders.settings import LIPS, MouthSettings


class MouthNetwork(nn.Module):
    """A 3D stem, ResNet-18 frame by frame and a multi-scale TCN, whose last layer answers for each frame."""

    def __init__(self, width: int, tcn_width: int, tcn_layers: int, columns: int) -> None:
        super().__init__()
        self.trunk = Trunk(width)
        self.frontend3D = stem_3d(width)
        self.tcn = MSTCN(self.trunk.out_channels, columns, tcn_width, tcn_layers)

    def forward(self, mouths_BCTHW: Tensor) -> Tensor:
        """Map grey mouths (B,1,T,H,W) to logits (B,T,N)."""
        features_BTL = frame_by_frame(self.trunk, self.frontend3D(mouths_BCTHW))
        logits_BTN: Tensor = self.tcn.tcn_output(self.tcn.mb_ms_tcn(features_BTL.transpose(1, 2)).transpose(1, 2))
        return logits_BTN


class MouthReader(FrameReader):
    """Read lips from one second of a mouth, as LipForensics' demo preset sees it."""

    settings: MouthSettings
    annotation = LIPS

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s = self.settings
        self.network = MouthNetwork(s.width, s.tcn_width, s.tcn_layers, len(self.columns))

    def forward(self, batch: ClipBatch) -> Output:
        """Return as aux the probabilities "p" (B,T,N) and their logits.

        Training shows the centre of each picture too: where the head is would move with any other crop.
        """
        return said(self.network(prepare(batch.video, batch.frames)))
