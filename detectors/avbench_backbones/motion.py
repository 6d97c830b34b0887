"""First filters that see motion, for 3D networks which must learn within minutes from random weights."""

from __future__ import annotations

import torch
from torch import Tensor

BLUR = (0.7, 3.0)  # pixels, of the finest and the coarsest filter


@torch.no_grad()
def see_motion(filters_OCTHW: Tensor) -> None:
    """Make the first filters see how a blurred, grey picture changes from one frame to the next.

    Networks trained on videos have such filters; random ones let what flickers drown in what stands still. Filters
    longer than three frames are zero beyond the middle three. O filters, C T H W their channels, frames and pixels.
    """
    outputs, _, frames, height, _ = filters_OCTHW.shape
    offset_H = torch.arange(height) - height // 2
    blur_OH = torch.exp(-0.5 * (offset_H / torch.linspace(*BLUR, outputs)[:, None]) ** 2)
    blur_OH /= blur_OH.sum(dim=1, keepdim=True)
    change_OT = torch.tensor([[-1.0, 1.0, 0.0], [0.0, 1.0, -1.0]])[torch.arange(outputs) % 2]
    filters_OCTHW.zero_()
    middle = slice(frames // 2 - 1, frames // 2 + 2)
    filters_OCTHW[:, :, middle] = torch.einsum("ot,oh,ow->othw", change_OT, blur_OH, blur_OH)[:, None]
