"""The whole of ME-GraphAU: backbone, global features, and one of its heads, under the published names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from avbench_backbones.checkpoints import load_strict
from avbench_backbones.graphau import ANFLHead, GraphAUEncoder, Metric
from avbench_backbones.mefl import MEFLHead
from avbench_backbones.opengraphau import OpenANFLHead, OpenMEFLHead

StageName = Literal["anfl", "mefl"]

# What differs between the heads of the two stages; everything else is carried over.
OF_ONE_STAGE = ("head.gnn.", "head.edge_extractor.", "head.edge_fc.")


class MEGraphAU(GraphAUEncoder):
    """Map face images to probabilities of action units; in the second stage to the classes of their pairs too.

    units: how many, or 0 for OpenGraphAU's 41 outputs. stage: which head it begins with.
    """

    def __init__(
        self,
        backbone: int | str,
        width: int,
        units: int,
        neighbours: int,
        metric: Metric = "dots",
        stage: StageName = "anfl",
    ) -> None:
        super().__init__(backbone, width=width)
        self.units, self.neighbours, self.metric = units, neighbours, metric
        self.head = self._head(stage)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to probabilities (N, U)."""
        return self.classify(images)[0]

    def classify(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map (N, 3, H, W) to probabilities (N, U), and logits (N, U * U, 4) of pairs where the head has them."""
        tokens_NDL = super().forward(images)
        if isinstance(self.head, MEFLHead):
            return self.head.classify(tokens_NDL)
        return self.head(tokens_NDL), None

    def enter(self, stage: StageName) -> None:
        """Exchange the head for that of another stage, which keeps each unit's feature map and centre."""
        if isinstance(self.head, MEFLHead | OpenMEFLHead) == (stage == "mefl"):
            return
        old = self.head
        self.head = self._head(stage).to(next(old.parameters()).device)
        load_shared(self, {f"head.{name}": value for name, value in old.state_dict().items()} | _without_head(self))

    def _head(self, stage: StageName) -> nn.Module:
        features = self.out_features
        if not self.units:
            return OpenANFLHead(features) if stage == "anfl" else OpenMEFLHead(features)
        if stage == "anfl":
            return ANFLHead(features, self.units, self.neighbours, self.metric)
        return MEFLHead(features, self.units)


def load_shared(network: MEGraphAU, state: Mapping[str, Tensor]) -> None:
    """Load what both stages share, strictly; raises CheckpointError."""
    load_strict(network, state, OF_ONE_STAGE)


def _without_head(network: MEGraphAU) -> dict[str, Tensor]:
    return {name: value for name, value in network.state_dict().items() if not name.startswith("head.")}


def backbone_state(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the backbone's entries from a classifier of ImageNet: torchvision's ResNet or Microsoft's Swin."""
    return {f"backbone.{name}": value for name, value in weights.items() if not name.startswith(("fc.", "head."))}
