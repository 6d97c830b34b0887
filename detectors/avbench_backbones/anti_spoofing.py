"""What anti-spoofing networks hear and say: short sound is filled up, high sound may be lifted, class 1 is bona fide.

Sources: eurecom-asp/RawGAT-ST-antispoofing, clovaai/aasist, TakHemlata/SSL_Anti-spoofing (all MIT).
Letters: B clips, S samples.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def repeat_short(audio_BS: Tensor, valid_B: Tensor) -> Tensor:
    """Fill what a short clip lacks with repetitions of its valid samples, from their beginning on."""
    steps_S = torch.arange(audio_BS.shape[1], device=audio_BS.device)
    return audio_BS.gather(1, steps_S % valid_B.clamp(min=1)[:, None])


def emphasised(audio_BS: Tensor, share: float) -> Tensor:
    """Subtract from each sample a share of the one before: what is high becomes louder, what is low softer."""
    return audio_BS - share * torch.cat([audio_BS[:, :1], audio_BS[:, :-1]], dim=1) if share else audio_BS


def real_then_fake(logits_B2: Tensor) -> Tensor:
    """Turn logits in the published order, 0 spoof and 1 bona fide, to 0 real and 1 fake."""
    return logits_B2.flip(dims=[1])


def weighted_loss(logits_B2: Tensor, fake_B: Tensor, real_weight: float, fake_weight: float) -> Tensor:
    """Return the weighted cross-entropy of logits (real, fake), divided by the weights of the batch as published."""
    weight = logits_B2.new_tensor([real_weight, fake_weight], dtype=torch.float32)
    return F.cross_entropy(logits_B2.float(), fake_B, weight)
