"""The training loop: micro-batches, schedule, selection on validation data, exact resume, on Lightning Fabric."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch.optim.lr_scheduler import ReduceLROnPlateau

from avbench.config import Config
from avbench.data.placement import oracle
from avbench.data.requests import ClipRequest
from avbench.engine import checkpoint
from avbench.engine.building import build, load_pretrained
from avbench.engine.evaluation import FailureBudget, Loading, batches_of, load
from avbench.engine.validation import BY_AUC, Selection
from avbench.errors import UserError
from avbench.paths import atomic_write
from avbench.progress import Progress, silent
from avbench.types import ClipSpec, DetectorSpec, Sample, Stage

SAVE_SECONDS = 180.0
WEIGHTS, RECORD, CURVES = "weights.safetensors", "training.json", "curves.csv"
VALIDATION = "validation.csv"  # scores of the chosen epoch
OnEpoch = Callable[[int, dict[str, float]], None]
Place = Callable[[Sequence[Sample], ClipSpec, int, int], list[ClipRequest]]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What a training is made of; `id` is a hash of all of it.

    `place` is (samples, clip, seed, epoch) -> the clips of an epoch, as many in each; `selection` chooses the epoch.
    """

    id: str
    folder: Path
    spec: DetectorSpec
    config: Config
    seed: int
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    about: dict[str, Any]
    place: Place = oracle
    selection: Selection = BY_AUC


def fit(
    plan: TrainingPlan,
    fabric: Fabric,
    loading: Loading,
    *,
    progress: Progress = silent,
    on_epoch: OnEpoch = lambda epoch, values: None,
) -> dict[str, Any]:
    """Train, or return the record of a training that is finished; an interrupted one goes on where it stopped.

    The folder ends with weights.safetensors and validation.csv (the chosen epoch), curves.csv and training.json, whose
    content is returned: chosen_epoch, selected_on, threshold, seconds, clips_per_second, failed files.
    """
    record = plan.folder / RECORD
    if record.is_file():
        return {**json.loads(record.read_text("utf-8")), "reused": True}
    plan.folder.mkdir(parents=True, exist_ok=True)
    return _Training(plan, fabric, loading, progress, on_epoch).run()


class _Training:
    """The state of one training: the detector, the curves so far, the best epoch so far."""

    def __init__(
        self, plan: TrainingPlan, fabric: Fabric, loading: Loading, progress: Progress, on_epoch: OnEpoch
    ) -> None:
        self.plan, self.fabric, self.loading, self.progress, self.on_epoch = plan, fabric, loading, progress, on_epoch
        self.detector = build(plan.spec, plan.config, plan.seed)
        load_pretrained(self.detector, {k: w.path for k, w in plan.config.weights.items() if w.path is not None})
        self.detector.to(fabric.device)
        self.budget = FailureBudget(len(plan.train) + len(plan.validation), loading)
        self.frozen: dict[str, str] = {}
        self.curves: list[dict[str, float]] = []
        self.losses: list[dict[str, float]] = []  # of the running epoch, step by step
        self.best: dict[str, Any] = {}
        self.seconds = 0.0
        self.clips = 0
        self.saves = 0

    def run(self) -> dict[str, Any]:
        state = checkpoint.load_state(self.plan.folder)
        for number, stage in enumerate(self.plan.config.stages):
            self.detector.begin_stage(stage)
            self.frozen = checkpoint.frozen_digests(self.detector) if number == 0 else self.frozen
            if state is None or number >= state["stage"]:
                self._stage(number, stage, state if state is not None and number == state["stage"] else None)
        return self._finish()

    def _stage(self, number: int, stage: Stage, state: dict[str, Any] | None) -> None:
        samples = [s for s in self.plan.train if stage.samples == "all" or s.forgery == 0]
        clips = len(self.plan.place(samples, self.plan.config.clip, self.plan.seed, 0))
        if min(stage.batch, clips) < self.fabric.world_size:
            raise UserError(
                f"stage {stage.name}: batches of {min(stage.batch, clips)} clips cannot be shared by "
                f"{self.fabric.world_size} processes; use fewer, or --set batch={self.fabric.world_size}"
            )
        learns = stage.epochs > 0 and any(p.requires_grad for p in self.detector.parameters())
        # Gradients want batches of one size; a pass that only counts leaves nobody out.
        batches = (clips // stage.batch or 1) if learns else -(-clips // stage.batch)
        steps = -(-batches // stage.accumulate)
        optimizer, schedule = self.detector.optimizer(stage, steps * stage.epochs) if learns else (None, None)
        if state is not None:
            self._restore(state, optimizer, schedule)
        model: Any = self.detector
        if optimizer is not None:
            model, optimizer = self.fabric.setup(self.detector, optimizer)
        first = (state["epoch"], state["step"]) if state is not None else (0, 0)
        stream = load(self.detector, self._micro_batches(samples, stage, number, first, batches), self.loading)
        total = min(stage.epochs * batches * stage.batch, stage.epochs * clips)
        done = (first[0] * batches + first[1] * stage.accumulate) * stage.batch
        saved = time.monotonic()
        with self.progress(stage.name, total, min(done, total)) as bar:
            for epoch in range(first[0], stage.epochs):
                for step in range(first[1] if epoch == first[0] else 0, steps):
                    start = time.monotonic()
                    values = self._step(model, optimizer, stage, number, epoch, step, batches, clips, stream)
                    self.losses.append(values)
                    if schedule is not None and not isinstance(schedule, ReduceLROnPlateau):
                        schedule.step()
                    self.detector.after_step()
                    self.seconds += time.monotonic() - start
                    bar.advance(min(stage.accumulate * stage.batch, clips), loss=values["loss"])
                    if time.monotonic() - saved > SAVE_SECONDS and step + 1 < steps:
                        self._save(number, epoch, step + 1, optimizer, schedule)
                        saved = time.monotonic()
                self._require_clips(len(samples))
                self._epoch_ended(number, epoch, optimizer)
                if isinstance(schedule, ReduceLROnPlateau):
                    schedule.step(self.curves[-1].get("val_nll", self.curves[-1]["loss"]))
                self._save(number, epoch + 1, 0, optimizer, schedule)
                saved = time.monotonic()
        if stage.epochs == 0 and number == len(self.plan.config.stages) - 1:
            self._epoch_ended(number, -1, None)  # it is judged as it starts

    def _micro_batches(
        self, samples: Sequence[Sample], stage: Stage, number: int, first: tuple[int, int], count: int
    ) -> Iterator[Sequence[ClipRequest]]:
        """Yield this rank's micro-batches from (epoch, step) on; what a sample gets depends on (seed, epoch) alone."""
        rank, world = self.fabric.global_rank, self.fabric.world_size
        for epoch in range(first[0], stage.epochs):
            seed = self.plan.seed * 1009 + number
            requests = self.plan.place(samples, self.plan.config.clip, seed, epoch)
            order = np.random.default_rng((self.plan.seed, number, epoch)).permutation(len(requests))
            shuffled = [requests[i] for i in order]
            batches = batches_of(shuffled, stage.batch)[:count]
            skip = first[1] * stage.accumulate if epoch == first[0] else 0
            for batch in batches[skip:]:
                yield from batches_of(batch[rank::world], self._micro(stage))

    def _micro(self, stage: Stage) -> int:
        if stage.micro_batch is not None:
            return stage.micro_batch
        return 4 if self.fabric.device.type == "cpu" else stage.batch

    def _step(
        self,
        model: Any,
        optimizer: Any,
        stage: Stage,
        number: int,
        epoch: int,
        step: int,
        batches: int,
        clips: int,
        stream: Iterator[Any],
    ) -> dict[str, float]:
        """Accumulate the gradients of one optimiser step over its micro-batches, clip them, step.

        Without an optimiser the clips are seen and nothing else: what is learnt, `loss` keeps in buffers.
        """
        rank, world = self.fabric.global_rank, self.fabric.world_size
        torch.manual_seed(hash((self.plan.seed, number, epoch, step, rank)) % 2**63)
        count = min(stage.accumulate, batches - step * stage.accumulate)
        first, learns = step * stage.accumulate, optimizer is not None
        sizes = [min(stage.batch, clips - stage.batch * number) for number in range(first, first + count)]
        own = [len(range(rank, size, world)) for size in sizes]
        micro = sum(-(-share // self._micro(stage)) for share in own)
        self.detector.train()
        total: dict[str, float] = {}
        for k in range(micro):
            loaded = next(stream)
            self.budget.note(loaded)
            if loaded.batch is None:
                continue
            batch = loaded.batch.to(self.fabric.device)
            share = len(batch) / sum(own)
            apart = learns and world > 1 and k + 1 < micro
            with torch.set_grad_enabled(learns), self.fabric.no_backward_sync(model) if apart else nullcontext():
                output = model(batch)
                losses = self.detector.loss(output, batch)
                if learns:
                    self.fabric.backward(losses["loss"] * share)
            self.clips += len(batch)
            for name, value in losses.items():
                total[name] = total.get(name, 0.0) + float(value.detach()) * share
        if learns:
            self._clip(model, optimizer, stage)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if not np.isfinite(total.get("loss", 0.0)):
            raise UserError(
                f"the loss is {total['loss']} in epoch {epoch + 1}; lower the rate with --set lr={stage.lr / 10:g}"
            )
        return total or {"loss": float("nan")}

    def _require_clips(self, samples: int) -> None:
        """Raise UserError where an epoch is over and no clip has been seen: nothing was learnt."""
        if not self.clips and self.fabric.world_size == 1:
            reasons = ", ".join(f"{reason} {n}" for reason, n in self.budget.reasons.items())
            least, fps = self.plan.config.clip.min_frames, self.plan.config.clip.fps
            raise UserError(
                f"none of the {samples} training videos gives a clip ({reasons}); {self.plan.spec.name} needs "
                f"{least} frames at {fps:g} fps, {least / fps:g} s: choose other videos or another --preset"
            )

    def _clip(self, model: Any, optimizer: Any, stage: Stage) -> None:
        if stage.clip_norm and stage.clip_scaled:
            torch.nn.utils.clip_grad_norm_(self.detector.parameters(), stage.clip_norm)
        elif stage.clip_norm:
            self.fabric.clip_gradients(model, optimizer, max_norm=stage.clip_norm, error_if_nonfinite=False)

    def _epoch_ended(self, number: int, epoch: int, optimizer: Any) -> None:
        count = sum(s.epochs for s in self.plan.config.stages[:number]) + epoch + 1  # over all stages
        names = dict.fromkeys(name for row in self.losses for name in row)
        values = {name: float(np.mean([row[name] for row in self.losses if name in row])) for name in names}
        self.losses = []
        if optimizer is not None:
            values["lr"] = float(optimizer.param_groups[0]["lr"])
        last_stage = number == len(self.plan.config.stages) - 1
        selection = self.plan.selection
        if self.plan.validation and (last_stage or selection.each_stage):
            found = selection.measure(
                self.detector, self.plan.validation, self.plan.seed, self.fabric, self.loading, self.budget
            )
            values |= {f"val_{name}": value for name, value in found.values.items()}
            if last_stage and (not self.best or selection.better(found.values, self.best["values"])):
                self.best = {"epoch": count, "values": dict(found.values), "threshold": found.threshold}
                self._save_weights(found.table)
        elif last_stage:
            self.best = {"epoch": count}
            self._save_weights(None)
        self.curves.append({"epoch": count, **values})
        if self.fabric.global_rank == 0:
            with atomic_write(self.plan.folder / CURVES) as temporary:
                pd.DataFrame(self.curves).to_csv(temporary, index=False)
            self.on_epoch(count, values)

    def _save_weights(self, scores: pd.DataFrame | None) -> None:
        if self.fabric.global_rank == 0:
            checkpoint.save_weights(self.detector, self.plan.folder / WEIGHTS, self.plan.about)
            if scores is not None:
                with atomic_write(self.plan.folder / VALIDATION) as temporary:
                    scores.to_csv(temporary, index=False)

    def _save(self, stage: int, epoch: int, step: int, optimizer: Any, schedule: Any) -> None:
        self.saves += 1
        if self.fabric.global_rank:
            return
        checkpoint.save_state(
            self.plan.folder,
            self.saves,
            self.detector,
            self.frozen,
            {
                "stage": stage,
                "epoch": epoch,
                "step": step,
                "optimizer": optimizer.state_dict() if optimizer is not None else None,
                "schedule": schedule.state_dict() if schedule is not None else None,
                "scaler": self.fabric.strategy.precision.state_dict(),
                "curves": self.curves,
                "losses": self.losses,
                "best": self.best,
                "seconds": self.seconds,
                "clips": self.clips,
                "saves": self.saves,
            },
        )

    def _restore(self, state: dict[str, Any], optimizer: Any, schedule: Any) -> None:
        checkpoint.restore_model(self.detector, self.frozen, state)
        if optimizer is not None:
            optimizer.load_state_dict(state["optimizer"])
        if schedule is not None:
            schedule.load_state_dict(state["schedule"])
        self.fabric.strategy.precision.load_state_dict(state["scaler"])
        self.curves, self.losses, self.best = state["curves"], state["losses"], state["best"]
        self.seconds, self.clips, self.saves = state["seconds"], state["clips"], state["saves"]

    def _finish(self) -> dict[str, Any]:
        record = {
            **self.plan.about,
            "id": self.plan.id,
            "chosen_epoch": self.best["epoch"],
            "selected_on": self.plan.selection.title if "values" in self.best else "last epoch",
            "validation_auc": None,
            **{f"validation_{name}": value for name, value in self.best.get("values", {}).items()},
            "threshold": self.best.get("threshold"),
            "seconds": round(self.seconds, 2),
            "clips_per_second": round(self.clips * self.fabric.world_size / max(self.seconds, 1e-9), 2),
            "without_clip": self.budget.reasons,
            "failed_files": {name: str(reason) for name, reason in sorted(self.budget.seen.items())},
            "parameters": sum(p.numel() for p in self.detector.parameters()),
            "trainable": sum(p.numel() for p in self.detector.parameters() if p.requires_grad),
        }
        self.fabric.barrier()
        if self.fabric.global_rank == 0:
            with atomic_write(self.plan.folder / RECORD) as temporary:
                temporary.write_text(json.dumps(record, indent=2, sort_keys=True, default=str) + "\n", "utf-8")
            for state in self.plan.folder.glob("state-*.pt"):
                state.unlink()
        return {**record, "reused": False}
