"""ME-GraphAU's second stage, MEFL: edges with many features, learnt with the nodes by a gated graph convolution.

Luo et al., IJCAI 2022; parameter names are those of CVI-SZU/ME-GraphAU (MIT). Letters: N images, D places of the
feature map, L features, U action units, E = U * U ordered pairs: edge i * U + j goes from unit j to unit i.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avbench_backbones.graphau import AFG, centres_of, cosine

EDGE_CLASSES = 4  # neither unit active, the second alone, the first alone, both


class CrossAttention(nn.Module):
    """One head of attention, of half as many features as the values."""

    def __init__(self, features: int) -> None:
        super().__init__()
        half = features // 2
        self.linear_q = nn.Linear(features, half)
        self.linear_k = nn.Linear(features, half)
        self.linear_v = nn.Linear(features, features)
        for linear in (self.linear_q, self.linear_k, self.linear_v):
            nn.init.normal_(linear.weight, std=(2.0 / linear.out_features) ** 0.5)

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Map queries (..., D, L) and a context (..., D, L) to (..., D, L)."""
        return F.scaled_dot_product_attention(self.linear_q(asking), self.linear_k(asked), self.linear_v(asked))


class GEM(nn.Module):
    """Graph edge modelling: what of the whole face concerns each unit (FAM), what each pair has in common (ARM)."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.FAM = CrossAttention(features)
        self.ARM = CrossAttention(features)
        self.edge_proj = nn.Linear(features, features)
        self.bn = nn.BatchNorm2d(units * units)
        nn.init.normal_(self.edge_proj.weight, std=(2.0 / features) ** 0.5)

    def forward(self, units_NUDL: Tensor, face_NDL: Tensor) -> Tensor:
        """Map each unit's feature map and the face's to edge features (N, E, L), means over the places."""
        count = units_NUDL.shape[1]
        concerned_NUDL = self.FAM(units_NUDL, face_NDL[:, None].expand_as(units_NUDL))
        to_NEDL = concerned_NUDL.repeat_interleave(count, dim=1)
        from_NEDL = concerned_NUDL.repeat(1, count, 1, 1)
        edges_NEDL: Tensor = self.bn(self.edge_proj(self.ARM(from_NEDL, to_NEDL)))
        return edges_NEDL.mean(dim=2)


class GatedStep(nn.Module):
    """One step of a residual gated graph convolution (Bresson and Laurent, 2017) over all ordered pairs.

    outside: whether the residual is added after the activation, as OpenGraphAU does, instead of before it.
    """

    def __init__(self, features: int, units: int, *, outside: bool = False) -> None:
        super().__init__()
        self.outside = outside
        for name in "UVABE":
            linear = nn.Linear(features, features, bias=False)
            nn.init.normal_(linear.weight, std=(2.0 / features) ** 0.5)
            self.add_module(name, linear)
        self.bnv = nn.BatchNorm1d(units)
        self.bne = nn.BatchNorm1d(units * units)

    def forward(self, nodes_NUL: Tensor, edges_NEL: Tensor) -> tuple[Tensor, Tensor]:
        """Map nodes (N, U, L) and edges (N, E, L) to the next ones."""
        return gated_step(nodes_NUL, edges_NEL, dict(self.named_children()), outside=self.outside)


def gated_step(
    nodes_NUL: Tensor, edges_NEL: Tensor, modules: dict[str, nn.Module], *, outside: bool
) -> tuple[Tensor, Tensor]:
    """Update edges by the two nodes of each, then nodes by their neighbours, gated by the edges.

    modules: the bias-free linear maps U, V, A, B, E and the norms bnv and bne.
    """
    count = nodes_NUL.shape[1]
    at_end_NUUL, at_start_NUUL = modules["A"](nodes_NUL)[:, :, None], modules["B"](nodes_NUL)[:, None]
    change_NEL = (at_end_NUUL + at_start_NUUL).flatten(1, 2) + modules["E"](edges_NEL)
    edges_NEL = edges_NEL + F.relu(modules["bne"](change_NEL))
    gates_NUUL = edges_NEL.sigmoid().view(at_end_NUUL.shape[0], count, count, -1).softmax(dim=2)
    heard_NUL = (gates_NUUL * modules["V"](nodes_NUL)[:, None]).mean(dim=2)
    update_NUL = modules["bnv"](modules["U"](nodes_NUL) + heard_NUL)
    return nodes_NUL + F.relu(update_NUL) if outside else F.relu(nodes_NUL + update_NUL), edges_NEL


class GatedGraph(nn.Module):
    """Two gated steps, their parameters named by step: U1 .. bne2."""

    STEPS = 2

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        for step in range(1, self.STEPS + 1):
            for name, module in GatedStep(features, units).named_children():
                self.add_module(f"{name}{step}", module)

    def forward(self, nodes_NUL: Tensor, edges_NEL: Tensor) -> tuple[Tensor, Tensor]:
        """Map nodes (N, U, L) and edges (N, E, L) to the last ones."""
        for step in range(1, self.STEPS + 1):
            modules = {name[:-1]: module for name, module in self.named_children() if name.endswith(str(step))}
            nodes_NUL, edges_NEL = gated_step(nodes_NUL, edges_NEL, modules, outside=False)
        return nodes_NUL, edges_NEL


class MEFLHead(AFG):
    """Second-stage head: AFG, edges, gated graph, then each node's cosine with its centre and each edge's class."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__(features, units)
        self.edge_extractor = GEM(features, units)
        self.gnn = GatedGraph(features, units)
        self.sc = nn.Parameter(torch.empty(units, features))
        self.edge_fc = nn.Linear(features, EDGE_CLASSES)
        nn.init.xavier_uniform_(self.sc)
        nn.init.xavier_uniform_(self.edge_fc.weight)

    def classify(self, tokens_NDL: Tensor) -> tuple[Tensor, Tensor]:
        """Map tokens (N, D, L) to probabilities (N, U) and logits of the pairs (N, E, 4)."""
        units_NUDL = self.maps(tokens_NDL)
        nodes_NUL, edges_NEL = self.gnn(units_NUDL.mean(dim=2), self.edge_extractor(units_NUDL, tokens_NDL))
        return cosine(nodes_NUL, centres_of(self.sc)), self.edge_fc(edges_NEL)

    def forward(self, tokens_NDL: Tensor) -> Tensor:
        """Map tokens (N, D, L) to probabilities (N, U)."""
        return self.classify(tokens_NDL)[0]
