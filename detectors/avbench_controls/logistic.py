"""Logistic regression with an L2 penalty, by Newton's method in float64."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

STEPS, HALVINGS, CLOSE = 100, 30, 1e-9


def fit(x_NF: Tensor, fake_N: Tensor, penalty: float) -> Tensor:
    """Return weights (F+1,), the constant last, that minimise log loss summed over rows + penalty / 2 * |weights|^2.

    x (N,F) float64, fake (N,) 0 or 1. The constant is not punished. scikit-learn's C is 1 / penalty.
    """
    x_NG = torch.cat([x_NF, torch.ones_like(x_NF[:, :1])], dim=1)
    punished_G = torch.full_like(x_NG[0], penalty)
    punished_G[-1] = 0
    w_G = torch.zeros_like(punished_G)
    loss = _loss(w_G, x_NG, fake_N, punished_G)
    for _ in range(STEPS):
        p_N = (x_NG @ w_G).sigmoid()
        slope_G = x_NG.T @ (p_N - fake_N) + punished_G * w_G
        if slope_G.abs().max() < CLOSE * len(x_NG):
            break
        curve_GG = (x_NG * (p_N * (1 - p_N))[:, None]).T @ x_NG + (punished_G + 1e-12).diag()
        step_G = torch.linalg.solve(curve_GG, slope_G)
        for _ in range(HALVINGS):  # a whole step may jump over the minimum
            tried = _loss(w_G - step_G, x_NG, fake_N, punished_G)
            if tried <= loss:
                break
            step_G = step_G / 2
        w_G, loss = w_G - step_G, tried
    return w_G


def _loss(w_G: Tensor, x_NG: Tensor, fake_N: Tensor, punished_G: Tensor) -> Tensor:
    logits_N = x_NG @ w_G
    return F.binary_cross_entropy_with_logits(logits_N, fake_N, reduction="sum") + (punished_G * w_G**2).sum() / 2
