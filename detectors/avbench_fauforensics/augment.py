"""From a raw batch to what the network sees and hears: crop, augmentation, normalisation, mel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from avbench.types import ClipBatch
from avbench_backbones import augment
from avbench_backbones.mel import HOP, log_mel_20ms, log_mel_whisper

Mel = Literal["20ms", "whisper"]

CROP_REFERENCE = 224  # px: crops are given for pictures of this size and scaled to others
MEL_PER_FRAME = 4  # 10 ms steps at 25 frames a second
LONGEST_TIME_MASK = 12  # frames, exclusive
LONGEST_FREQUENCY_MASK = 27  # mel bands, exclusive

LOG_MELS = {"20ms": log_mel_20ms, "whisper": log_mel_whisper}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How clips are prepared.

    A random square of `crop` pixels (in evaluation the central one) out of the central `crop_from`, both of a
    picture of 224, is scaled to `input_size`. In training, a clip loses its colour with probability `grayscale`;
    `masking` erases a rectangle, moments and mel bands.
    """

    crop_from: int = 160
    crop: int = 140
    input_size: int = 112
    grayscale: float = 0.0
    mel: Mel = "20ms"
    masking: bool = True


def prepare(batch: ClipBatch, recipe: Recipe, *, training: bool) -> tuple[Tensor, Tensor]:
    """Return pixels (B,3,T,H,W) and log-mel (B,80,4T), float32; in training, each clip by `batch.seed` alone.

    Source: the published code's data loader, in its order. Frames and sound that a short clip lacks are zero.
    """
    if not training:
        return prepare_video(batch, recipe), prepare_audio(batch, recipe)
    scale = batch.video.shape[-1] / CROP_REFERENCE
    crop = round(recipe.crop * scale)
    dice = augment.dice(batch.seed)
    video = augment.crop_centre(batch.video, round(recipe.crop_from * scale))
    video = augment.flip_randomly(augment.crop_randomly(video, crop, dice), dice)
    video = augment.grayscale_randomly(augment.resize(video, recipe.input_size), dice, recipe.grayscale)
    video = augment.normalise(video)
    video = augment.erase_randomly(video, dice) if recipe.masking else video
    video = augment.mask_spans(video, _padding(batch.frames, video.shape[1]), dim=1)
    mel = prepare_audio(batch, recipe)
    if recipe.masking:
        bands = augment.draw_spans(dice, mel.shape[1], LONGEST_FREQUENCY_MASK)
        frames = augment.draw_spans(dice, video.shape[1], LONGEST_TIME_MASK)
        video = augment.mask_spans(video, frames, dim=1)
        mel = augment.mask_spans(augment.mask_spans(mel, bands, dim=1), MEL_PER_FRAME * frames, dim=2)
    return video.transpose(1, 2), mel


def prepare_video(batch: ClipBatch, recipe: Recipe) -> Tensor:
    """Return pixels (B,3,T,H,W) float32 for evaluation."""
    crop = round(recipe.crop * batch.video.shape[-1] / CROP_REFERENCE)
    video = augment.normalise(augment.resize(augment.crop_centre(batch.video, crop), recipe.input_size))
    return augment.mask_spans(video, _padding(batch.frames, video.shape[1]), dim=1).transpose(1, 2)


def prepare_audio(batch: ClipBatch, recipe: Recipe) -> Tensor:
    """Return log-mel (B,80,4T) float32, without masks."""
    mel = LOG_MELS[recipe.mel](batch.audio)
    return augment.mask_spans(mel, _padding(batch.samples // HOP, mel.shape[2]), dim=2)


def _padding(valid: Tensor, length: int) -> Tensor:
    """Return each clip's span (B,2) behind its valid steps (B,)."""
    return torch.stack([valid, torch.full_like(valid, length)], dim=1)
