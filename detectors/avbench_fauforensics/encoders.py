"""The encoders of FauForensics that are not taken as they are: action units of a frame, sound at the pictures' pace.

Written from the paper (arXiv 2505.08294, III-B) and from facts about the published code. Tensors carry their shape as
a suffix: B clips, N steps or pictures, T frames, C channels, H W pixels, M mel bands, L features.
"""

from __future__ import annotations

from torch import Tensor, nn

from avbench.references import load_object
from avbench_backbones.blendshapes import Blendshapes
from avbench_backbones.graphau import AFG, GraphAUEncoder
from avbench_backbones.whisper import WhisperEncoder, WhisperSize


class FAUEncoder(GraphAUEncoder):
    """Describe the action units of a face: the mean of ME-GraphAU's global tokens or of its node features."""

    def __init__(self, depth: int, width: int, units: int) -> None:
        super().__init__(depth, width=width)
        self.head = AFG(self.out_features, units) if units else None

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, L)."""
        tokens = super().forward(images)
        return (tokens if self.head is None else self.head(tokens)).mean(dim=1)


def fau_encoder(name: str, depth: int, width: int, units: int) -> nn.Module:
    """Construct what describes action units: it maps pictures (N,3,H,W) to (N, its `out_features`).

    name: "graphau", of these sizes, "blendshapes", or "package.module:Class" of one's own; a UserError where that
    cannot be imported.
    """
    if name == "graphau":
        return FAUEncoder(depth, width, units)
    if name == "blendshapes":
        return Blendshapes()
    encoder: nn.Module = load_object(name, "fau_encoder")()
    return encoder


class AudioEncoder(nn.Module):
    """Encode 100 log-mel frames a second with Whisper's encoder and average neighbours: 25 steps a second."""

    def __init__(self, size: WhisperSize, frames: int) -> None:
        super().__init__()
        self.encoder = WhisperEncoder(size, n_ctx=2 * frames)

    def forward(self, mel_BMN: Tensor) -> Tensor:
        """Map (B, M, 4T) to (B, T, L)."""
        steps_BNL: Tensor = self.encoder(mel_BMN)
        return (steps_BNL[:, 0::2] + steps_BNL[:, 1::2]) / 2
