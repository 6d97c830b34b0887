"""What the demo preset needs to learn from random weights within minutes; published training starts pre-trained.

A stage of its own teaches the encoders by classifiers that are thrown away; then the rest learns to judge what they
say. Three changes of the random weights stand for what pre-trained encoders bring; the architecture is untouched.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avbench_fauforensics.model import Network

QUERY_GAIN = 10.0  # makes the first attention weights peaked, so that queries see different moments
SOUND_GAIN = 6.0  # makes the sound speak up against the positions that are added to it
ROUGHNESS_GAIN = 30.0  # brings changes of a mel band from one moment to the next (some 0.03) to the order of one
BAND_BLUR = 1.5  # mel bands
FAU_GAIN = 0.1  # keeps a random frozen encoder from drowning out the one that learns
MOTION_BLUR = (0.7, 3.0)  # pixels, of the finest and the coarsest motion filter


class EncoderHeads(nn.Module):
    """Classifiers on the time means of what the trained encoders say; they teach these and are not used to judge."""

    def __init__(self, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(width, 2) for name, width in widths.items()})

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map features by encoder, (B,T,width) each, to logits (B,2) of that encoder's stream."""
        return {name: head(features[name].mean(dim=1)) for name, head in self.heads.items()}


@torch.no_grad()
def sharpen(network: Network) -> None:
    """Change a randomly initialised network so that its encoders and its alignment can learn soon."""
    a = network.architecture
    for name, module in network.named_modules():
        if name.endswith("attn_pool.to_q") and isinstance(module, nn.Linear):
            module.weight.mul_(QUERY_GAIN)
    if a.video:
        _see_motion(network.VEncoder_cnn.get_parameter("blocks.0.conv.weight"))
    if a.video and a.fau:
        network.au_pool_norm.gamma.mul_(FAU_GAIN)
    if a.audio:
        _hear_change(network.AEncoder.encoder.conv1.weight)
        network.AEncoder.encoder.conv2.weight.mul_(SOUND_GAIN)


def _see_motion(filters_OCTHW: Tensor) -> None:
    """Make the first filters see how a blurred, grey picture changes from one frame to the next.

    Networks trained on videos have such filters; random ones let what flickers drown in what stands still.
    """
    outputs, _, _, height, _ = filters_OCTHW.shape
    blur_OH = _bumps(height, torch.full((outputs,), height // 2), torch.linspace(*MOTION_BLUR, outputs))
    filters_OCTHW.copy_(torch.einsum("ot,oh,ow->othw", _changes(outputs), blur_OH, blur_OH)[:, None])


def _hear_change(filters_OMT: Tensor) -> None:
    """Make the first filters hear how each mel band, with its neighbours, changes from one moment to the next."""
    outputs, bands, _ = filters_OMT.shape
    blur_OM = _bumps(bands, torch.linspace(0, bands - 1, outputs), torch.full((outputs,), BAND_BLUR))
    filters_OMT.copy_(ROUGHNESS_GAIN * blur_OM[:, :, None] * _changes(outputs)[:, None])


def _bumps(length: int, centre_O: Tensor, width_O: Tensor) -> Tensor:
    """Return Gaussians (O, length) that sum to one."""
    bump = torch.exp(-0.5 * ((torch.arange(length) - centre_O[:, None]) / width_O[:, None]) ** 2)
    return bump / bump.sum(dim=1, keepdim=True)


def _changes(outputs: int) -> Tensor:
    """Return the differences (O, 3) of three moments, from the one before and from the one after by turns."""
    return torch.tensor([[-1.0, 1.0, 0.0], [0.0, 1.0, -1.0]])[torch.arange(outputs) % 2]
