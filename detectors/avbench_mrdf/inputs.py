"""From a raw batch to what MRDF sees and hears: whole videos at 25 fps and four filter-bank windows a frame.

Letters: B clips, T frames, C channels, H W pixels, S samples, W windows, A features heard.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from avbench.types import ClipBatch
from avbench_backbones import augment
from avbench_backbones.speech_features import INT16, logfbank

FILTERS = 26
STACKED = 4  # windows of 10 ms in a frame of 40 ms
HEARD = FILTERS * STACKED
RATE = 16_000
MEAN, DEVIATION = 0.421, 0.165


def valid_frames(batch: ClipBatch) -> Tensor:
    """Return which frames (B,T) are the video's own and not padding."""
    return torch.arange(batch.video.shape[1], device=batch.frames.device) < batch.frames[:, None]


def pictures(batch: ClipBatch, crop: int, *, training: bool) -> Tensor:
    """Return normalised pictures (B,C,T,H,W), zero behind the video; in training cropped, mirrored by `batch.seed`."""
    if training:
        dice = augment.dice(batch.seed)
        video = augment.flip_randomly(augment.crop_randomly(batch.video, crop, dice), dice)
    else:
        video = augment.crop_centre(batch.video, crop)
    pixels_BTCHW = (video.float() / 255 - MEAN) / DEVIATION
    return pixels_BTCHW.masked_fill(~valid_frames(batch)[..., None, None, None], 0).transpose(1, 2)


def sounds(batch: ClipBatch) -> Tensor:
    """Return log filter banks (B,T,A) of each frame, normalised over A; zero where there is no sound.

    Each clip is heard by itself, so that the silence behind it is nobody's window.
    """
    lengths = zip(batch.audio, batch.samples.tolist(), batch.frames.tolist(), strict=True)
    rows = [_heard(sound_S[:samples], frames, batch.video.shape[1]) for sound_S, samples, frames in lengths]
    return torch.stack(rows)


def _heard(sound_S: Tensor, frames: int, longest: int) -> Tensor:
    """Return the filter banks (T,A) of one sound, cut or filled with zeros to `frames`, then to `longest`."""
    if not len(sound_S):
        return sound_S.new_zeros(longest, HEARD)
    bank_WF = logfbank(sound_S[None] * INT16, RATE, FILTERS)[0]
    stacked_TA = F.pad(bank_WF, (0, 0, 0, -len(bank_WF) % STACKED)).reshape(-1, HEARD)[:frames]
    normal_TA = F.layer_norm(stacked_TA, (HEARD,))
    return F.pad(normal_TA, (0, 0, 0, longest - len(normal_TA)))
