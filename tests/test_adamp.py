"""AdamP against numbers of the published algorithm (timm 1.0.31, whose AdamP equals clovaai's bit for bit)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avbench_backbones.adamp import AdamP, poly_factor

SHAPES = {"channel": (4, 3, 2), "layer": (4, 6), "free": (3, 5), "vector": (7,)}

# first, middle and last entry of each weight after 30 steps
GOLDEN = {
    False: {
        "channel": [0.4178985, -0.3183277, -0.8950762],
        "layer": [0.4126811, -0.3164991, -0.8979905],
        "free": [0.3534501, -0.160284, -0.0493144],
        "vector": [0.3534501, -0.6878926, 0.6485491],
    },
    True: {
        "channel": [0.409935, -0.3100543, -0.9010849],
        "layer": [0.4045576, -0.3081892, -0.9054378],
        "free": [0.3504452, -0.1647399, -0.0401031],
        "vector": [0.3467544, -0.6614153, 0.6268767],
    },
}


def waves(shape: tuple[int, ...], phase: float) -> Tensor:
    """Fill a tensor with numbers that every machine agrees on."""
    count = torch.Size(shape).numel()
    return torch.sin(torch.arange(count, dtype=torch.float64) * 1.3 + phase).float().reshape(shape)


def trained(optimizer: Callable[..., torch.optim.Optimizer], steps: int = 30, **settings: object) -> dict[str, Tensor]:
    """Train a weight whose scale does not matter by channel, one by layer, and two whose scale matters."""
    weights = {name: nn.Parameter(waves(shape, 0.5)) for name, shape in SHAPES.items()}
    optimiser = optimizer(weights.values(), **{"lr": 1e-2, "weight_decay": 1e-1, **settings})
    for step in range(steps):
        target = {name: waves(shape, 0.3 * step + 2.0) for name, shape in SHAPES.items()}
        loss = (F.normalize(weights["channel"].flatten(1), dim=1) * target["channel"].flatten(1)).sum()
        loss = loss + (F.normalize(weights["layer"].flatten(), dim=0) * target["layer"].flatten()).sum()
        loss = loss + (weights["free"] - target["free"]).square().sum()
        loss = loss + (weights["vector"] - target["vector"]).square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: weight.detach() for name, weight in weights.items()}


def sampled(weights: dict[str, Tensor]) -> dict[str, list[float]]:
    return {
        name: [weight.flatten()[index].item() for index in (0, weight.numel() // 2, -1)]
        for name, weight in weights.items()
    }


@pytest.mark.parametrize("nesterov", [False, True])
def test_thirty_steps_equal_the_published_algorithm(nesterov: bool) -> None:
    found = sampled(trained(AdamP, nesterov=nesterov))
    assert found == {name: pytest.approx(values, abs=2e-6) for name, values in GOLDEN[nesterov].items()}


def test_projection_spares_scale_invariant_weights_alone() -> None:
    """By channel and by layer such weights hardly grow and do not decay; a vector is as without projection."""
    start = {name: waves(shape, 0.5).norm().item() for name, shape in SHAPES.items()}
    adam, adamp = trained(AdamP, weight_decay=0.0, delta=0.0), trained(AdamP, weight_decay=0.0)
    decayed = trained(AdamP, weight_decay=0.5, wd_ratio=0.0)
    for name in ("channel", "layer"):
        grown_by_adam = adam[name].norm().item() - start[name]
        assert 0 < adamp[name].norm().item() - start[name] < grown_by_adam / 3
        assert torch.equal(decayed[name], adamp[name])
    assert torch.equal(adamp["vector"], adam["vector"])
    assert decayed["vector"].norm() < 0.95 * adamp["vector"].norm()


def test_without_projection_it_is_adam_with_decoupled_decay() -> None:
    found = trained(AdamP, delta=0.0)
    expected = trained(torch.optim.AdamW)
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=2e-6)


def test_state_survives_saving() -> None:
    def step(weight: nn.Parameter, optimiser: AdamP, phase: float) -> None:
        weight.grad = waves((3, 4), phase)
        optimiser.step()

    weight = nn.Parameter(waves((3, 4), 0.0))
    optimiser = AdamP([weight])
    step(weight, optimiser, 1.0)
    copy = nn.Parameter(weight.detach().clone())
    resumed = AdamP([copy])
    resumed.load_state_dict(deepcopy(optimiser.state_dict()))
    step(weight, optimiser, 2.0)
    step(copy, resumed, 2.0)
    assert torch.equal(weight, copy)


def test_a_wrong_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="betas"):
        AdamP([nn.Parameter(torch.zeros(1))], betas=(0.9, 1.0))


def test_poly_factor_falls_from_one_to_its_floor() -> None:
    assert poly_factor(0, 100) == 1.0
    assert poly_factor(50, 100) == pytest.approx(0.999 * 0.5**0.9 + 0.001)
    assert poly_factor(100, 100) == pytest.approx(1e-3)
    assert poly_factor(150, 100) == pytest.approx(1e-3)
    with pytest.raises(ValueError, match="at least one"):
        poly_factor(0, 0)


def test_poly_factor_without_floor_is_torch_s_schedule() -> None:
    def rates(make: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler]) -> list[float]:
        optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler = make(optimiser)
        found = []
        for _ in range(12):
            found.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            scheduler.step()
        return found

    ours = rates(
        lambda optimiser: torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: poly_factor(i, 10, floor=0.0))
    )
    torchs = rates(lambda optimiser: torch.optim.lr_scheduler.PolynomialLR(optimiser, total_iters=10, power=0.9))
    assert ours == pytest.approx(torchs, abs=1e-12)
