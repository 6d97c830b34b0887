"""Where a loss that is no number comes from: weights, clips, what the detector says of them, or the loss itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from avbench.detector import Detector
from avbench.engine.calling import described, where_of
from avbench.errors import UserError
from avbench.own_line import PluginError

if TYPE_CHECKING:
    from avbench.types import ClipBatch, Output, Stage


def loss_not_finite(
    detector: Detector, batch: ClipBatch, output: Output, loss: Tensor, *, stage: Stage, epoch: int, stepped: bool
) -> UserError:
    """Return the error about a loss that is nan or infinite.

    A smaller rate helps where steps at this one came before (`stepped`); where none did, the detector has to be mended.
    """
    value, source = float(loss.detach()), _source(detector, batch, output)
    if stepped and stage.lr:
        return UserError(
            f"the loss is {value} in epoch {epoch} ({source}); lower the rate with --set lr={stage.lr / 10:g}"
        )
    name = detector.config.detector
    return PluginError(
        f"{name}: the loss is {value} before any step, so that the rate is not to blame: {source}; {described(batch)}; "
        "look there for a division by zero, or for a logarithm or root of what may be zero or below"
    )


def all_not_finite(detector: Detector, batch: ClipBatch) -> PluginError:
    """Return the error about a detector that says nan of every clip it judges."""
    name, where = detector.config.detector, where_of(detector, "forward")
    return PluginError(
        f"{name}: forward{where} gives scores that are not finite for all {len(batch)} clips of a batch in evaluation; "
        f"{described(batch)}; mend the detector, or train again with --fresh-training where its weights are at fault"
    )


def _source(detector: Detector, batch: ClipBatch, output: Output) -> str:
    """Say what is the first on the way to the loss that is not finite."""
    for name, value in [*detector.named_parameters(), *detector.named_buffers()]:
        if not _finite(value):
            return f"the weight {name} is not finite"
    if not _finite(batch.audio):
        return f"the sound of {int((~batch.audio.isfinite()).any(dim=1).sum())} clips is not finite"
    said = output.logits if output.logits is not None else output.score
    if said is not None and not _finite(said):
        clips = int((~said.detach().isfinite()).reshape(len(said), -1).any(dim=1).sum())
        what = "logits" if output.logits is not None else "scores"
        return (
            f"forward{where_of(detector, 'forward')} gives {what} that are not finite for {clips} of {len(said)} clips"
        )
    return f"loss{where_of(detector, 'loss')} makes it of what is finite"


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value.detach()).all())
