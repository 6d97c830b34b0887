"""Graph attention, its heterogeneous form and graph pooling, as in RawGAT-ST and AASIST.

Papers: H. Tak et al., "End-to-end spectro-temporal graph attention networks", ASVspoof 2021 workshop, section 3.2;
J. Jung et al., "AASIST: audio anti-spoofing using integrated spectro-temporal graph attention networks", ICASSP 2022,
section 3. Source: clovaai/aasist (MIT). Letters: B clips, N M nodes, L features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GraphAttention(nn.Module):
    """Every node listens to every node; the more alike two are, in learned directions, the more."""

    def __init__(self, inputs: int, outputs: int, temperature: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__()
        self.att_proj = nn.Linear(inputs, outputs)
        self.att_weight = _direction(outputs)
        self.proj_with_att = nn.Linear(inputs, outputs)
        self.proj_without_att = nn.Linear(inputs, outputs)
        self.bn = nn.BatchNorm1d(outputs)
        self.input_drop = nn.Dropout(dropout)
        self.temperature = temperature

    def forward(self, x_BNL: Tensor) -> Tensor:
        """Map nodes (B,N,L) to nodes (B,N,outputs)."""
        x_BNL = self.input_drop(x_BNL)
        alike_BNNL = torch.tanh(self.att_proj(x_BNL[:, :, None] * x_BNL[:, None]))
        attention_BNN = ((alike_BNNL @ self.att_weight).squeeze(-1) / self.temperature).softmax(dim=-1)
        y_BNL = self.proj_with_att(attention_BNN @ x_BNL) + self.proj_without_att(x_BNL)
        return F.selu(_normed(self.bn, y_BNL))


class HeterogeneousAttention(nn.Module):
    """Graph attention over nodes of two kinds, with directions for each pairing, and a master node that hears all."""

    def __init__(self, inputs: int, outputs: int, temperature: float) -> None:
        super().__init__()
        self.proj_type1 = nn.Linear(inputs, inputs)
        self.proj_type2 = nn.Linear(inputs, inputs)
        self.att_proj = nn.Linear(inputs, outputs)
        self.att_projM = nn.Linear(inputs, outputs)
        self.att_weight11 = _direction(outputs)
        self.att_weight22 = _direction(outputs)
        self.att_weight12 = _direction(outputs)
        self.att_weightM = _direction(outputs)
        self.proj_with_att = nn.Linear(inputs, outputs)
        self.proj_without_att = nn.Linear(inputs, outputs)
        self.proj_with_attM = nn.Linear(inputs, outputs)
        self.proj_without_attM = nn.Linear(inputs, outputs)
        self.bn = nn.BatchNorm1d(outputs)
        self.input_drop = nn.Dropout(0.2)
        self.temperature = temperature

    def forward(self, first_BNL: Tensor, second_BML: Tensor, master_B1L: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map nodes (B,N,L) and (B,M,L) and the master (B,1,L) to the same with `outputs` features."""
        count = first_BNL.shape[1]
        x_BNL = torch.cat([self.proj_type1(first_BNL), self.proj_type2(second_BML)], dim=1)
        x_BNL = self.input_drop(x_BNL)
        alike_BNNL = torch.tanh(self.att_proj(x_BNL[:, :, None] * x_BNL[:, None]))
        score_BNN = self._scores(alike_BNNL, count) / self.temperature
        master_B1L = self._master(x_BNL, master_B1L)
        y_BNL = self.proj_with_att(score_BNN.softmax(dim=-1) @ x_BNL) + self.proj_without_att(x_BNL)
        y_BNL = F.selu(_normed(self.bn, y_BNL))
        return y_BNL[:, :count], y_BNL[:, count:], master_B1L

    def _scores(self, alike_BNNL: Tensor, count: int) -> Tensor:
        """Weigh each pair in the direction of its kinds; both mixed pairings share one."""
        upper = torch.cat(
            [alike_BNNL[:, :count, :count] @ self.att_weight11, alike_BNNL[:, :count, count:] @ self.att_weight12],
            dim=2,
        )
        lower = torch.cat(
            [alike_BNNL[:, count:, :count] @ self.att_weight12, alike_BNNL[:, count:, count:] @ self.att_weight22],
            dim=2,
        )
        return torch.cat([upper, lower], dim=1).squeeze(-1)

    def _master(self, x_BNL: Tensor, master_B1L: Tensor) -> Tensor:
        alike_BNL = torch.tanh(self.att_projM(x_BNL * master_B1L))
        attention_B1N = ((alike_BNL @ self.att_weightM) / self.temperature).softmax(dim=1).transpose(1, 2)
        master: Tensor = self.proj_with_attM(attention_B1N @ x_BNL) + self.proj_without_attM(master_B1L)
        return master


class GraphPool(nn.Module):
    """Keep the nodes that score highest, the highest first, weighed by their scores."""

    def __init__(self, keep: float, features: int, least: int = 1, dropout: float = 0.3) -> None:
        super().__init__()
        self.proj = nn.Linear(features, 1)
        self.drop = nn.Dropout(dropout)
        self.keep = keep
        self.least = least

    def kept(self, nodes: int) -> int:
        """Return how many of so many nodes stay."""
        return min(nodes, max(self.least, int(nodes * self.keep)))

    def forward(self, x_BNL: Tensor) -> Tensor:
        """Map nodes (B,N,L) to nodes (B,kept(N),L); their order matters to what mixes them by position."""
        score_BN1 = torch.sigmoid(self.proj(self.drop(x_BNL)))
        chosen_BK1 = score_BN1.topk(self.kept(x_BNL.shape[1]), dim=1).indices
        return (x_BNL * score_BN1).gather(1, chosen_BK1.expand(-1, -1, x_BNL.shape[2]))


def _direction(features: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(features, 1)))


def _normed(norm: nn.BatchNorm1d, x_BNL: Tensor) -> Tensor:
    normed: Tensor = norm(x_BNL.flatten(0, 1))
    return normed.view(x_BNL.shape)
