"""What ME-GraphAU minimises: a weighted asymmetric loss of units, a cross-entropy of pairs of units.

Letters: N frames, U action units, E = U * U ordered pairs. Labels are 1, 0, or nan where unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from avbench.types import Setting
from avbench_graphau.recipe import Settings

TINY = 1e-8


def weights_of_rates(rates: Sequence[float]) -> tuple[float, ...]:
    """Return the weight of each unit from how often it occurs: inverse, of mean 1; one never seen counts as rare.

    Source: ME-GraphAU, section 3.3.
    """
    seen = [rate for rate in rates if rate > 0]
    inverse = [1 / rate if rate > 0 else 1 / min(seen, default=1.0) for rate in rates]
    return tuple(len(rates) * value / sum(inverse) for value in inverse)


def settings_of(settings: Settings, columns: Sequence[str], rates: Sequence[float]) -> dict[str, Setting]:
    """Return what a database decides: its units, and their weights where these are to come from it."""
    decided: dict[str, Setting] = {"units": len(columns), "unit_names": " ".join(columns)}
    if settings.unit_weights == "auto":
        decided["unit_weights"] = ",".join(f"{weight:.6f}" for weight in weights_of_rates(rates))
    return decided


def asymmetric_loss(p_NU: Tensor, labels_NU: Tensor, weights_U: Tensor) -> Tensor:
    """Return the mean of w (-y log p - (1 - y) p' log(1 - p)) over known labels; p' is p without gradient.

    An inactive unit counts as much as it is mistaken for an active one. Zero where nothing is known.
    """
    known_NU = ~labels_NU.isnan()
    y_NU = labels_NU.nan_to_num()
    active_NU = y_NU * p_NU.clamp(min=TINY).log()
    inactive_NU = (1 - y_NU) * p_NU.detach() * (1 - p_NU).clamp(min=TINY).log()
    return -(weights_U * (active_NU + inactive_NU) * known_NU).sum() / known_NU.sum().clamp(min=1)


def relations(labels_NU: Tensor) -> Tensor:
    """Return the class (N,E) int64 of each ordered pair, edge i * U + j: 2 y_i + y_j; -1 where one is unknown."""
    pairs_NUU = 2 * labels_NU[:, :, None] + labels_NU[:, None]
    return pairs_NUU.flatten(1).nan_to_num(-1).long()


def edge_loss(logits_NEK: Tensor, labels_NU: Tensor) -> Tensor:
    """Return the mean cross-entropy of the pairs whose labels are known; zero where there is none."""
    classes_NE = relations(labels_NU)
    known = (classes_NE >= 0).sum().clamp(min=1)
    return F.cross_entropy(logits_NEK.flatten(0, 1), classes_NE.flatten(), ignore_index=-1, reduction="sum") / known


def labels_of(values: Tensor, positive_from: float) -> Tensor:
    """Return labels 1, 0 or nan from intensities: active from `positive_from` on."""
    return torch.where(values.isnan(), values, (values >= positive_from).to(values.dtype))


def labels_of_values(values: NDArray[np.float32], settings: Settings) -> NDArray[np.float32]:
    """Return labels 1, 0 or nan (T,U) of a file's intensities."""
    return labels_of(torch.from_numpy(np.asarray(values, np.float32)), settings.positive_from).numpy()
