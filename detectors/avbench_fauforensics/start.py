"""What the demo preset needs to learn from random weights within minutes; published training starts pre-trained.

A stage of its own teaches the encoders by classifiers that are thrown away; then the rest learns to judge what they
say. Three changes of the random weights stand for what pre-trained encoders bring; the architecture is untouched.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avbench_backbones.motion import hear_change, see_motion
from avbench_fauforensics.model import Network

QUERY_GAIN = 10.0  # makes the first attention weights peaked, so that queries see different moments
SOUND_GAIN = 6.0  # makes the sound speak up against the positions that are added to it
FAU_GAIN = 0.1  # keeps a random frozen encoder from drowning out the one that learns


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
        see_motion(network.VEncoder_cnn.get_parameter("blocks.0.conv.weight"))
    if a.video and a.fau:
        network.au_pool_norm.gamma.mul_(FAU_GAIN)
    if a.audio:
        hear_change(network.AEncoder.encoder.conv1.weight)
        network.AEncoder.encoder.conv2.weight.mul_(SOUND_GAIN)
