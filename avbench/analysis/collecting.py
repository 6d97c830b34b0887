"""Test clips through a detector's `features`: one array of each name over all clips, with the clips' labels.

Letters: B clips, T frames, N values a frame, L features a clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avbench.analysis.subject import Subject
from avbench.data.loading import Loading
from avbench.data.placement import oracle
from avbench.data.requests import ClipRequest
from avbench.detector import Detector
from avbench.engine.calling import calling
from avbench.engine.devices import make_fabric
from avbench.engine.evaluation import batches_of, load
from avbench.engine.failures import FailureBudget
from avbench.engine.numerics import computing_as
from avbench.errors import UserError, unknown
from avbench.plugins.registry import installed
from avbench.progress import Progress, silent
from avbench.types import ClipBatch, Sample

Values = NDArray[np.float32]
JOINT, UNITS = "joint", "units"  # names that `Detector.features` gives


@dataclass(frozen=True, slots=True)
class Clips:
    """Clips with features: ids, clusters, class of the clip, starts in seconds; arrays (B,...) by name.

    frames (B,) is how many of T are no padding; pictures (B,T,C,H,W) uint8 are kept on demand.
    """

    ids: tuple[str, ...]
    clusters: tuple[str, ...]
    forgery: NDArray[np.int64]
    starts: tuple[float, ...]
    frames: NDArray[np.int64]
    features: dict[str, Values]
    pictures: NDArray[np.uint8] | None = None
    sound: Values | None = None


def collect(
    subject: Subject,
    loading: Loading,
    *,
    names: Sequence[str] = (),
    annotations: tuple[str, ...] = (),
    samples: Sequence[Sample] | None = None,
    keep_media: bool = False,
    device: str = "auto",
    progress: Progress = silent,
) -> Clips:
    """Return the features `names` (default: all) and `annotations` of one clip a video, placed where its label is true.

    Nothing is asked of the network where only annotations are wanted. Raises UserError where the detector has no
    features, or none of that name, and where no clip could be loaded.
    """
    detector = subject.detector(annotations)
    fabric = make_fabric(device, "32-true")
    fabric.to_device(detector)
    everything = subject.resolved.lists.split.test
    chosen = list(everything if samples is None else samples)
    if annotations:
        chosen = subject.with_truth(chosen)
        _require_annotations(chosen, annotations)
    asked = {sample.id: sample for sample in chosen}
    others = [sample for sample in everything if sample.id not in asked]  # where a clip lies depends on the whole list
    placed = oracle([*chosen, *others], detector.config.clip, subject.card.seed)
    requests = [request for request in placed if request.sample.id in asked]
    faults = FailureBudget(len(chosen), loading)
    found: list[tuple[ClipRequest, float, int]] = []
    parts: list[dict[str, Values]] = []
    media: list[tuple[Any, Any]] = []
    with computing_as(detector.config, fabric.device), progress("analyse", len(requests), 0) as bar:
        for loaded in load(detector, batches_of(requests, detector.config.eval_batch), loading, faults.files):
            faults.note(loaded)
            bar.advance(len(loaded.requests) + len(loaded.failures))
            if loaded.batch is None:
                continue
            given = {name: loaded.batch.annotations[name].numpy() for name in annotations}
            if names or not annotations:
                given |= _features(detector, loaded.batch.to(fabric.device), names)
            parts.append(given)
            found += zip(loaded.requests, loaded.starts, loaded.batch.frames.tolist(), strict=True)
            if keep_media:
                media.append((loaded.batch.video.numpy(), loaded.batch.audio.numpy()))
    if not found:
        raise UserError(f"{subject.card.id}: none of {len(chosen)} videos gave a clip")
    return Clips(
        ids=tuple(request.sample.id for request, *_ in found),
        clusters=tuple(request.sample.cluster for request, *_ in found),
        forgery=np.array([int(request.forgery) for request, *_ in found]),
        starts=tuple(start for _, start, _ in found),
        frames=np.array([frames for *_, frames in found]),
        features={name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
        pictures=np.concatenate([pictures for pictures, _ in media]) if media else None,
        sound=np.concatenate([sound for _, sound in media]) if media else None,
    )


def _require_annotations(samples: Sequence[Sample], names: Sequence[str]) -> None:
    """Raise UserError for a target that the samples' dataset does not declare."""
    for dataset in dict.fromkeys(sample.dataset for sample in samples):
        declared = {target.name for target in installed().dataset(dataset).annotations}
        for name in names:
            if name not in declared:
                raise unknown(f"frame-level truth of dataset {dataset}", name, declared)


@torch.inference_mode()
def _features(detector: Detector, batch: ClipBatch, names: Sequence[str]) -> dict[str, Values]:
    try:
        with calling(detector, "features", batch, ("eval_batch", detector.config.eval_batch)):
            given = detector.features(batch)
    except UserError as error:
        if not isinstance(error.__cause__, NotImplementedError):
            raise
        raise UserError(
            f"detector {detector.config.detector} gives no features to analyse: it has no features(batch), see "
            "docs/analysis.md"
        ) from error
    if missing := [name for name in names if name not in given]:
        raise UserError(
            f"detector {detector.config.detector} gives no {missing[0]!r} features with these settings; it gives "
            f"{', '.join(given) or 'none'}"
        )
    return {name: value.float().cpu().numpy() for name, value in given.items() if not names or name in names}
