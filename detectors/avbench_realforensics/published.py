"""Which parts of the network a published file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from avbench_backbones.checkpoints import State, csn_state, weights_of

STUDENT = "model.model1.backbone."
TEACHER = {"model.model1.target_backbone.": "0.", "model.model1.target_projector.": "1."}
TEACHER_JOINED = "model.model1.target_encoder."


def parts(checkpoint: Mapping[str, Any]) -> dict[str, State]:
    """Return weights by part: "backbone", and where they are there "target_encoder" and "df_head".

    Reads stage 1 of RealForensics (its video student and teacher), stage 2, and CSNs trained on Kinetics.
    """
    state = weights_of(checkpoint)
    if any(name.startswith(STUDENT) for name in state):
        found = {"backbone": _under(state, STUDENT)}
        teacher = _under(state, TEACHER_JOINED)
        for there, here in TEACHER.items():  # the code of stage 2 expects other names than stage 1 writes
            teacher |= {here + name: value for name, value in _under(state, there).items()}
        return found | ({"target_encoder": teacher} if teacher else {})
    if "df_head.weight" in state:
        return {"backbone": _under(state, "backbone."), "df_head": _under(state, "df_head.")}
    return {"backbone": csn_state(state)}


def _under(state: Mapping[str, Tensor], prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
