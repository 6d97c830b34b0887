"""AdamP (Heo et al., ICLR 2021, arXiv 2006.08217; clovaai/AdamP, MIT) and the learning rate used with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
import torch.nn.functional as F
from torch import Tensor


class AdamP(torch.optim.Optimizer):
    """Adam that leaves out the part of a step which only grows a scale-invariant weight (algorithm 1).

    A weight of two or more dimensions counts as scale-invariant if its gradient is nearly orthogonal to it:
    cosine below delta / sqrt(size), for every output channel or else for the whole layer. Its weight decay is
    then multiplied by `wd_ratio`. All is decided on the device: no step waits for a GPU.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        delta: float = 0.1,
        wd_ratio: float = 0.1,
        nesterov: bool = False,
    ) -> None:
        if lr < 0 or eps < 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError("AdamP: lr, eps and weight_decay must not be negative, betas must lie in [0, 1)")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "delta": delta,
            "wd_ratio": wd_ratio,
            "nesterov": nesterov,
        }
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        beta1, beta2 = group["betas"]
        mean = state["exp_avg"].mul_(beta1).add_(grad, alpha=1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)

        spread = (square.sqrt() / math.sqrt(1 - beta2 ** state["step"])).add_(group["eps"])
        update = (beta1 * mean + (1 - beta1) * grad if group["nesterov"] else mean) / spread
        decay, lr = group["weight_decay"], group["lr"]
        keep: float | Tensor = 1 - lr * decay
        if parameter.ndim > 1:
            update, projected = _project(parameter, grad, update, group["delta"], group["eps"])
            keep = torch.where(projected, 1 - lr * decay * group["wd_ratio"], keep).to(parameter.dtype)
        if decay > 0:
            parameter.mul_(keep)
        parameter.add_(update, alpha=-lr / (1 - beta1 ** state["step"]))


def _project(parameter: Tensor, grad: Tensor, update: Tensor, delta: float, eps: float) -> tuple[Tensor, Tensor]:
    """Take out of `update` its part along the weight, by channel or else by layer, and tell whether it was done.

    Both views are computed and `where` chooses: to ask which applies would wait for the device at each weight.
    """
    result, done = update, torch.zeros((), dtype=torch.bool, device=update.device)
    for rows in (parameter.shape[0], 1):
        weights, steps = parameter.reshape(rows, -1), update.reshape(rows, -1)
        cosine = F.cosine_similarity(grad.reshape(rows, -1), weights, dim=1, eps=eps).abs_().max()
        orthogonal = cosine < delta / math.sqrt(weights.shape[1])
        directions = weights / weights.norm(p=2, dim=1, keepdim=True).add_(eps)
        tangent = steps - directions * (directions * steps).sum(dim=1, keepdim=True)
        result = torch.where(orthogonal & ~done, tangent.view_as(update), result)
        done = done | orthogonal
    return result, done


def poly_factor(iteration: int, iterations: int, floor: float = 1e-3, power: float = 0.9) -> float:
    """Compute the factor (1 - floor) * (1 - i/n) ** power + floor, for a `LambdaLR` stepped at each iteration.

    It falls from 1 to `floor`, where it stays after the last iteration. Source: FauForensics' code, which keeps
    a thousandth of the rate; floor 0 is torch's `PolynomialLR`.
    """
    if iterations < 1 or iteration < 0:
        raise ValueError(f"iteration {iteration} of {iterations}: give at least one, counted from 0")
    left = max(0.0, 1 - iteration / iterations)
    return (1 - floor) * math.pow(left, power) + floor
