"""What forged pictures are caught by, measured without a network: 25 numbers of a clip.

A generated mouth is pasted into a face that is real around it. It is softer or sharper than the face, moves otherwise,
carries other noise, and its brightness and colour tremble from frame to frame. So most numbers compare the box of the
mouth with that of the upper face, in a picture in whose middle a face is.

Letters: B clips, T frames, H W pixels, R pixels of a region's height, C of its width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

MOUTH = (0.60, 0.86, 0.32, 0.68)  # top, bottom, left, right, as shares of the picture
UPPER_FACE = (0.28, 0.56, 0.30, 0.70)
FLOOR = 1e-4  # below which a brightness (0 to 1) is nothing; keeps logarithms of still pictures finite


@dataclass(frozen=True, slots=True)
class MouthSeries:
    """How a mouth goes, frame by frame, (B,T) each: brightness, darkest part (negative), contrast, motion."""

    brightness: Tensor
    darkness: Tensor
    contrast: Tensor
    motion: Tensor


def picture_numbers(video_BTCHW: Tensor) -> tuple[dict[str, Tensor], MouthSeries]:
    """Return 25 numbers (B,) by name of uint8 RGB pictures, and the mouth's course for `sync_numbers`."""
    y_BTHW = _brightness(video_BTCHW)
    mouth, upper = _Region(_cut(video_BTCHW, MOUTH)), _Region(_cut(video_BTCHW, UPPER_FACE))
    numbers = {
        "brightness": y_BTHW.mean(dim=(1, 2, 3)),
        "contrast": _log(y_BTHW.std(dim=(2, 3)).mean(dim=1)),
        "motion": _log(y_BTHW.diff(dim=1).abs().mean(dim=(1, 2, 3))),
        "flicker": _flicker(y_BTHW),
        "mouth_contrast_to_upper": mouth.contrast - upper.contrast,
        "mouth_sharpness": mouth.sharpness[0],
        "mouth_sharpness_to_upper": mouth.sharpness[0] - upper.sharpness[0],
        "mouth_sharpness_2_to_upper": mouth.sharpness[1] - upper.sharpness[1],
        "mouth_sharpness_4_to_upper": mouth.sharpness[2] - upper.sharpness[2],
        "mouth_sharpness_sd": mouth.sharpness_sd,
        "mouth_noise": mouth.noise,
        "mouth_noise_to_upper": mouth.noise - upper.noise,
        "mouth_detail_correlation": mouth.detail_correlation,
        "upper_detail_correlation": upper.detail_correlation,
        "mouth_motion": mouth.motion,
        "mouth_motion_to_upper": mouth.motion - upper.motion,
        "mouth_motion_peak": mouth.motion_peak,
        "mouth_motion_pause": mouth.motion_pause,
        "mouth_jerk": mouth.jerk,
        "mouth_flicker": mouth.flicker,
        "mouth_flicker_to_upper": mouth.flicker - upper.flicker,
        "mouth_red_flicker": _flicker(mouth.red_BTRC),
        "mouth_blue_flicker": _flicker(mouth.blue_BTRC),
        "mouth_red_less_upper": (mouth.red_BTRC.mean(dim=(1, 2, 3)) - upper.red_BTRC.mean(dim=(1, 2, 3))),
        "mouth_blue_less_upper": (mouth.blue_BTRC.mean(dim=(1, 2, 3)) - upper.blue_BTRC.mean(dim=(1, 2, 3))),
    }
    return numbers, mouth.series()


class _Region:
    """One box of the pictures (B,T,C,R,C): logarithms of what is seen in it, (B,) each."""

    def __init__(self, video: Tensor) -> None:
        self.y_BTRC = _brightness(video)
        self.red_BTRC = video[:, :, 0].float() / 255 - self.y_BTRC  # Cr and Cb, up to their scale
        self.blue_BTRC = video[:, :, 2].float() / 255 - self.y_BTRC
        self.motion_BT = self.y_BTRC.diff(dim=1).abs().mean(dim=(2, 3))
        details = _laplacian(self.y_BTRC)
        fine_BTRC = details[0]
        self.contrast = _log(self.y_BTRC.std(dim=(2, 3)).mean(dim=1))
        # Details of one, two and four pixels.
        self.sharpness = [_log(level.square().mean(dim=(1, 2, 3)).sqrt()) for level in details]
        self.sharpness_sd = _log(_log(fine_BTRC.square().mean(dim=(2, 3)).sqrt()).std(dim=1))
        # What changes in the details against the neighbouring frames is noise, not texture that moves along.
        self.noise = _log(_unsteady(fine_BTRC).abs().mean(dim=(1, 2, 3)))
        together = (fine_BTRC[:, 1:] * fine_BTRC[:, :-1]).mean(dim=(1, 2, 3))
        self.detail_correlation = together / (fine_BTRC.square().mean(dim=(1, 2, 3)) + FLOOR**2)
        self.motion = _log(self.motion_BT.mean(dim=1))
        self.motion_peak = _log(self.motion_BT.amax(dim=1)) - self.motion
        self.motion_pause = _log(self.motion_BT.amin(dim=1)) - self.motion
        self.jerk = _log(_unsteady(self.y_BTRC).abs().mean(dim=(1, 2, 3))) - self.motion
        self.flicker = _flicker(self.y_BTRC)

    def series(self) -> MouthSeries:
        """Return the course of this box; the first frame moves as the second does."""
        sorted_BTN = self.y_BTRC.flatten(2).sort(dim=2).values
        return MouthSeries(
            brightness=self.y_BTRC.mean(dim=(2, 3)),
            darkness=-sorted_BTN[..., sorted_BTN.shape[2] // 20],
            contrast=self.y_BTRC.std(dim=(2, 3)),
            motion=torch.cat([self.motion_BT[:, :1], self.motion_BT], dim=1),
        )


def _brightness(video_BTCHW: Tensor) -> Tensor:
    """Return the luminance (B,T,H,W), 0 to 1."""
    red, green, blue = (video_BTCHW[:, :, colour] for colour in range(3))
    return red * (0.299 / 255) + green * (0.587 / 255) + blue * (0.114 / 255)


def _cut(video_BTCHW: Tensor, box: tuple[float, float, float, float]) -> Tensor:
    """Return the part of pictures of any size that lies in the box."""
    high, wide = video_BTCHW.shape[-2:]
    top, bottom, left, right = box
    return video_BTCHW[..., round(top * high) : round(bottom * high), round(left * wide) : round(right * wide)]


def _laplacian(y_BTRC: Tensor) -> list[Tensor]:
    """Return three levels of a Laplacian pyramid, each half as high and wide as the one before."""
    levels = []
    for _ in range(3):
        smooth_BTRC = _smooth(y_BTRC)
        levels.append(y_BTRC - smooth_BTRC)
        y_BTRC = F.avg_pool2d(smooth_BTRC, 2)
    return levels


def _smooth(y_BTRC: Tensor) -> Tensor:
    """Return pictures smoothed by 1 2 1 in both directions; a one-channel convolution takes ten times as long."""
    wide = F.pad(y_BTRC, (1, 1, 1, 1), mode="reflect")
    rows = wide[..., :-2, :] + 2 * wide[..., 1:-1, :] + wide[..., 2:, :]
    return (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 16


def _unsteady(x_BT: Tensor) -> Tensor:
    """Return the second difference in time: what steady motion and steady light do not have."""
    return x_BT[:, 2:] - 2 * x_BT[:, 1:-1] + x_BT[:, :-2]


def _flicker(x_BTRC: Tensor) -> Tensor:
    return _log(_unsteady(x_BTRC.mean(dim=(2, 3))).abs().mean(dim=1))


def _log(x: Tensor) -> Tensor:
    return (x + FLOOR).log()
