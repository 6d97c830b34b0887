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
MEL_GAIN = 6.0  # makes the sound speak up against the positions that are added to it
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
        network.AEncoder.encoder.conv1.weight.mul_(MEL_GAIN)
        network.AEncoder.encoder.conv2.weight.mul_(MEL_GAIN)


def _see_motion(filters_OCTHW: Tensor) -> None:
    """Make the first filters see how a blurred, grey picture changes from one frame to the next.

    Networks trained on videos have such filters; random ones let what flickers drown in what stands still.
    """
    outputs, _, _, height, _ = filters_OCTHW.shape
    offset_H = torch.arange(height) - height // 2
    blur_OH = torch.exp(-0.5 * (offset_H / torch.linspace(*MOTION_BLUR, outputs)[:, None]) ** 2)
    blur_OH /= blur_OH.sum(dim=1, keepdim=True)
    change_OT = torch.tensor([[-1.0, 1.0, 0.0], [0.0, 1.0, -1.0]])[torch.arange(outputs) % 2]
    filters_OCTHW.copy_(torch.einsum("ot,oh,ow->othw", change_OT, blur_OH, blur_OH)[:, None])
