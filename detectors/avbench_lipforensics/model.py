"""The network of LipForensics (Haliassos et al., CVPR 2021, arXiv 2012.07657).

Written from facts about the published code (github.com/ahaliassos/LipForensics, MIT), whose names of parameters it
keeps. Tensors carry their shape as a suffix: B clips, C channels, T frames, H W pixels, L features.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from avbench_backbones.checkpoints import load_strict
from avbench_backbones.mstcn import MSTCN
from avbench_backbones.resnet18 import Trunk, frame_by_frame, stem_3d

HEAD = "tcn.tcn_output."


class LipNetwork(nn.Module):
    """Read lips frame by frame (3D stem, ResNet-18), then judge how they move (multi-scale TCN)."""

    def __init__(self, width: int = 64, tcn_width: int = 768, tcn_layers: int = 4, dropout: float = 0.2) -> None:
        super().__init__()
        self.trunk = Trunk(width)
        self.frontend3D = stem_3d(width)
        self.tcn = MSTCN(self.trunk.out_channels, 1, tcn_width, tcn_layers, dropout)
        self.frozen = False

    def forward(self, mouths_BCTHW: Tensor, lengths_B: Tensor) -> Tensor:
        """Map grey mouths (B,1,T,88,88), of which `lengths_B` frames are valid, to logits (B,); above 0 is fake."""
        features_BTL = frame_by_frame(self.trunk, self.frontend3D(mouths_BCTHW))
        logit_B1: Tensor = self.tcn(features_BTL, lengths_B)
        return logit_B1[:, 0]

    def freeze_front_end(self, frozen: bool) -> None:
        """Keep what reads lips as it is, running statistics included, or let it learn."""
        self.frozen = frozen
        self.trunk.requires_grad_(not frozen)
        self.frontend3D.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> LipNetwork:
        """Switch to training, in which a frozen front end keeps evaluating."""
        super().train(mode)
        self.trunk.train(mode and not self.frozen)
        self.frontend3D.train(mode and not self.frozen)
        return self

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Load a forgery detector, or a lip reader of the same build less its words, strictly."""
        head = state.get(f"{HEAD}weight")
        words = head is not None and len(head) > 1
        load_strict(self, state, (HEAD,) if words else ())
