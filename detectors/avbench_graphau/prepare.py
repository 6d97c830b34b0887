"""From frames to what the network sees: crop, mirror, colours in training, normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from avbench.types import ClipBatch
from avbench_backbones import augment


@dataclass(frozen=True, slots=True)
class Recipe:
    """How frames are prepared, in pixels of the picture that is fed.

    A random square of `crop` out of the central `crop_from` in training, the central one in evaluation, scaled to
    `input_size`; brightness, contrast and saturation change by up to `jitter`.
    """

    crop_from: int = 256
    crop: int = 224
    input_size: int = 224
    jitter: float = 0.4


def prepare(batch: ClipBatch, recipe: Recipe, *, training: bool) -> Tensor:
    """Return pixels (B,T,3,H,W) float32; in training each clip by `batch.seed` alone, all its frames alike.

    Source: ME-GraphAU's loader, in its order; a clip there is one frame.
    """
    if not training:
        return augment.normalise(augment.resize(augment.crop_centre(batch.video, recipe.crop), recipe.input_size))
    dice = augment.dice(batch.seed)
    video = augment.crop_randomly(augment.crop_centre(batch.video, recipe.crop_from), recipe.crop, dice)
    video = augment.resize(augment.flip_randomly(video, dice), recipe.input_size)
    return augment.normalise(jitter_colours(video, dice, recipe.jitter))


def jitter_colours(video: Tensor, dice: Sequence[Generator], most: float) -> Tensor:
    """Change brightness, contrast and saturation of each clip of (B,T,3,H,W) in [0,1], in an order drawn too.

    Each factor is uniform in 1 - most to 1 + most, as in torchvision; contrast is about each frame's mean grey.
    """
    return torch.stack([_jitter_clip(clip, die, most) for clip, die in zip(video, dice, strict=True)])


def _jitter_clip(clip: Tensor, die: Generator, most: float) -> Tensor:
    order = torch.randperm(3, generator=die).tolist()
    factors = (1 - most + 2 * most * torch.rand(3, generator=die)).tolist()
    for kind in order:
        grey = (clip * clip.new_tensor(augment.LUMA).view(3, 1, 1)).sum(dim=1, keepdim=True)
        towards = (torch.zeros_like(grey), grey.mean(dim=(2, 3), keepdim=True), grey)[kind]
        clip = (towards + factors[kind] * (clip - towards)).clamp(0, 1)
    return clip
