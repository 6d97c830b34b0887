"""A training from its plan to its record: carried out, continued where it was interrupted, or found finished."""

from __future__ import annotations

from functools import partial

from lightning_fabric import Fabric

from avbench.data.loading import Loading
from avbench.engine.environment import environment
from avbench.engine.loop import OnEpoch, TrainingLoop
from avbench.engine.numerics import Look
from avbench.engine.plan import TrainingPlan
from avbench.engine.state import forget_states
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.progress import Progress, silent
from avbench.records.training import CURVES, FinishedTraining


def fit(
    plan: TrainingPlan,
    fabric: Fabric,
    loading: Loading,
    *,
    progress: Progress = silent,
    on_epoch: OnEpoch = lambda epoch, values: None,
    look: Look | None = None,
) -> FinishedTraining:
    """Train, or return the record of a training that is finished; an interrupted one goes on where it stopped.

    The folder ends with weights.safetensors and validation.csv (the chosen epoch), curves.csv and training.json, which
    is the record. `on_epoch` is told the number of each epoch and its values, on the first rank. `look` returns the
    environment that this is computed in (default: this process' as it is).
    """
    if (record := FinishedTraining.load(plan.folder)) is not None:
        if record.id != plan.id:
            raise UserError(f"{plan.folder} holds training {record.id}; remove it, or repeat with --fresh-training")
        return record
    plan.folder.mkdir(parents=True, exist_ok=True)
    loop = TrainingLoop(
        plan, fabric, loading, progress=progress, on_epoch=on_epoch, look=look or partial(environment, fabric.device)
    )
    loop.run()
    record = _record_of(loop, fabric.world_size)
    fabric.barrier()
    if fabric.global_rank == 0:
        record.save(plan.folder)
        forget_states(plan.folder)
    return record


def _record_of(loop: TrainingLoop, world: int) -> FinishedTraining:
    plan, history, best = loop.plan, loop.history, loop.history.best
    assert best is not None  # the last stage has chosen an epoch
    parameters = [(p.numel(), p.requires_grad) for p in loop.detector.parameters()]
    return FinishedTraining(
        id=plan.id,
        about=plan.about,
        chosen_epoch=best.epoch,
        selected_on=plan.selection.title if best.values is not None else "last epoch",
        validation=best.values or {},
        threshold=best.threshold,
        seconds=round(history.seconds, 2),
        clips_per_second=round(history.clips * world / max(history.seconds, 1e-9), 2),
        without_clip=loop.budget.reasons,
        failed_files={name: str(reason) for name, reason in sorted(loop.budget.seen.items())},
        parameters=sum(numbers for numbers, _ in parameters),
        trainable=sum(numbers for numbers, trained in parameters if trained),
        environments=loop.environments(),
        files={**best.files, **({CURVES: sha256(curves)} if (curves := plan.folder / CURVES).is_file() else {})},
    )
