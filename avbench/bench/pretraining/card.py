"""The card of a pre-training, in the shape that readers and observers of runs know."""

from __future__ import annotations

from typing import Any

import pandas as pd

from avbench.bench.card import environment
from avbench.bench.pretraining.plan import ResolvedPretraining
from avbench.data import splits
from avbench.metrics.frame_labels import Counts
from avbench.records import card as cards


def begin(resolved: ResolvedPretraining, device: str) -> dict[str, Any]:
    """Return the card of a pre-training that starts."""
    request, spec, base, parts = resolved.request, resolved.spec, resolved.base, resolved.parts
    described = {
        name: {
            "dataset": base.spec.name,
            "title": base.title,
            "n": len(getattr(parts, name)),
            "digest": splits.list_digest(getattr(parts, name)),
            "identities": len({splits.identity_of(s) for s in getattr(parts, name)}),
            "identity_is": base.spec.identity_is,
        }
        for name in splits.PARTS
    }
    config = resolved.plan.config
    return {
        "format": cards.FORMAT,
        "id": resolved.plan.id,
        "status": "running",
        "task": spec.learns,
        "seed": request.seed,
        "detector": {"name": spec.name, "title": spec.title, "version": spec.version, "preset": config.preset},
        "protocol": {"name": f"pretrain_{base.spec.name}", "version": 1},
        "data": {**described, "fold": parts.fold, "notes": list(parts.notes)},
        "training": {
            "config": config.as_dict(),
            "weights": {name: chosen.sha256 for name, chosen in config.weights.items()},
        },
        "marks": ["demo data"] * base.demo + [f"limited to {request.limit}"] * (request.limit is not None),
        "device": device,
        "environment": environment(),
    }


def measured(scores: pd.DataFrame, counts: Counts, loss: float) -> dict[str, Any]:
    """Return what the finished card says of the test people, from the table of F1 and counts (N,4)."""
    metrics: dict[str, Any] = {"loss": {"value": loss}}
    for row in scores.to_dict("records"):
        name = "f1" if row["unit"] == "mean" else f"f1_{row['unit']}"
        metrics[name] = {"value": row["f1"], "ci95": [row["low"], row["high"]], "n": row["frames"]}
        for other in ("majority", "all positive"):
            metrics[f"{other.replace(' ', '_')}_{name}"] = {"value": row[other], "n": row["frames"]}
    confusion = {
        str(name): {"frame": {"labels": ["absent", "shown"], "matrix": [[int(tn), int(fp)], [int(fn), int(tp)]]}}
        for name, (tp, fp, fn, tn) in zip(scores["unit"], counts, strict=False)
    }
    return {"metrics": {"every_frame": {"frame": metrics}}, "confusion": confusion}
