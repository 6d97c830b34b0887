"""Clip augmentations of RealForensics and its heirs: one draw for all frames of a clip, from the clip's dice.

Letters: B clips, T frames, C channels, H W pixels. Every draw is made on the CPU, so that a seed gives the
same clip on any device, whoever its batch-mates are. Functions return new tensors.
Source: ahaliassos/RealForensics (MIT), which builds on torchvision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LUMA = (0.2989, 0.587, 0.114)
PILLOW_LUMA = (19595, 38470, 7471)  # of 65536: how Pillow turns RGB into its mode "L"


def dice(seeds: Tensor) -> list[Generator]:
    """Make one random number generator per clip from seeds (B,)."""
    return [Generator().manual_seed(seed) for seed in seeds.tolist()]


def crop_centre(video: Tensor, size: int) -> Tensor:
    """Cut the central square of `size` pixels out of (B,T,C,H,W)."""
    top, left = (round((edge - size) / 2) for edge in video.shape[-2:])
    if top < 0 or left < 0:
        raise ValueError(f"cannot cut {size} pixels out of {video.shape[-2]} x {video.shape[-1]}")
    return video[..., top : top + size, left : left + size]


def crop_randomly(video: Tensor, size: int, dice: Sequence[Generator]) -> Tensor:
    """Cut a square of `size` pixels out of (B,T,C,H,W), each clip at its own place."""
    crops = []
    for clip, die in zip(video, dice, strict=True):
        top, left = (_integer(die, edge - size + 1) for edge in clip.shape[-2:])
        crops.append(clip[..., top : top + size, left : left + size])
    return torch.stack(crops)


def flip_randomly(video: Tensor, dice: Sequence[Generator], chance: float = 0.5) -> Tensor:
    """Mirror left and right of some clips of (B,T,C,H,W)."""
    return torch.where(_chosen(dice, chance, video), video.flip(-1), video)


def resize(video: Tensor, size: int) -> Tensor:
    """Scale (B,T,C,H,W) uint8 to float32 (B,T,C,size,size) in [0,1], bilinear, without antialiasing."""
    pixels = video.flatten(0, 1).float() / 255
    if video.shape[-2:] != (size, size):
        pixels = F.interpolate(pixels, (size, size), mode="bilinear", align_corners=False)
    return pixels.view(*video.shape[:3], size, size)


def grayscale_randomly(video: Tensor, dice: Sequence[Generator], chance: float = 0.5) -> Tensor:
    """Take the colour from some clips of (B,T,3,H,W) in [0,1]; they keep three equal channels."""
    if chance == 0:
        return video
    grey = (video * video.new_tensor(LUMA).view(3, 1, 1)).sum(dim=2, keepdim=True)
    return torch.where(_chosen(dice, chance, video), grey, video)


def grey(video: Tensor) -> Tensor:
    """Map RGB (B,T,3,H,W) uint8 to its luma (B,T,1,H,W) uint8, as Pillow rounds it."""
    red, green, blue = (video[:, :, channel].int() * weight for channel, weight in enumerate(PILLOW_LUMA))
    return ((red + green + blue + 0x8000) >> 16).to(torch.uint8)[:, :, None]


def normalise(video: Tensor) -> Tensor:
    """Subtract ImageNet's mean from (B,T,3,H,W) in [0,1] and divide by its deviation."""
    return (video - video.new_tensor(IMAGENET_MEAN).view(3, 1, 1)) / video.new_tensor(IMAGENET_STD).view(3, 1, 1)


def erase_randomly(
    video: Tensor,
    dice: Sequence[Generator],
    chance: float = 0.5,
    area: tuple[float, float] = (0.02, 0.33),
    aspect: tuple[float, float] = (0.3, 3.3),
) -> Tensor:
    """Set one box of some clips of (B,T,C,H,W) to 0, the same in all frames.

    area: the box's share of the picture, uniform; aspect: its height over width, log-uniform. A box that does
    not fit is drawn anew, ten times at most, as in torchvision.
    """
    height, width = video.shape[-2:]
    erased = torch.zeros(len(video), height, width, dtype=torch.bool)
    for mask, die in zip(erased, dice, strict=True):
        if _real(die) >= chance:
            continue
        for _ in range(10):
            pixels = height * width * _real(die, *area)
            ratio = math.exp(_real(die, math.log(aspect[0]), math.log(aspect[1])))
            tall, wide = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
            if tall < height and wide < width:
                top, left = _integer(die, height - tall + 1), _integer(die, width - wide + 1)
                mask[top : top + tall, left : left + wide] = True
                break
    return video.masked_fill(erased[:, None, None].to(video.device), 0)


def draw_spans(dice: Sequence[Generator], length: int, longest: int) -> Tensor:
    """Draw one span per clip, (B,2) first and last + 1: fewer than `longest` steps, anywhere in `length`."""
    spans = []
    for die in dice:
        steps = _integer(die, min(longest, length))
        first = _integer(die, length - steps)
        spans.append((first, first + steps))
    return torch.tensor(spans)


def mask_spans(x: Tensor, spans: Tensor, dim: int) -> Tensor:
    """Set each clip's span (B,2) of axis `dim` to 0."""
    steps = torch.arange(x.shape[dim], device=x.device)
    spans = spans.to(x.device)
    masked = (steps >= spans[:, :1]) & (steps < spans[:, 1:])
    shape = [1] * x.ndim
    shape[0], shape[dim] = masked.shape
    return x.masked_fill(masked.view(shape), 0)


def _chosen(dice: Sequence[Generator], chance: float, like: Tensor) -> Tensor:
    """Choose clips, each with the same chance: (B,1,1,..) bool beside `like`."""
    chosen = torch.tensor([_real(die) < chance for die in dice], device=like.device)
    return chosen.view(-1, *[1] * (like.ndim - 1))


def _real(die: Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * torch.rand((), generator=die).item()


def _integer(die: Generator, end: int) -> int:
    """Draw one of 0 .. end - 1."""
    return int(torch.randint(end, (), generator=die).item())
