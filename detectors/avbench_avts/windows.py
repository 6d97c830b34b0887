"""From a raw batch to windows of a clip: those to judge, end to end, and those to tell apart, a frame's step apart.

Letters: B clips, M windows, T frames, C channels, H W pixels, S samples, N steps of sound, Q cepstra.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from avbench.types import ClipBatch
from avbench_backbones import augment
from avbench_backbones.short import hold_last
from avbench_backbones.speech_features import INT16, mfcc

PICTURE = 256  # pixels: crops are given for pictures of this size and scaled to others
CROP = 224
MEAN, DEVIATION = 0.421, 0.165
SOUND_RATE = 16_000


@dataclass(frozen=True, slots=True)
class Cut:
    """Which windows of a clip: `count` of `frames` frames, `step` frames apart."""

    frames: int
    step: int
    count: int

    @property
    def span(self) -> int:
        """Frames from the first window's start to the last one's end."""
        return (self.count - 1) * self.step + self.frames


def judged(clip_frames: int, frames: int) -> Cut:
    """Return the windows that are judged: as many as fit end to end, at least one."""
    return Cut(frames, frames, max(1, clip_frames // frames))


def pictures(batch: ClipBatch, cut: Cut, start_B: Tensor, *, grey: bool) -> Tensor:
    """Return windows (B,M,C,T,H,W) of the centre of each picture."""
    video_BTCHW = _from(hold_last(batch.video, batch.frames), start_B, cut.span)
    video_BTCHW = augment.crop_centre(video_BTCHW, _crop(batch))
    return _windows(_normalised(video_BTCHW, grey=grey), cut)


def augmented_pictures(batch: ClipBatch, cut: Cut, start_B: Tensor, *, grey: bool, each: bool, erasing: bool) -> Tensor:
    """Return windows (B,M,C,T,H,W), cropped and mirrored by `batch.seed` alone, with `each` every one in its own way.

    `erasing` hides a box of half of the windows. Source: the training code's transforms, in its order.
    """
    video_BTCHW = _from(hold_last(batch.video, batch.frames), start_B, cut.span)
    dice = augment.dice(batch.seed)
    if each:
        index_MT = cut.step * torch.arange(cut.count)[:, None] + torch.arange(cut.frames)
        video_BTCHW = video_BTCHW[:, index_MT].flatten(0, 1)
        dice = [die for die in dice for _ in range(cut.count)]
    video_BTCHW = augment.flip_randomly(augment.crop_randomly(video_BTCHW, _crop(batch), dice), dice)
    if erasing:
        video_BTCHW = augment.erase_randomly(video_BTCHW, dice)
    pixels_BTCHW = _normalised(video_BTCHW, grey=grey)
    if each:
        return torch.unflatten(pixels_BTCHW, 0, (len(batch), cut.count)).transpose(2, 3)
    return _windows(pixels_BTCHW, cut)


def cepstra(batch: ClipBatch, cut: Cut, start_B: Tensor, fps: float) -> Tensor:
    """Return cepstra (B,M,N,13) of each window's own sound."""
    each = round(SOUND_RATE / fps)  # samples of a frame
    audio_BS = _from(batch.audio, start_B * each, cut.span * each)
    windows_BMS = audio_BS.unfold(1, cut.frames * each, cut.step * each)
    return torch.unflatten(mfcc(windows_BMS.flatten(0, 1) * INT16, SOUND_RATE), 0, windows_BMS.shape[:2])


def whole(valid_B: Tensor, cut: Cut) -> Tensor:
    """Return which windows (B,M) lie within so many valid frames; the first does in any case."""
    end_M = cut.step * torch.arange(cut.count, device=valid_B.device) + cut.frames
    end_M[0] = 0
    return end_M <= valid_B[:, None]


def draw_starts(batch: ClipBatch, cut: Cut) -> Tensor:
    """Draw a first frame (B,) for the windows of each clip, by its seed."""
    room = batch.video.shape[1] - cut.span + 1
    drawn = [int(torch.randint(room, (), generator=die)) for die in augment.dice(batch.seed + 1)]
    return torch.tensor(drawn, device=batch.video.device)


def _from(x_BT: Tensor, start_B: Tensor, length: int) -> Tensor:
    """Cut (B,length,...) out of (B,T,...), each clip from its own start on, with zeros behind its end."""
    short = int(start_B.max()) + length - x_BT.shape[1]
    if short > 0:
        x_BT = torch.cat([x_BT, x_BT.new_zeros(len(x_BT), short, *x_BT.shape[2:])], dim=1)
    return torch.stack([clip[start : start + length] for clip, start in zip(x_BT, start_B.tolist(), strict=True)])


def _windows(pixels_BTCHW: Tensor, cut: Cut) -> Tensor:
    """Return (B,M,C,T,H,W)."""
    windows: Tensor = pixels_BTCHW.unfold(1, cut.frames, cut.step).movedim(5, 3)
    return windows


def _normalised(video_BTCHW: Tensor, *, grey: bool) -> Tensor:
    video_BTCHW = augment.grey(video_BTCHW) if grey else video_BTCHW
    return (video_BTCHW.float() / 255 - MEAN) / DEVIATION


def _crop(batch: ClipBatch) -> int:
    return round(CROP * batch.video.shape[-1] / PICTURE)
