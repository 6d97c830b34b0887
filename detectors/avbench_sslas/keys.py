"""Names of published XLS-R and SSLAS checkpoints -> names of transformers' Wav2Vec2Model and of the back-end.

Facts: fairseq's wav2vec 2.0 as bundled with TakHemlata/SSL_Anti-spoofing (MIT), and transformers (Apache-2.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from avbench_backbones.checkpoints import CheckpointError

State = dict[str, Tensor]

ENCODER = "ssl_model.model."  # where the SSLAS checkpoint has its encoder
PRETRAINING_ONLY = ("quantizer.", "project_q.", "final_proj.", "project_inp.", "project_hid.", "mask_emb")
HUGGINGFACE_ONLY = ("quantizer.", "project_q.", "project_hid.", "masked_spec_embed")

_POSITIONS = "encoder.pos_conv_embed.conv.parametrizations.weight.original"
_FAIRSEQ = (  # patterns in full; the first that fits counts
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.(weight|bias)", r"feature_extractor.conv_layers.\1.conv.\2"),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.1\.(weight|bias)", r"feature_extractor.conv_layers.\1.layer_norm.\2"),
    (r"layer_norm\.(weight|bias)", r"feature_projection.layer_norm.\1"),
    (r"post_extract_proj\.(weight|bias)", r"feature_projection.projection.\1"),
    (r"encoder\.pos_conv\.0\.weight_g", f"{_POSITIONS}0"),
    (r"encoder\.pos_conv\.0\.weight_v", f"{_POSITIONS}1"),
    (r"encoder\.pos_conv\.0\.bias", "encoder.pos_conv_embed.conv.bias"),
    (r"encoder\.layers\.(\d+)\.self_attn\.([qkv]|out)_proj\.(\w+)", r"encoder.layers.\1.attention.\2_proj.\3"),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.(\w+)", r"encoder.layers.\1.layer_norm.\2"),
    (r"encoder\.layers\.(\d+)\.fc1\.(\w+)", r"encoder.layers.\1.feed_forward.intermediate_dense.\2"),
    (r"encoder\.layers\.(\d+)\.fc2\.(\w+)", r"encoder.layers.\1.feed_forward.output_dense.\2"),
    (r"(encoder\.layers\.\d+\.final_layer_norm\.\w+)", r"\1"),
    (r"(encoder\.layer_norm\.\w+)", r"\1"),
)
_OLDER_POSITIONS = {
    "encoder.pos_conv_embed.conv.weight_g": f"{_POSITIONS}0",
    "encoder.pos_conv_embed.conv.weight_v": f"{_POSITIONS}1",
}


def encoder_state(state: Mapping[str, Tensor]) -> State:
    """Return an encoder's weights under transformers' names, from fairseq's or transformers' own, without heads."""
    if any(name.endswith("post_extract_proj.weight") for name in state):
        return from_fairseq(state)
    inside = {name.removeprefix("wav2vec2."): entry for name, entry in state.items()}
    return {_OLDER_POSITIONS.get(n, n): e for n, e in inside.items() if not n.startswith(HUGGINGFACE_ONLY)}


def from_fairseq(state: Mapping[str, Tensor]) -> State:
    """Rename fairseq's wav2vec 2.0; what only pre-training needs is left out, any other unknown name is an error."""
    renamed: State = {}
    for name, entry in state.items():
        if name.startswith(PRETRAINING_ONLY):
            continue
        fitting = (re.fullmatch(pattern, name) and re.sub(pattern, here, name) for pattern, here in _FAIRSEQ)
        here = next((found for found in fitting if found), None)
        if here is None:
            raise CheckpointError(f"{name} is no entry of fairseq's wav2vec 2.0")
        renamed[here] = entry
    return renamed


def from_published(state: Mapping[str, Tensor]) -> State:
    """Rename a whole SSLAS checkpoint to the entries of `network.SSLAS`."""
    encoder = from_fairseq({n.removeprefix(ENCODER): e for n, e in state.items() if n.startswith(ENCODER)})
    back_end = {f"back_end.{n}": e for n, e in state.items() if not n.startswith(ENCODER)}
    return {f"encoder.{n}": e for n, e in encoder.items()} | back_end
