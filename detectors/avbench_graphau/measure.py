"""F1 of action units: every frame counted once, by person; what an epoch is chosen by; intervals over people.

Letters: P people (clusters), U action units; counts are true and false positives, false and true negatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from avbench.data.loading import Loading
from avbench.data.placement import oracle, sliding
from avbench.data.requests import ClipRequest
from avbench.detector import Detector
from avbench.engine.evaluation import batches_of, load
from avbench.engine.failures import FailureBudget
from avbench.engine.validation import Selection, Validated, share_buffers
from avbench.hashing import stable_hash
from avbench.types import ClipSpec, Sample
from avbench_graphau.loss import asymmetric_loss

Counts = NDArray[np.float64]
KINDS = ("true_positive", "false_positive", "false_negative", "true_negative")
THRESHOLD = 0.5
RESAMPLES = 1000


def place(samples: Sequence[Sample], clip: ClipSpec, seed: int, epoch: int) -> list[ClipRequest]:
    """Return the clips of an epoch: every frame where a clip is one frame, else one clip a video, drawn anew.

    Either way a clip is augmented anew in each epoch.
    """
    if clip.frames == 1:
        return sliding(samples, clip, seed=stable_hash(seed, epoch))
    return oracle(samples, clip, seed, epoch)


@torch.inference_mode()
def count(
    detector: Detector, samples: Sequence[Sample], fabric: Fabric, loading: Loading, budget: FailureBudget
) -> tuple[Counts, float]:
    """Judge all frames of the samples, shared among the ranks; return counts (P,U,4) and the mean loss.

    People are in the order of `people`. Of clips that overlap, the later one counts from where the earlier ended.
    """
    share_buffers(detector, fabric)
    config, names = detector.config, people(samples)
    requests = sliding(samples, config.clip)
    new_from = _new_from(requests, config.clip)
    units = int(config.settings["units"] or 0)
    weights_U: torch.Tensor = detector.get_buffer("unit_weights")
    totals = torch.zeros(len(names) * units * len(KINDS) + 2, dtype=torch.float64, device=fabric.device)
    counts_PUK, losses = totals[:-2].view(len(names), units, len(KINDS)), totals[-2:]
    mine = batches_of(requests, config.eval_batch)[fabric.global_rank :: fabric.world_size]
    detector.eval()
    for loaded in load(detector, mine, loading):
        budget.note(loaded)
        if loaded.batch is None:
            continue
        batch = loaded.batch.to(fabric.device)
        p_BTU, labels_BTU = detector(batch).aux["p"], detector.labels(batch).clone()
        for row, request in enumerate(loaded.requests):
            times = loaded.starts[row] + (np.arange(labels_BTU.shape[1]) + 0.5) / config.clip.fps
            seen = times < new_from[request.sample.id, request.start]
            labels_BTU[row, torch.from_numpy(seen).to(fabric.device)] = torch.nan
            counts_PUK[names.index(request.sample.cluster)] += _counted(p_BTU[row], labels_BTU[row])
        known = float((~labels_BTU.isnan()).sum())
        loss = asymmetric_loss(p_BTU.flatten(0, 1), labels_BTU.flatten(0, 1), weights_U)
        losses += torch.tensor([float(loss) * known, known], dtype=torch.float64, device=fabric.device)
    totals = fabric.all_reduce(totals, reduce_op="sum") if fabric.world_size > 1 else totals
    summed = totals.cpu().numpy()
    return summed[:-2].reshape(len(names), units, len(KINDS)), float(summed[-2] / max(summed[-1], 1.0))


def people(samples: Sequence[Sample]) -> list[str]:
    """Return the clusters of samples, sorted."""
    return sorted({sample.cluster for sample in samples})


def f1(counts: Counts) -> NDArray[np.float64]:
    """Return F1 (...,U) from counts (...,U,4); 0 for a unit that is neither shown nor found."""
    hit, false, missed = counts[..., 0], counts[..., 1], counts[..., 2]
    return np.asarray(2 * hit / np.maximum(2 * hit + false + missed, 1.0))


def baselines(counts: Counts, trained_rates: Sequence[float]) -> dict[str, NDArray[np.float64]]:
    """Return F1 (U,) of two answers that look at nothing, from counts (U,4).

    "majority" says what holds of most training frames; "all positive" says that every unit is shown.
    """
    shown, absent = counts[:, 0] + counts[:, 2], counts[:, 1] + counts[:, 3]
    everything = f1(np.stack([shown, absent, 0 * shown, 0 * shown], axis=1))
    return {"majority": np.where(np.asarray(trained_rates) > 0.5, everything, 0.0), "all positive": everything}


def intervals(counts: Counts, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """Return 95 % intervals (U,2) of F1 a unit and (2,) of their mean, over people drawn with replacement."""
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=RESAMPLES)
    resampled = f1(np.einsum("rp,puk->ruk", drawn.astype(np.float64), counts))
    low_high = [0.025, 0.975]
    return {"units": np.quantile(resampled, low_high, axis=0).T, "mean": np.quantile(resampled.mean(1), low_high)}


def table(counts: Counts, names: Sequence[str], trained_rates: Sequence[float], seed: int = 0) -> pd.DataFrame:
    """Return one row a unit, and one of their mean: frames, rate, F1 with its interval, baselines."""
    summed = counts.sum(axis=0)
    values, spread, blind = f1(summed), intervals(counts, seed), baselines(summed, trained_rates)
    rows = pd.DataFrame(
        {
            "unit": names,
            "frames": summed.sum(axis=1).astype(int),
            "rate": (summed[:, 0] + summed[:, 2]) / np.maximum(summed.sum(axis=1), 1.0),
            "f1": values,
            "low": spread["units"][:, 0],
            "high": spread["units"][:, 1],
            **{name: value for name, value in blind.items()},
        }
    )
    mean: dict[str, Any] = {"unit": "mean", "frames": int(rows["frames"].max()), "rate": rows["rate"].mean()}
    mean |= {"f1": values.mean(), "low": spread["mean"][0], "high": spread["mean"][1]}
    mean |= {name: value.mean() for name, value in blind.items()}
    return pd.concat([rows, pd.DataFrame([mean])], ignore_index=True)


def validate(
    detector: Detector, samples: Sequence[Sample], seed: int, fabric: Fabric, loading: Loading, budget: FailureBudget
) -> Validated:
    """Return the mean F1, that of each unit, and the loss on all frames of the validation people."""
    counts, loss = count(detector, samples, fabric, loading, budget)
    names = str(detector.config.settings["unit_names"]).split()
    summed = counts.sum(axis=0)
    values = {"f1": float(f1(summed).mean()), "loss": loss}
    values |= {f"f1_{name}": float(value) for name, value in zip(names, f1(summed), strict=True)}
    return Validated(values, pd.DataFrame(summed.astype(int), columns=KINDS).assign(unit=names))


def _better(values: Mapping[str, float], best: Mapping[str, float]) -> bool:
    return (values["f1"], -values["loss"]) > (best["f1"], -best["loss"])


BY_F1 = Selection(validate, _better, "validation F1, mean over units", each_stage=True)


def _counted(p_TU: torch.Tensor, labels_TU: torch.Tensor) -> torch.Tensor:
    """Count (U,4) over frames whose label is known."""
    found, shown, absent = p_TU > THRESHOLD, labels_TU == 1, labels_TU == 0
    pairs = ((found, shown), (found, absent), (~found, shown), (~found, absent))
    return torch.stack([(answer & truth).sum(dim=0) for answer, truth in pairs], dim=1).double()


def _new_from(requests: Sequence[ClipRequest], clip: ClipSpec) -> dict[tuple[str, float | None], float]:
    """Return the second from which each clip, by sample and start, shows what no earlier one did."""
    found: dict[tuple[str, float | None], float] = {}
    ends: dict[str, float] = {}
    for request in requests:
        name, start = request.sample.id, request.start or 0.0
        found[name, request.start] = ends.get(name, 0.0)
        ends[name] = start + clip.seconds
    return found
