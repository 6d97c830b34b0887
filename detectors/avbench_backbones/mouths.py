"""From a raw batch to grey, normalised mouths, as lip readers see them."""

from __future__ import annotations

import torch
from torch import Tensor

from avbench_backbones import augment
from avbench_backbones.augment import grey

PICTURE, CROP = 96, 88  # pixels; the crop is scaled to other sizes of picture
MEAN, DEVIATION = 0.421, 0.165


def prepare(video_BTCHW: Tensor, frames_B: Tensor, seed_B: Tensor | None = None) -> Tensor:
    """Return mouths (B,1,T,H,W) float32 of pictures uint8, of which `frames_B` are valid.

    With seeds, for training, each clip is cropped and mirrored by its own alone; without, the centre is cut.

    Source: the published code's evaluation; its training augmentation is that of lip reading (crop, flip).
    """
    size = round(CROP * video_BTCHW.shape[-1] / PICTURE)
    video = grey(video_BTCHW)
    if seed_B is not None:
        dice = augment.dice(seed_B)
        video = augment.flip_randomly(augment.crop_randomly(video, size, dice), dice)
    else:
        video = augment.crop_centre(video, size)
    pixels_BTCHW = (video.float() / 255 - MEAN) / DEVIATION
    behind = torch.stack([frames_B, torch.full_like(frames_B, pixels_BTCHW.shape[1])], dim=1)
    return augment.mask_spans(pixels_BTCHW, behind, dim=1).transpose(1, 2)
