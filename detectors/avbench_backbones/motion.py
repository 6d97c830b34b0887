"""First filters that respond to change, for networks which must learn within minutes from random weights.

Pre-trained networks have such filters; random ones let what flickers drown in what stays as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

PICTURE_BLUR = (0.7, 3.0)  # pixels, of the finest and the coarsest filter
BAND_BLUR = 1.5  # mel bands
ROUGHNESS_GAIN = 30.0  # brings changes of a mel band from one moment to the next (some 0.03) to the order of one


@torch.no_grad()
def see_motion(filters_OCTHW: Tensor) -> None:
    """Make first filters see how a blurred, grey picture changes from one frame to the next.

    Filters longer than three frames are zero beyond the middle three. O filters, C T H W their channels, frames and
    pixels.
    """
    outputs, _, frames, height, _ = filters_OCTHW.shape
    blur_OH = _bumps(height, torch.full((outputs,), height // 2), torch.linspace(*PICTURE_BLUR, outputs))
    filters_OCTHW.zero_()
    middle = slice(frames // 2 - 1, frames // 2 + 2)
    filters_OCTHW[:, :, middle] = torch.einsum("ot,oh,ow->othw", _changes(outputs), blur_OH, blur_OH)[:, None]


@torch.no_grad()
def hear_change(filters_OMT: Tensor) -> None:
    """Make first filters hear how each mel band, with its neighbours, changes from one moment to the next.

    O filters, M mel bands, T = 3 moments.
    """
    outputs, bands, _ = filters_OMT.shape
    blur_OM = _bumps(bands, torch.linspace(0, bands - 1, outputs), torch.full((outputs,), BAND_BLUR))
    filters_OMT.copy_(ROUGHNESS_GAIN * blur_OM[:, :, None] * _changes(outputs)[:, None])


@torch.no_grad()
def differ(filters: Tensor, dim: int) -> None:
    """Make random filters (O,...) of three moments, which lie along `dim`, respond to nothing but change.

    What a filter adds of the middle moment it takes away of the one before or of the one after.
    """
    shape = [1] * filters.ndim
    shape[0], shape[dim] = len(filters), 3
    filters.copy_(filters.narrow(dim, 1, 1) * _changes(len(filters)).view(shape))


def _bumps(length: int, centre_O: Tensor, width_O: Tensor) -> Tensor:
    """Return Gaussians (O, length) that sum to one."""
    bump = torch.exp(-0.5 * ((torch.arange(length) - centre_O[:, None]) / width_O[:, None]) ** 2)
    return bump / bump.sum(dim=1, keepdim=True)


def _changes(outputs: int) -> Tensor:
    """Return differences (O, 3) of three moments, from the one before and from the one after by turns."""
    return torch.tensor([[-1.0, 1.0, 0.0], [0.0, 1.0, -1.0]])[torch.arange(outputs) % 2]
