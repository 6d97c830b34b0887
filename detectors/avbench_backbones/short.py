"""What a clip lacks at its end, and what a batch of one lacks: small repairs that leave full clips and batches alone.

Letters: B clips, T moments, L features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def hold_last(x_BT: Tensor, valid_B: Tensor) -> Tensor:
    """Repeat each clip's last valid moment behind it: (B,T,...), of which `valid_B` moments are valid; at least one."""
    moments = x_BT.shape[1]
    if bool((valid_B >= moments).all()):
        return x_BT
    last_B1 = valid_B.clamp(min=1)[:, None] - 1
    index_BT = torch.minimum(torch.arange(moments, device=x_BT.device), last_B1.to(x_BT.device))
    rows_B1 = torch.arange(len(x_BT), device=x_BT.device)[:, None]
    return x_BT[rows_B1, index_BT]


class BatchNorm1d(nn.BatchNorm1d):
    """BatchNorm over clips that normalises the only clip of a training batch by its running statistics."""

    def forward(self, x_BL: Tensor) -> Tensor:
        """Map (B,L) to (B,L)."""
        if self.training and len(x_BL) == 1:
            return F.batch_norm(x_BL, self.running_mean, self.running_var, self.weight, self.bias, False, eps=self.eps)
        return super().forward(x_BL)
