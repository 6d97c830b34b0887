"""The card of a pre-training, in the shape that readers and observers of runs know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from avbench.bench.pretraining.plan import ResolvedPretraining
from avbench.data import splits
from avbench.data.databases import Database
from avbench.metrics.frame_labels import Counts
from avbench.records.card import Card, now
from avbench.records.card_file import plain
from avbench.records.card_parts import DataList, DataPart, DetectorPart, Environment, ProtocolRecord, TrainingRecord
from avbench.records.caveats import Caveat, demo_data_made, limited_to, random_start
from avbench.records.measured import Confusion, Measured
from avbench.types import Sample


def begin(resolved: ResolvedPretraining, device: str, environment: Environment) -> Card:
    """Return the card of a pre-training that starts."""
    request, spec, base, parts = resolved.request, resolved.spec, resolved.base, resolved.parts
    config = resolved.plan.config
    caveats: list[str] = [Caveat.DEMO_DATA] if base.demo else []
    caveats += [demo_data_made(base.choice)] if base.choice else []
    caveats += [limited_to(request.limit)] if request.limit is not None else []
    caveats += [random_start(config.random_start)] if config.random_start else []
    return Card(
        id=resolved.plan.id,
        started=now(),
        task=spec.learns,
        seed=request.seed,
        detector=DetectorPart(name=spec.name, title=spec.title, version=spec.version, preset=config.preset),
        protocol=ProtocolRecord(name=f"pretrain_{base.spec.name}"),
        data=DataPart(
            train=_described(base, parts.train),
            validation=_described(base, parts.validation),
            test=_described(base, parts.test),
            fold=parts.fold,
            notes=tuple(parts.notes),
        ),
        training=TrainingRecord(
            config=plain(config.as_dict()), weights={name: chosen.sha256 for name, chosen in config.weights.items()}
        ),
        variant=tuple(caveats),
        caveats=tuple(caveats),
        device=device,
        environment=environment,
    )


def _described(base: Database, samples: Sequence[Sample]) -> DataList:
    return DataList(
        dataset=base.spec.name,
        title=base.title,
        demo=base.demo,
        data_version=base.data_version,
        n=len(samples),
        digest=splits.list_digest(samples),
        identities=len({splits.identity_of(s) for s in samples}),
        identity_is=base.spec.identity_is,
    )


def with_frame_labels(card: Card, scores: pd.DataFrame, counts: Counts, loss: float) -> Card:
    """Return the card with what was measured of the test people: the table of F1, counts (N,4) and the loss."""
    metrics = {"loss": Measured(_finite(loss))}
    for row in scores.to_dict("records"):
        name, frames = "f1" if row["unit"] == "mean" else f"f1_{row['unit']}", int(row["frames"])
        low, high = _finite(row["low"]), _finite(row["high"])
        ci95 = (low, high) if low is not None and high is not None else None
        metrics[name] = Measured(_finite(row["f1"]), ci95, frames)
        for other in ("majority", "all positive"):
            metrics[f"{other.replace(' ', '_')}_{name}"] = Measured(_finite(row[other]), n=frames)
    confusion = {
        str(name): {"frame": Confusion(("absent", "shown"), ((int(tn), int(fp)), (int(fn), int(tp))))}
        for name, (tp, fp, fn, tn) in zip(scores["unit"], counts, strict=False)
    }
    return replace(card, metrics={"every_frame": {"frame": metrics}}, confusion=confusion)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
