"""What the demo preset needs to learn from random weights within minutes; published training starts pre-trained.

From random encoders every moment looks alike: the correlations of eqs. 4 to 6 differ between clips by 1e-4 (sound)
and 2e-6 (pictures), and the column norm has no gradient there. Two things mend that without touching the architecture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avbench_fauforensics.model import Network

QUERY_GAIN = 10.0  # makes the first attention weights peaked, so that queries see different moments
MEL_GAIN = 6.0  # makes the sound speak up against the positions that are added to it


class EncoderHeads(nn.Module):
    """Classifiers on each encoder's mean over time; they teach the encoders and are not used to judge."""

    def __init__(self, width: int, streams: tuple[str, ...], classes: int) -> None:
        super().__init__()
        self.streams = nn.ModuleDict({name: nn.Linear(width, 2) for name in streams})
        self.joint = nn.Linear(width * len(streams), classes)

    def forward(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        """Map Z_v and Z_a (B,T,L) to logits of each stream (B,2) and of the clip (B,K)."""
        means = {name: z_BTL.mean(dim=1) for name, z_BTL in z.items()}
        logits: dict[str, Tensor] = {name: self.streams[name](mean_BL) for name, mean_BL in means.items()}
        return {**logits, "joint": self.joint(torch.cat(list(means.values()), dim=1))}


@torch.no_grad()
def sharpen(network: Network, input_size: int) -> None:
    """Spread the first features of a randomly initialised network over clips and moments.

    The part of the picture features that all pictures share is projected out of the layers that read them.
    """
    a = network.architecture
    pixels_BCTHW = _cloudy(input_size, a.frames)
    network.train()
    if a.video:
        _forget_mean(network.v_pool, network.VEncoder_cnn(pixels_BCTHW).mean(dim=(3, 4)).transpose(1, 2))
    if a.fau and isinstance(network.au_pool, nn.Linear):
        _forget_mean(network.au_pool, network.FAUEncoder_cnn(pixels_BCTHW.transpose(1, 2).flatten(0, 1)))
    for name, module in network.named_modules():
        if name.endswith("attn_pool.to_q") and isinstance(module, nn.Linear):
            module.weight.mul_(QUERY_GAIN)
    if a.audio:
        network.AEncoder.encoder.conv1.weight.mul_(MEL_GAIN)
        network.AEncoder.encoder.conv2.weight.mul_(MEL_GAIN)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()


def _cloudy(size: int, frames: int) -> Tensor:
    """Return two clips (2,3,T,size,size) of smooth noise with some grain."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(2, 3, frames, 7, 7, generator=generator)
    smooth = F.interpolate(coarse, size=(frames, size, size), mode="trilinear")
    return 1.5 * smooth + 0.3 * torch.randn(smooth.shape, generator=generator)


def _forget_mean(layer: nn.Linear, features: Tensor) -> None:
    """Project the mean of features (..., C) out of what a layer reads."""
    mean_C = features.flatten(0, -2).mean(dim=0)
    layer.weight.sub_(torch.outer(layer.weight @ mean_C, mean_C) / mean_C.dot(mean_C))
