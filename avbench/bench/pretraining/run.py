"""A pre-training from the request to the card: stages, F1 on people never seen, the file that detectors take."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from lightning_fabric import Fabric
from safetensors.torch import save_file

from avbench.bench.card import with_training
from avbench.bench.pretraining.card import begin, with_frame_labels
from avbench.bench.pretraining.plan import PretrainingRequest, ResolvedPretraining, resolve_pretraining
from avbench.data import splits
from avbench.detector import Detector
from avbench.engine import checkpoint
from avbench.engine.building import build
from avbench.engine.devices import describe, make_fabric
from avbench.engine.failures import FailureBudget
from avbench.engine.numerics import Look, computing_as
from avbench.engine.ranks import leads
from avbench.engine.training import fit
from avbench.hashing import sha256
from avbench.metrics.frame_labels import table
from avbench.paths import atomic_write
from avbench.plugins.registry import Plugins
from avbench.progress import Progress, silent
from avbench.records.card import Card, Status
from avbench.records.card_file import plain
from avbench.records.card_parts import Encoder
from avbench.records.training import FRAME_SCORES, WEIGHTS, FinishedTraining

Say = Callable[[str], None]
# What an encoder's file says of its data.
_TOLD_OF_DATA = ("dataset", "title", "n", "digest", "identities", "identity_is")


def pretrain(
    request: PretrainingRequest, plugins: Plugins, *, progress: Progress = silent, say: Say = lambda line: None
) -> tuple[Card, Path]:
    """Pre-train, or return the card of what is finished; an interrupted one goes on. Return the card and its folder.

    The folder holds the network's file for detectors, f1.csv, curves.csv, figures and card.json.
    """
    resolved = resolve_pretraining(request, plugins, progress)
    plan = resolved.plan
    for name in splits.PARTS:
        say(f"{resolved.base.title}: {len(getattr(resolved.parts, name)):,} {name} videos at {resolved.base.root}")
    if request.fresh and leads():
        shutil.rmtree(plan.folder, ignore_errors=True)
    if (plan.folder / "card.json").is_file() and (card := Card.load(plan.folder)).is_finished:
        say(f"finished before: {plan.folder} (--fresh starts anew)")
        return card, plan.folder
    fabric = make_fabric(request.device, plan.config.stages[0].precision)
    fabric.barrier()  # nobody goes on before the leader has forgotten
    leader = fabric.global_rank == 0
    notify = partial(plugins.notify, leaving_out=request.silenced)
    with computing_as(plan.config, fabric.device) as look:
        card = begin(resolved, describe(fabric), look())
        if leader:
            plan.folder.mkdir(parents=True, exist_ok=True)
            card.save(plan.folder)
        try:
            if leader:
                notify("avbench_run_started", card=card, folder=plan.folder)
            card = replace(_carry_out(resolved, card, fabric, notify, progress, look), environment=look())
        except BaseException as error:
            if leader:
                status: Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
                card = replace(card, status=status, error=f"{type(error).__name__}: {error}")
                try:
                    card.save(plan.folder)
                finally:
                    notify("avbench_run_failed", card=card, folder=plan.folder)
            raise
    if leader:
        card = replace(card, status="finished")
        card.save(plan.folder)
        notify("avbench_run_finished", card=card, folder=plan.folder)
    fabric.barrier()  # the others wait for the measured card
    return card if leader else Card.load(plan.folder), plan.folder


def _carry_out(
    resolved: ResolvedPretraining,
    card: Card,
    fabric: Fabric,
    notify: Callable[..., None],
    progress: Progress,
    look: Look,
) -> Card:
    """Train, measure the test people, write f1.csv and the file for detectors; return the card with what came of it."""
    plan, parts, loading = resolved.plan, resolved.parts, resolved.request.loading
    record = fit(
        plan,
        fabric,
        loading,
        progress=progress,
        on_epoch=lambda epoch, values: notify("avbench_epoch_ended", card=card, epoch=epoch, values=values),
        look=look,
    )
    trained = with_training(card, record.as_dict())
    network = _chosen(resolved)
    fabric.to_device(network)
    started = time.monotonic()
    counts, loss = resolved.measured.count(
        network, parts.test, fabric, loading, FailureBudget(len(parts.test), loading)
    )
    spent = {"train": record.seconds, "evaluate": round(time.monotonic() - started, 2)}
    measured = replace(trained, seconds=spent)
    if fabric.global_rank:
        return measured
    scores = table(counts, resolved.measured.names, resolved.rates, plan.seed)
    measured = with_frame_labels(measured, scores, counts.sum(axis=0), loss)
    with atomic_write(plan.folder / FRAME_SCORES) as temporary:
        scores.to_csv(temporary, index=False)
    path = plan.folder / resolved.spec.file
    return replace(measured, encoder=Encoder(path.name, export(network, path, resolved.spec.prefix, measured)))


def _chosen(resolved: ResolvedPretraining) -> Detector:
    """Return the network with the weights of the chosen epoch."""
    plan = resolved.plan
    network = build(plan.spec, plan.config, plan.seed)
    for stage in plan.config.stages:
        network.begin_stage(stage)
    if (record := FinishedTraining.load(plan.folder)) is not None:
        record.require_unchanged(plan.folder / WEIGHTS)
    checkpoint.load_weights(network, plan.folder / WEIGHTS)
    return network


def export(network: Detector, path: Path, prefix: str, card: Card) -> str:
    """Write the weights for detectors, `prefix` taken off their names; return the file's sha256."""
    state = {
        name.removeprefix(prefix): value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    f1, train = card.metrics["every_frame"]["frame"]["f1"], plain(card.data.train)
    data = {name: train[name] for name in _TOLD_OF_DATA}
    about = {"id": card.id, "f1": {"value": f1.value, "ci95": f1.ci95, "n": f1.n}, "data": data}
    with atomic_write(path) as temporary:
        save_file(state, temporary, metadata={"avbench": json.dumps(about, sort_keys=True, default=str)})
    return sha256(path)
