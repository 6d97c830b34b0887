"""From a raw batch to grey, normalised mouths, as lip readers see them."""

from __future__ import annotations

import torch
from torch import Tensor

from avbench.types import ClipBatch
from avbench_backbones import augment
from avbench_backbones.augment import grey

PICTURE, CROP = 96, 88  # pixels; the crop is scaled to other sizes of picture
MEAN, DEVIATION = 0.421, 0.165


def prepare(batch: ClipBatch, *, training: bool) -> Tensor:
    """Return mouths (B,1,T,H,W) float32; in training each clip is cropped and mirrored by `batch.seed` alone.

    Source: the published code's evaluation; its training augmentation is that of lip reading (crop, flip).
    """
    size = round(CROP * batch.video.shape[-1] / PICTURE)
    video = grey(batch.video)
    if training:
        dice = augment.dice(batch.seed)
        video = augment.flip_randomly(augment.crop_randomly(video, size, dice), dice)
    else:
        video = augment.crop_centre(video, size)
    pixels_BTCHW = (video.float() / 255 - MEAN) / DEVIATION
    behind = torch.stack([batch.frames, torch.full_like(batch.frames, pixels_BTCHW.shape[1])], dim=1)
    return augment.mask_spans(pixels_BTCHW, behind, dim=1).transpose(1, 2)
