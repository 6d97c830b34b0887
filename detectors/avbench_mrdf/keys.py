"""Names in published files -> this package's: Lightning files of MRDF."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from avbench_backbones.checkpoints import CheckpointError
from avbench_mrdf.model import Architecture

State = dict[str, Tensor]

# A Lightning file holds the encoder up to three times, under the names of what it was once assigned to.
ALIASES = {
    "feature_extractor_audio_hubert.": "model.feature_extractor_audio.",
    "feature_extractor_video_hubert.": "model.feature_extractor_video.",
    "project_hubert.0.": "model.layer_norm.",
    "project_hubert.1.": "model.post_extract_proj.",
    "fusion_encoder_hubert.": "model.encoder.",
}
# Only pre-training asks for these.
UNUSED = ("mask_emb", "final_proj", "label_embs_concat")


def from_lightning(state: Mapping[str, Tensor]) -> State:
    """Return the weights of a Lightning file by one name each; raise CheckpointError where two names disagree."""
    found: State = {}
    for name, value in state.items():
        prefix = next((alias for alias in ALIASES if name.startswith(alias)), "")
        own = ALIASES[prefix] + name.removeprefix(prefix) if prefix else name
        if own.removeprefix("model.").startswith(UNUSED):
            continue
        if own in found and not torch.equal(found[own], value):
            raise CheckpointError(f"{name} differs from {own}, of which it is a copy in every file of MRDF")
        found[own] = value
    return found


def absent(architecture: Architecture) -> tuple[str, ...]:
    """Return how names begin in a published file that a network of this architecture does not compute."""
    prefixes = [] if architecture.projected else ["project_audio.", "project_video."]
    if not architecture.classes:
        prefixes += ["model.layer_norm.", "model.post_extract_proj.", "model.encoder."]
    return tuple(prefixes)
