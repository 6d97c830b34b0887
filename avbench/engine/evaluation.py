"""A detector meets clips: scores are appended as checksummed part files; a repeated call goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from lightning_fabric import Fabric

from avbench.data.file_times import FileTimes
from avbench.data.loading import LoadedBatch, Loading, load_batches
from avbench.data.requests import ClipRequest
from avbench.detector import Detector, log_odds, probabilities
from avbench.engine.effects import Effects
from avbench.engine.failures import FailureBudget
from avbench.engine.not_finite import all_not_finite
from avbench.engine.parts import PARTS, Cause, Parts
from avbench.engine.sharing import outputs
from avbench.plugins.registry import register_named
from avbench.progress import Progress, silent
from avbench.records import scores
from avbench.types import Reason

BATCHES_PER_PART = 16
MAX_OF_A_PLACE = 32  # conditions of one clip that are in memory at a time: 120 MB of 224 px
Rows = list[dict[str, Any]]
Item = TypeVar("Item")


def batches_of(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut a list into batches by position."""
    return [items[i : i + size] for i in range(0, len(items), size)]


def in_batches(requests: Sequence[ClipRequest], size: int) -> list[Sequence[ClipRequest]]:
    """Cut requests into batches: by position, or one place a batch where several ask for the same clip."""
    places = [list(group) for _, group in groupby(requests, key=lambda request: request.place)]
    if len(places) == len(requests):
        return batches_of(requests, size)
    return [batch for group in places for batch in batches_of(group, MAX_OF_A_PLACE)]


def load(
    detector: Detector, batches: Iterable[Sequence[ClipRequest]], loading: Loading, files: FileTimes | None = None
) -> Iterator[LoadedBatch]:
    """Load batches of clips as the detector wants them; `files` notes which are not opened again."""
    config = detector.config
    return load_batches(
        batches,
        config.clip,
        config.requires,
        workers=loading.workers,
        time_limit=loading.time_limit,
        memory=loading.file_memory,
        files=files,
        setup=_Setup(loading.plugins),
        decoder=loading.decoder,
    )


@dataclass(frozen=True)
class _Setup:
    """Registers in a spawned worker the plugins that were named on the command line."""

    plugins: tuple[str, ...]

    def __call__(self) -> None:
        register_named(self.plugins)


@torch.inference_mode()
def score(detector: Detector, loaded: LoadedBatch, device: torch.device) -> Rows:
    """Return one row of the scores table for every clip of a loaded batch, the failed ones without a score.

    A clip of which the detector says nan has none either (`not_finite`). Raises PluginError where it does so of all
    clips of a batch, and for whatever else is wrong with the detector.
    """
    rows = [_row(failure.request, None, str(failure.reason)) for failure in loaded.failures]
    if loaded.batch is None:
        return rows
    detector.eval()
    output = outputs(detector, loaded, device)
    p_fake, p_classes = probabilities(output)
    logit = log_odds(output)
    finite = torch.isfinite(p_fake).tolist()
    if len(finite) > 1 and not any(finite):
        raise all_not_finite(detector, loaded.batch)
    for i, request in enumerate(loaded.requests):
        if not finite[i]:
            rows.append(_row(request, (loaded.starts[i], loaded.ends[i]), str(Reason.NOT_FINITE)))
            continue
        row = _row(request, (loaded.starts[i], loaded.ends[i]), "")
        row |= {"frozen": loaded.frozen[i], "level_db": loaded.levels[i], "mix_db": loaded.mixes[i]}
        row["score"] = float(p_fake[i])
        row["logit"] = float(logit[i]) if logit is not None else None
        if (change := loaded.changes[i]) is not None:
            row |= {"psnr": change.psnr, "snr": change.snr, "kbps": change.kbps}
        if p_classes is not None:
            row |= dict(zip(("p_rarv", "p_rafv", "p_farv", "p_fafv"), map(float, p_classes[i]), strict=True))
        for name, branch in (("p_video", output.p_video), ("p_audio", output.p_audio)):
            row[name] = float(branch[i]) if branch is not None else None
        rows.append(row)
    return rows


def _row(request: ClipRequest, span: tuple[float, float] | None, reason: str) -> dict[str, Any]:
    sample = request.sample
    start, end = span or (None, None)
    return {
        "id": sample.id,
        "identity": sample.identity,
        "cluster": sample.cluster,
        "method": sample.method,
        "forgery": int(sample.forgery),
        "clip_forgery": int(request.forgery),
        "placement": request.placement,
        "perturbation": request.condition.name if request.condition else "",
        "level": request.condition.level if request.condition else 0,
        "start": start,
        "end": end,
        "score": None,
        "logit": None,
        "p_rarv": None,
        "p_rafv": None,
        "p_farv": None,
        "p_fafv": None,
        "p_video": None,
        "p_audio": None,
        "reason": reason,
    }


def evaluate(
    detector: Detector,
    requests: Sequence[ClipRequest],
    folder: Path,
    fabric: Fabric,
    loading: Loading,
    *,
    cause: Cause | None = None,
    files: FileTimes | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Score every requested clip and return the table; parts already in `folder`/parts are kept.

    `cause` says what the scores are made of: parts made of anything else are left alone; `files` how long files may
    take. Batches are fixed by position,
    so the table does not depend on kills, workers or ranks. Requests for one clip under several conditions are
    neighbours; they make a batch of their own, so that the video is decoded once.
    """
    size = detector.config.eval_batch
    batches = in_batches(requests, size)
    groups = batches_of(batches, max(1, BATCHES_PER_PART * size // max(map(len, batches), default=size)))
    parts = Parts(folder / PARTS, groups, cause or Cause())
    budget = FailureBudget(len({r.sample.id for r in requests}), loading)
    todo: list[int] = []
    mine = range(fabric.global_rank, len(groups), fabric.world_size)
    for k in mine:
        if (rows := parts.find(k)) is None:
            todo.append(k)
        else:
            budget.count(rows)
    effects = Effects()
    done = sum(len(b) for k in set(mine).difference(todo) for b in groups[k])
    loaded = load(detector, (b for k in todo for b in groups[k]), loading, files)
    with progress("evaluate", done + sum(len(b) for k in todo for b in groups[k]), done) as bar:
        for k in todo:
            made: Rows = []
            for _ in groups[k]:
                item = next(loaded)
                budget.note(item)
                effects.note(item)
                made += score(detector, item, fabric.device)
                bar.advance(len(item.requests) + len(item.failures))
            parts.write(k, made)
    fabric.barrier()
    found = (parts.read(k) for k in range(len(groups)))
    tables = [rows for rows in found if rows is not None]
    return scores.ordered(pd.concat(tables, ignore_index=True) if tables else scores.empty())
