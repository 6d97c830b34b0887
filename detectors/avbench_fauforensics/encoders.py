"""The encoder of FauForensics that is not taken as it is: action units of a frame.

Written from the paper (arXiv 2505.08294, III-B) and from facts about the published code. Tensors carry their shape as
a suffix: N pictures, H W pixels, L features.
"""

from __future__ import annotations

from torch import Tensor, nn

from avbench.references import load_object
from avbench_backbones.blendshapes import Blendshapes
from avbench_backbones.graphau import AFG, GraphAUEncoder


class FAUEncoder(GraphAUEncoder):
    """Describe the action units of a face: the mean of ME-GraphAU's global tokens or of its node features."""

    def __init__(self, depth: int, width: int, units: int) -> None:
        super().__init__(depth, width=width)
        self.head = AFG(self.out_features, units) if units else None

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, L)."""
        tokens = super().forward(images)
        return (tokens if self.head is None else self.head(tokens)).mean(dim=1)


def fau_encoder(name: str, depth: int, width: int, units: int) -> nn.Module:
    """Construct what describes action units: it maps pictures (N,3,H,W) to (N, its `out_features`).

    name: "graphau", of these sizes, "blendshapes", or "package.module:Class" of one's own; a UserError where that
    cannot be imported.
    """
    if name == "graphau":
        return FAUEncoder(depth, width, units)
    if name == "blendshapes":
        return Blendshapes()
    encoder: nn.Module = load_object(name, "fau_encoder")()
    return encoder
