"""What happens to the detail of a picture: blur, pixelation, JPEG, resizing, blocks.

The first four and their levels are those of DeeperForensics-1.0 (github.com/EndlessSora/DeeperForensics-1.0,
perturbation/distortions.py, MIT). Pictures are (H,W,3) uint8 RGB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from avbench.types import Context

if TYPE_CHECKING:
    from avbench.media.frames import Picture

BLOCK = 8  # pixels
REFERENCE = 256  # pixels of the shorter side for each of which the published code draws `count` blocks
GREY = 128


def blur(picture: Picture, kernel: float, context: Context) -> Picture:
    """Blur with a Gaussian of `kernel` pixels whose sigma is a sixth of that."""
    blurred: Picture = cv2.GaussianBlur(picture, (int(kernel), int(kernel)), kernel / 6)
    return blurred


def pixelate(picture: Picture, factor: float, context: Context) -> Picture:
    """Scale down `factor` times and up again, bilinearly: what the cited code calls JPEG compression."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(1, width // int(factor)), max(1, height // int(factor))))
    back: Picture = cv2.resize(small, (width, height))
    return back


def blockwise(picture: Picture, count: float, context: Context) -> Picture:
    """Set (shorter side // 256) x `count` random blocks of 8 x 8 to grey: none in a picture under 256 px."""
    return _blocks(picture, min(picture.shape[:2]) // REFERENCE * int(count), context)


def blockwise_adapted(picture: Picture, count: float, context: Context) -> Picture:
    """As `blockwise`, but `count` blocks in a small picture too."""
    return _blocks(picture, max(1, min(picture.shape[:2]) // REFERENCE) * int(count), context)


def _blocks(picture: Picture, count: int, context: Context) -> Picture:
    height, width = picture.shape[:2]
    blocked = picture.copy()
    for _ in range(count):
        left = context.random.integers(0, max(1, width - BLOCK))  # to width - 9, as published
        top = context.random.integers(0, max(1, height - BLOCK))
        blocked[top : top + BLOCK, left : left + BLOCK] = GREY
    return blocked


def jpeg(picture: Picture, quality: float, context: Context) -> Picture:
    """Compress as a JPEG of libjpeg's quality 1 to 100, chroma halved."""
    options = [cv2.IMWRITE_JPEG_QUALITY, int(quality), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x221111]  # 4:2:0
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"a picture of {picture.shape} cannot be written as a JPEG")
    context.note("kbytes", len(data) / 1000)
    decoded: Picture = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return decoded


def resize(picture: Picture, share: float, context: Context) -> Picture:
    """Scale to a share of the size by area, and back by cubic interpolation, as sharing platforms and players do."""
    height, width = picture.shape[:2]
    size = max(1, round(width * share)), max(1, round(height * share))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    back: Picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return back
