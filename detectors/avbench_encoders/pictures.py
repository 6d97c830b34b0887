"""From frames to what the lip reader sees, as FauForensics and RealForensics see them, and what moves with them.

Letters: B clips, T frames, H W pixels, N columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avbench.types import ClipBatch
from avbench_backbones import augment

PICTURE = 224  # pixels: crops, and shifts of the head, are given for pictures of this size
MIRRORED = {"left": "right", "right": "left"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How clips are prepared.

    A random square of `crop` pixels (in evaluation the central one) out of the central `crop_from`, both of a picture
    of 224, is mirrored or not and scaled to `input_size`.
    """

    crop_from: int = 160
    crop: int = 140
    input_size: int = 56


def prepare(batch: ClipBatch, recipe: Recipe, *, training: bool) -> Tensor:
    """Return pixels (B,3,T,H,W) float32; in training each clip by `batch.seed` alone. Missing frames are zero."""
    video = augment.normalise(augment.resize(_cut(batch.video, batch.seed, recipe, training), recipe.input_size))
    behind = torch.stack([batch.frames, torch.full_like(batch.frames, video.shape[1])], dim=1)
    return augment.mask_spans(video, behind, dim=1).transpose(1, 2)


def as_seen(values_BTN: Tensor, columns: Sequence[str], batch: ClipBatch, recipe: Recipe) -> Tensor:
    """Return what columns say of the pictures that training shows: the head is where the crop and the mirror put it.

    Columns called left_over_..., right_, up_ and down_ tell by how much the head's shift exceeds a threshold.
    """
    height, width = batch.video.shape[-2:]
    place = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    places = place.expand(len(batch), 1, 2, height, width)
    cut_B2HW = _cut(places, batch.seed, recipe, training=True)[:, 0].float()
    scale = PICTURE / width
    down_B = (cut_B2HW[:, 0].mean(dim=(1, 2)) - (height - 1) / 2) * scale
    right_B = (cut_B2HW[:, 1].mean(dim=(1, 2)) - (width - 1) / 2) * scale
    mirrored_B = cut_B2HW[:, 1, 0, 0] > cut_B2HW[:, 1, 0, -1]
    moved = {"left": right_B, "right": -right_B, "up": down_B, "down": -down_B}
    seen_BTN = values_BTN.clone()
    for number, column in enumerate(columns):
        side = column.partition("_over_")[0]
        if side in moved:
            seen_BTN[..., number] += moved[side].to(values_BTN)[:, None]
    other = [columns.index(_mirror(column)) if _mirror(column) in columns else n for n, column in enumerate(columns)]
    return torch.where(mirrored_B.to(values_BTN.device)[:, None, None], seen_BTN[..., other], seen_BTN)


def _cut(video: Tensor, seeds: Tensor, recipe: Recipe, training: bool) -> Tensor:
    """Return the square that is seen of (B,T,C,H,W), before it is scaled."""
    scale = video.shape[-1] / PICTURE
    crop = round(recipe.crop * scale)
    if not training:
        return augment.crop_centre(video, crop)
    dice = augment.dice(seeds)
    video = augment.crop_centre(video, round(recipe.crop_from * scale))
    return augment.flip_randomly(augment.crop_randomly(video, crop, dice), dice)


def _mirror(column: str) -> str:
    side, over, least = column.partition("_over_")
    return f"{MIRRORED.get(side, side)}{over}{least}"
