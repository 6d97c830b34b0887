"""Whether a mouth goes with the sound: 5 numbers of a clip. Letters: B clips, T frames, K lags."""

from __future__ import annotations

import torch
from torch import Tensor

from avbench_controls.picture_numbers import MouthSeries
from avbench_controls.sound_numbers import SoundSeries

FARTHEST = 3  # frames that one may come before the other


def sync_numbers(mouth: MouthSeries, sound: SoundSeries) -> dict[str, Tensor]:
    """Return correlations (B,) by name: at no lag, the highest of all lags, and to which side they lean."""
    brightness_BK = _correlations(mouth.brightness, sound.energy)
    lag_K = torch.arange(-FARTHEST, FARTHEST + 1, device=brightness_BK.device)
    return {
        "sync_brightness_energy": brightness_BK.amax(dim=1),
        "sync_brightness_energy_lag": (brightness_BK * lag_K).sum(dim=1),
        "sync_motion_energy": _correlations(mouth.motion, sound.energy)[:, FARTHEST],
        "sync_contrast_flux": _correlations(mouth.contrast, sound.flux)[:, FARTHEST],
        "sync_darkness_flux": _correlations(mouth.darkness, sound.flux).amax(dim=1),
    }


def _correlations(a_BT: Tensor, b_BT: Tensor) -> Tensor:
    """Return Pearson's correlation (B,K) of a with b, a coming so many frames later; 0 where one stands still."""
    count = a_BT.shape[1]
    return torch.stack(
        [
            _correlation(a_BT[:, max(lag, 0) : count + min(lag, 0)], b_BT[:, max(-lag, 0) : count - max(lag, 0)])
            for lag in range(-FARTHEST, FARTHEST + 1)
        ],
        dim=1,
    )


def _correlation(a_BT: Tensor, b_BT: Tensor) -> Tensor:
    a_BT, b_BT = a_BT - a_BT.mean(dim=1, keepdim=True), b_BT - b_BT.mean(dim=1, keepdim=True)
    spread = (a_BT.square().sum(dim=1) * b_BT.square().sum(dim=1)).sqrt()
    return (a_BT * b_BT).sum(dim=1) / (spread + 1e-8)
