"""OpenGraphAU: ME-GraphAU for 27 action units and the two sides of the face of seven of them.

Names and order are those of CVI-SZU/ME-GraphAU's OpenGraphAU (MIT). Letters: N images, D places, L features, U units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avbench_backbones.graphau import FGG, LinearBlock, centres_of, cosine
from avbench_backbones.mefl import GEM, GatedStep

MAIN_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25, 26, 27, 32, 38, 39)
SIDED_UNITS = (1, 2, 4, 6, 10, 12, 14)
UNITS = tuple(f"AU{n}" for n in MAIN_UNITS) + tuple(f"AU{side}{n}" for n in SIDED_UNITS for side in "LR")
# The main units that both sides of each sided unit are read from. Index 8 is AU11, though the outputs are called AUL12
# and AUR12, and index 11 is AU14: a slip of the published code, kept, since its checkpoints were trained so.
READ_FROM = (0, 1, 2, 4, 7, 8, 11)
NEIGHBOURS = 4


class _OpenHead(nn.Module):
    """What both stages share: a feature map for each main unit, centres of all 41 outputs."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.main_class_linears = nn.ModuleList(LinearBlock(features, features) for _ in MAIN_UNITS)
        self.main_sc = nn.Parameter(torch.empty(len(MAIN_UNITS), features))
        self.sub_sc = nn.Parameter(torch.empty(2 * len(SIDED_UNITS), features))
        nn.init.xavier_uniform_(self.main_sc)
        nn.init.xavier_uniform_(self.sub_sc)

    def maps(self, tokens_NDL: Tensor) -> Tensor:
        """Map tokens (N, D, L) to each main unit's (N, 27, D, L)."""
        return torch.stack([linear(tokens_NDL) for linear in self.main_class_linears], dim=1)

    def outputs(self, nodes_NUL: Tensor) -> Tensor:
        """Map nodes (N, 27, L) to probabilities (N, 41), in the order of UNITS."""
        read_from = [index for index in READ_FROM for _ in "LR"]
        main_NU = cosine(nodes_NUL, centres_of(self.main_sc))
        return torch.cat([main_NU, cosine(nodes_NUL[:, read_from], centres_of(self.sub_sc))], dim=1)


class OpenANFLHead(_OpenHead):
    """First-stage head: nodes joined to their four most similar ones."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.gnn = FGG(features, len(MAIN_UNITS), NEIGHBOURS)

    def forward(self, tokens_NDL: Tensor) -> Tensor:
        """Map tokens (N, D, L) to probabilities (N, 41)."""
        return self.outputs(self.gnn(self.maps(tokens_NDL).mean(dim=2)))


class _Layers(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        steps = (GatedStep(features, len(MAIN_UNITS), outside=True) for _ in range(2))
        self.graph_layers = nn.ModuleList(steps)

    def forward(self, nodes_NUL: Tensor, edges_NEL: Tensor) -> Tensor:
        """Map nodes and edges to the last nodes (N, U, L)."""
        for step in self.graph_layers:
            nodes_NUL, edges_NEL = step(nodes_NUL, edges_NEL)
        return nodes_NUL


class OpenMEFLHead(_OpenHead):
    """Second-stage head: edges of 27 x 27 pairs and two gated steps; it has no class of pairs."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.edge_extractor = GEM(features, len(MAIN_UNITS))
        self.gnn = _Layers(features)

    def forward(self, tokens_NDL: Tensor) -> Tensor:
        """Map tokens (N, D, L) to probabilities (N, 41)."""
        units_NUDL = self.maps(tokens_NDL)
        return self.outputs(self.gnn(units_NUDL.mean(dim=2), self.edge_extractor(units_NUDL, tokens_NDL)))
