"""A detector judges a batch whose clips share streams: what a perturbation left alone is encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from avbench.detector import Detector
from avbench.engine.calling import calling, require_scores
from avbench.types import Output, Stream

if TYPE_CHECKING:
    from avbench.data.loading import LoadedBatch
    from avbench.types import ClipBatch


def outputs(detector: Detector, loaded: LoadedBatch, device: torch.device) -> Output:
    """Return what the detector says of a loaded batch, at most `eval_batch` clips on the device at a time.

    A detector with `encode` and `classify` encodes each stream once among the clips that share it. Raises PluginError
    for what the detector raises and for what is no score of each clip.
    """
    batch, size = loaded.batch, detector.config.eval_batch
    assert batch is not None
    shared = {"video": loaded.same_video, "audio": loaded.same_audio}
    if len(batch) <= size and all(len(set(same)) == len(batch) for same in shared.values()):
        return _forward(detector, batch, device)
    if not detector.in_two_steps:
        return _joined(
            [_forward(detector, batch.part(i, min(i + size, len(batch))), device) for i in range(0, len(batch), size)]
        )
    features = _encoded(detector, batch, "video", loaded.same_video, device)
    features |= _encoded(detector, batch, "audio", loaded.same_audio, device)
    with calling(detector, "classify", batch, _held(detector)):
        output = detector.classify(features)
    require_scores(detector, output, batch, "classify")
    return output


def _forward(detector: Detector, batch: ClipBatch, device: torch.device) -> Output:
    with calling(detector, "forward", batch, _held(detector)):
        output: Output = detector(batch.to(device))
    require_scores(detector, output, batch)
    return output


def _held(detector: Detector) -> tuple[str, int]:
    """Return the setting that says how many clips are on the device at a time, and its value."""
    return "eval_batch", detector.config.eval_batch


def _encoded(
    detector: Detector, batch: ClipBatch, stream: Stream, same: Sequence[int], device: torch.device
) -> dict[str, Tensor]:
    """Return one stream's features for every clip; `same` names, for each, the first clip that has the same stream."""
    first, size = sorted(set(same)), detector.config.eval_batch
    parts = []
    for i in range(0, len(first), size):
        taken = batch.take(first[i : i + size])
        with calling(detector, "encode", taken, _held(detector)):
            parts.append(detector.encode(taken.to(device), stream))
    place = torch.tensor([first.index(row) for row in same], device=device)
    return {name: torch.cat([part[name] for part in parts])[place] for name in parts[0]}


def _joined(parts: Sequence[Output]) -> Output:
    """Return outputs as one, without what only a loss needs."""

    def join(name: str) -> Tensor | None:
        values = [getattr(part, name) for part in parts]
        return None if any(value is None for value in values) else torch.cat(values)

    return Output(join("logits"), join("score"), join("p_video"), join("p_audio"))
