"""Random weights with which small changes are seen from the start, and passed on, for a training of minutes.

A pre-trained encoder sees them; behind a random one what flickers drowns in texture, ReLU and pooling. The pool drops
nodes that stand out by their length, so nodes must speak to each other before they are dropped.
Letters: L features, T frames of a group, C channels.
"""

from __future__ import annotations

import torch
from torch import nn

from avbench_fgmdf.graph import CrossAttention, TimeGraphAttention
from avbench_fgmdf.network import FGMDF
from avbench_fgmdf.video import SeparableConv, VideoEncoder

OPEN = 4.0  # deviations by which a BatchNorm lifts its channel, so that ReLU lets nearly all of it through
BENDS = ((-1.0, 2.0, -1.0, 0.0), (0.0, -1.0, 2.0, -1.0))  # what differs from the frame before and the one after


@torch.no_grad()
def sharpen(network: FGMDF) -> None:
    """Give the eyes weights that see small changes, and all that nodes say to each other its full weight."""
    see_changes(network.video_encoder)
    for module in network.modules():
        if isinstance(module, TimeGraphAttention):
            nn.init.ones_(module.gamma)
        if isinstance(module, CrossAttention):
            nn.init.ones_(module.gamma1)
            nn.init.ones_(module.gamma2)


@torch.no_grad()
def see_changes(encoder: VideoEncoder) -> None:
    """Make an encoder blur and shrink pictures, and the fusion of a group's frames see how they bend in time."""
    for conv in (encoder.conv1, encoder.conv2):
        conv.weight.copy_(conv.weight.mean(dim=(2, 3), keepdim=True).expand_as(conv.weight))
    for module in encoder.modules():
        if isinstance(module, SeparableConv) and module.conv1.kernel_size == (3, 3):
            nn.init.dirac_(module.conv1.weight, groups=module.conv1.groups)
    blocks = (encoder.block1.block, encoder.block2.block, encoder.block3.block)
    opened = [encoder.bn1, encoder.bn2, encoder.bn3, encoder.bn4]
    opened += [norm for block in blocks for norm in (block.rep[1], block.skipbn) if isinstance(norm, nn.BatchNorm2d)]
    for norm in opened:
        nn.init.constant_(norm.bias, OPEN)
    see_bends(encoder)


@torch.no_grad()
def see_bends(encoder: VideoEncoder) -> None:
    """Make each feature of the fusion the second difference in time of one channel, of either sign by turns."""
    weight = encoder.fea_fusion.convblk[0].weight
    assert isinstance(weight, nn.Parameter)
    weight_LTC = weight.view(len(weight), encoder.frames, -1)  # a view: what is written here is the filter
    weight_LTC.zero_()
    channels = weight_LTC.shape[2]
    for feature in range(len(weight)):
        turn = feature // channels + feature
        bend = torch.tensor(BENDS[turn // 2 % 2]) * (1 if turn % 2 else -1)
        weight_LTC[feature, : len(bend), feature % channels] = bend
