"""From a raw batch to the views of it: the one to judge, the augmented one and the clean one that a teacher sees."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from avbench.types import ClipBatch
from avbench_backbones import augment
from avbench_backbones.mel import HOP, log_mel_20ms

PICTURE = 224  # pixels: crops are given for pictures of this size and scaled to others
MEL_PER_FRAME = 4  # 10 ms steps at 25 frames a second
LONGEST_TIME_MASK = 12  # frames, exclusive
LONGEST_FREQUENCY_MASK = 27  # mel bands, exclusive
CLEAN = 0x5DEECE66D  # sets the clean view's dice apart from the augmented one's


@dataclass(frozen=True, slots=True)
class Recipe:
    """How clips are prepared; pixels of a picture of 224.

    A random square of `crop` (in evaluation the central one) out of the central `crop_from` is scaled to `input_size`.
    `grayscale` is the chance that an augmented clip loses its colour; `masking` erases a rectangle, moments, mel bands.
    """

    crop_from: int = 150
    crop: int = 140
    input_size: int = 112
    grayscale: float = 0.5
    masking: bool = True


def judged_view(batch: ClipBatch, recipe: Recipe) -> Tensor:
    """Return pixels (B,3,T,H,W) float32 for evaluation: the centre of each picture."""
    crop = round(recipe.crop * batch.video.shape[-1] / PICTURE)
    pixels = augment.normalise(augment.resize(augment.crop_centre(batch.video, crop), recipe.input_size))
    return _padded(pixels, batch)


def clean_view(batch: ClipBatch, recipe: Recipe) -> Tensor:
    """Return what a teacher sees, (B,3,T,H,W): a crop and a flip of its own, nothing else."""
    pixels = augment.normalise(_cropped(batch, recipe, augment.dice(batch.seed ^ CLEAN)))
    return _padded(pixels, batch)


def augmented_view(batch: ClipBatch, recipe: Recipe, mask_chance: float) -> tuple[Tensor, Tensor]:
    """Return what a student sees, (B,3,T,H,W), and the moments (B,2) that are hidden from it.

    Source: the published code's transforms, in its order. Moments are hidden with `mask_chance`.
    """
    dice = augment.dice(batch.seed)
    pixels = augment.grayscale_randomly(_cropped(batch, recipe, dice), dice, recipe.grayscale)
    pixels = augment.normalise(pixels)
    if not recipe.masking:
        return _padded(pixels, batch), torch.zeros(len(batch), 2, dtype=torch.long)
    pixels = _padded(augment.erase_randomly(pixels, dice), batch)
    hidden = augment.draw_spans(dice, pixels.shape[2], LONGEST_TIME_MASK)
    chosen = torch.tensor([torch.rand((), generator=die).item() < mask_chance for die in dice])
    hidden = hidden * chosen[:, None]
    return augment.mask_spans(pixels, hidden, dim=2), hidden


def clean_sound(batch: ClipBatch) -> Tensor:
    """Return log-mel (B,1,4T,80) of the sound, zero where there is none."""
    mel_BMN = log_mel_20ms(batch.audio)
    return _behind(mel_BMN, batch.samples // HOP, dim=2).transpose(1, 2)[:, None]


def augmented_sound(batch: ClipBatch, hidden: Tensor, recipe: Recipe) -> Tensor:
    """Return log-mel (B,1,4T,80) without the moments (B,2) that are hidden from the pictures and a band of its own."""
    mel = clean_sound(batch)
    if not recipe.masking:
        return mel
    bands = augment.draw_spans(augment.dice(batch.seed + 1), mel.shape[3], LONGEST_FREQUENCY_MASK)
    return augment.mask_spans(augment.mask_spans(mel, MEL_PER_FRAME * hidden, dim=2), bands, dim=3)


def both_streams(batch: ClipBatch) -> Tensor:
    """Return at which frames (B,T) there are both pictures and sound, bool."""
    frame = torch.arange(batch.video.shape[1], device=batch.video.device)
    heard = torch.minimum(batch.frames, batch.samples // (HOP * MEL_PER_FRAME)) * batch.has_audio * batch.has_video
    return frame < heard[:, None]


def _cropped(batch: ClipBatch, recipe: Recipe, dice: list[Generator]) -> Tensor:
    scale = batch.video.shape[-1] / PICTURE
    video = augment.crop_centre(batch.video, round(recipe.crop_from * scale))
    video = augment.flip_randomly(augment.crop_randomly(video, round(recipe.crop * scale), dice), dice)
    return augment.resize(video, recipe.input_size)


def _padded(pixels_BTCHW: Tensor, batch: ClipBatch) -> Tensor:
    """Return (B,C,T,H,W) with zeros behind the valid frames."""
    return _behind(pixels_BTCHW, batch.frames, dim=1).transpose(1, 2)


def _behind(x: Tensor, valid_B: Tensor, dim: int) -> Tensor:
    spans = torch.stack([valid_B, torch.full_like(valid_B, x.shape[dim])], dim=1)
    return augment.mask_spans(x, spans, dim=dim)
