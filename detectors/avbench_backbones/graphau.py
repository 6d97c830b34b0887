"""ME-GraphAU: the encoder of facial action units and its first-stage head, ANFL (Luo et al., IJCAI 2022).

Parameter names are those of CVI-SZU/ME-GraphAU (MIT); the second stage is in mefl.py, its Swin backbones in swin.py.
Letters: N images, D places of the feature map, C channels, L = C/4 features, U action units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avbench_backbones.swin import SIZES, SwinTokens

BlockKind = Literal["basic", "bottleneck"]
Metric = Literal["dots", "cosine", "l1", "l2"]

DEPTHS: dict[int, tuple[tuple[int, ...], BlockKind]] = {
    18: ((2, 2, 2, 2), "basic"),
    50: ((3, 4, 6, 3), "bottleneck"),
    101: ((3, 4, 23, 3), "bottleneck"),
}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; names as in torchvision."""

    expansion = 1

    def __init__(self, channels: int, inner: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, inner, H', W')."""
        residual = F.relu(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        return F.relu(residual + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride) and 1x1 convolutions and a shortcut; names as in torchvision."""

    expansion = 4

    def __init__(self, channels: int, inner: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, 4 * inner, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * inner)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 4 * inner, H', W')."""
        residual = F.relu(self.bn1(self.conv1(x)))
        residual = F.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        return F.relu(residual + (x if self.downsample is None else self.downsample(x)))


class ResNetTokens(nn.Module):
    """ResNet without pool and classifier, its feature map as tokens."""

    def __init__(self, blocks: Sequence[int], kind: BlockKind, width: int) -> None:
        super().__init__()
        block: type[BasicBlock | Bottleneck] = BasicBlock if kind == "basic" else Bottleneck
        wide = block.expansion * width
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _layer(block, blocks[0], width, width, stride=1)
        self.layer2 = _layer(block, blocks[1], wide, 2 * width, stride=2)
        self.layer3 = _layer(block, blocks[2], 2 * wide, 4 * width, stride=2)
        self.layer4 = _layer(block, blocks[3], 4 * wide, 8 * width, stride=2)
        self.out_channels = 8 * wide
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, D, C)."""
        x = F.relu(self.bn1(self.conv1(images)))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return x.flatten(2).transpose(1, 2)


def _resnet(depth: int | Sequence[int], width: int, block: BlockKind | None) -> ResNetTokens:
    if isinstance(depth, int):
        if depth not in DEPTHS:
            raise ValueError(f"ResNet depth {depth}: use one of {sorted(DEPTHS)} or four block counts")
        counts, published_block = DEPTHS[depth]
    else:
        counts, published_block = tuple(depth), "bottleneck"
    if len(counts) != 4:
        raise ValueError("a ResNet has four layers: give four block counts")
    return ResNetTokens(counts, block or published_block, width)


def _layer(block: type[BasicBlock | Bottleneck], count: int, channels: int, inner: int, stride: int) -> nn.Sequential:
    """Chain blocks, of which the first takes the stride and projects its shortcut where the shape changes."""
    wide = block.expansion * inner
    downsample = None
    if stride != 1 or channels != wide:
        downsample = nn.Sequential(nn.Conv2d(channels, wide, 1, stride=stride, bias=False), nn.BatchNorm2d(wide))
    rest = [block(wide, inner, 1, None) for _ in range(count - 1)]
    return nn.Sequential(block(channels, inner, stride, downsample), *rest)


class LinearBlock(nn.Module):
    """Linear, BatchNorm over the features of all tokens, ReLU."""

    def __init__(self, features_in: int, features_out: int) -> None:
        super().__init__()
        self.fc = nn.Linear(features_in, features_out)
        self.bn = nn.BatchNorm1d(features_out)
        _init_linear(self.fc)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (N, D, features_in) to (N, D, features_out)."""
        x = self.fc(tokens).transpose(1, 2)
        return F.relu(self.bn(x)).transpose(1, 2)


class GraphAUEncoder(nn.Module):
    """Encode face images (N, 3, H, W) as tokens (N, D, L), D = H/32 * W/32 row by row.

    depth: of a ResNet, 18, 50, 101, or four block counts, then of bottlenecks unless `block` says otherwise; or the
    name of a Swin transformer, swin_tiny, swin_small or swin_base, for images of 224 pixels.
    width: channels of a ResNet's stem; 64 is the published size, giving L = 512 for depth 50.
    L is a quarter of a ResNet's channels, half of a Swin transformer's. The mean over D is FauForensics' action-unit
    feature.
    """

    backbone: ResNetTokens | SwinTokens

    def __init__(
        self, depth: int | str | Sequence[int] = 50, *, width: int = 64, block: BlockKind | None = None
    ) -> None:
        super().__init__()
        if isinstance(depth, str):
            if depth not in SIZES:
                raise ValueError(f"no backbone called {depth}: use one of {', '.join(SIZES)}")
            self.backbone, share = SwinTokens(SIZES[depth]), 2
        else:
            self.backbone, share = _resnet(depth, width, block), 4
        self.out_features = self.backbone.out_channels // share
        self.global_linear = LinearBlock(self.backbone.out_channels, self.out_features)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, D, L)."""
        out: Tensor = self.global_linear(self.backbone(images))
        return out


class AFG(nn.Module):
    """Action-unit feature generator: one `LinearBlock` per action unit, averaged over the places."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.class_linears = nn.ModuleList(LinearBlock(features, features) for _ in range(units))

    def maps(self, tokens: Tensor) -> Tensor:
        """Map tokens (N, D, L) to each unit's feature map (N, U, D, L)."""
        return torch.stack([linear(tokens) for linear in self.class_linears], dim=1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (N, D, L) to node features (N, U, L)."""
        return torch.stack([linear(tokens).mean(dim=1) for linear in self.class_linears], dim=1)


class FGG(nn.Module):
    """Facial graph generator: one graph convolution, each node joined to the `neighbours` most similar ones.

    metric: the dot product is published; "cosine", "l1" and "l2" are the code's other choices, the last two called
    there by each other's name: "l1" is the Euclidean distance and "l2" the sum of absolute differences. A node competes
    for its own neighbourhood too. neighbours: 3 for DISFA's 8 action units, 4 for BP4D's 12.
    """

    def __init__(self, features: int, units: int, neighbours: int, metric: Metric = "dots") -> None:
        super().__init__()
        self.neighbours, self.metric = neighbours, metric
        self.U = nn.Linear(features, features)
        self.V = nn.Linear(features, features)
        self.bnv = nn.BatchNorm1d(units)
        _init_linear(self.U)
        _init_linear(self.V)

    def adjacency(self, nodes: Tensor) -> Tensor:
        """Join (N, U, L) to their neighbours and normalise by row degrees: (N, U, U), without gradient."""
        nodes = nodes.detach()
        if self.metric in ("l1", "l2"):
            similarity = -torch.cdist(nodes, nodes, 2.0 if self.metric == "l1" else 1.0, "donot_use_mm_for_euclid_dist")
        else:
            nodes = F.normalize(nodes, dim=-1) if self.metric == "cosine" else nodes
            similarity = nodes @ nodes.transpose(1, 2)
        last_neighbour = similarity.topk(self.neighbours, dim=-1).values[..., -1:]
        joined = (similarity >= last_neighbour).to(nodes.dtype)
        scale = joined.sum(dim=-1).rsqrt()
        return scale[:, :, None] * joined * scale[:, None, :]

    def forward(self, nodes: Tensor) -> Tensor:
        """Map (N, U, L) to (N, U, L)."""
        message = self.adjacency(nodes) @ self.V(nodes) + self.U(nodes)
        return F.relu(nodes + self.bnv(message))


class ANFLHead(AFG):
    """First-stage head: AFG, FGG, then each node's cosine with its trained centre `sc`."""

    def __init__(self, features: int, units: int, neighbours: int, metric: Metric = "dots") -> None:
        super().__init__(features, units)
        self.gnn = FGG(features, units, neighbours, metric)
        self.sc = nn.Parameter(torch.empty(units, features))
        nn.init.xavier_uniform_(self.sc)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (N, D, L) to probabilities (N, U)."""
        return cosine(self.gnn(super().forward(tokens)), centres_of(self.sc))


def centres_of(weights: Tensor) -> Tensor:
    """Return the centres (U, L) of trained weights: not negative, of length 1."""
    return F.normalize(F.relu(weights), dim=-1)


def cosine(nodes: Tensor, centres: Tensor) -> Tensor:
    """Return the cosines (N, U) of nodes (N, U, L), none of them negative, with their centres: in [0, 1]."""
    return (F.normalize(nodes, dim=-1) * centres).sum(dim=-1)


def _init_linear(linear: nn.Linear) -> None:
    nn.init.normal_(linear.weight, std=(2.0 / linear.out_features) ** 0.5)
