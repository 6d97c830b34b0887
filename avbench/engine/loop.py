"""The training loop on Lightning Fabric: stages, epochs, optimiser steps of several micro-batches, exact resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from avbench.data.loading import LoadedBatch, Loading
from avbench.data.requests import ClipRequest
from avbench.engine import checkpoint
from avbench.engine.building import build, load_pretrained
from avbench.engine.calling import calling, require_kind, require_losses
from avbench.engine.evaluation import load
from avbench.engine.failures import FailureBudget
from avbench.engine.not_finite import loss_not_finite
from avbench.engine.numerics import Look
from avbench.engine.plan import TrainingPlan
from avbench.engine.state import BestEpoch, History, Position, TrainingState, moved_weights
from avbench.engine.steps import Steps
from avbench.errors import UserError, in_one_line
from avbench.hashing import sha256, stable_hash
from avbench.paths import atomic_write
from avbench.progress import Progress
from avbench.records.card_parts import Environment
from avbench.records.training import CURVES, VALIDATION, WEIGHTS
from avbench.types import ClipBatch, Sample

SAVE_SECONDS = 180.0  # between states inside an epoch
OnEpoch = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """A stage that runs: its steps, the clips that come, and what learns; without `optimizer` nothing does."""

    number: int
    steps: Steps
    stream: Iterator[LoadedBatch]
    model: Any  # the detector, wrapped by Fabric where it learns
    optimizer: Any = None
    schedule: Any = None


class TrainingLoop:
    """Carries a plan out, from its last saved state on if there is one.

    The plan's folder ends with weights.safetensors and validation.csv (the chosen epoch) and curves.csv.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        fabric: Fabric,
        loading: Loading,
        *,
        progress: Progress,
        on_epoch: OnEpoch,
        look: Look,
    ) -> None:
        self.plan, self.fabric, self.loading, self.progress, self.on_epoch = plan, fabric, loading, progress, on_epoch
        self._look = look
        self.detector = build(plan.spec, plan.config, plan.seed)
        load_pretrained(self.detector, {k: w.path for k, w in plan.config.weights.items() if w.path is not None})
        self.detector.to(fabric.device)
        self.budget = FailureBudget(len(plan.train) + len(plan.validation), loading)
        self.history = History()
        self._stepped = False  # whether an optimiser has moved the weights
        self._frozen: dict[str, str] = {}  # digests of what does not train, when the training began

    def run(self) -> None:
        """Train through all stages."""
        state = TrainingState.load(self.plan.folder)
        self._stepped = state is not None
        for number, stage in enumerate(self.plan.config.stages):
            with calling(self.detector, "begin_stage"):
                self.detector.begin_stage(stage)
            if number == 0:
                self._frozen = checkpoint.frozen_digests(self.detector)
            if state is None or number > state.position.stage:
                self._run_stage(number)
            elif number == state.position.stage:
                self._run_stage(number, state)

    def environments(self) -> tuple[Environment, ...]:
        """Return the environments that the training has been computed in, this one last."""
        now = self._look()
        return (*(earlier for earlier in self.history.environments if not earlier.is_like(now)), now)

    def _run_stage(self, number: int, state: TrainingState | None = None) -> None:
        running, first = self._begin(number, state)
        steps, stage = running.steps, running.steps.stage
        saved = time.monotonic()
        with self.progress(stage.name, steps.total_clips, steps.clips_before(first.epoch, first.step)) as bar:
            for epoch in range(first.epoch, stage.epochs):
                for step in range(first.step if epoch == first.epoch else 0, steps.per_epoch):
                    start = time.monotonic()
                    values = self._step(running, Position(number, epoch, step))
                    self.history.losses.append(values)
                    if running.schedule is not None and not isinstance(running.schedule, ReduceLROnPlateau):
                        with calling(self.detector, "the schedule of optimizer"):
                            running.schedule.step()
                    with calling(self.detector, "after_step"):
                        self.detector.after_step()
                    self.history.seconds += time.monotonic() - start
                    bar.advance(steps.clips_per_step, loss=values["loss"])
                    if time.monotonic() - saved > SAVE_SECONDS and step + 1 < steps.per_epoch:
                        self._save(running, Position(number, epoch, step + 1))
                        saved = time.monotonic()
                self._require_clips(number)
                self._end_epoch(number, epoch, running.optimizer)
                if isinstance(running.schedule, ReduceLROnPlateau):
                    latest = self.history.curves[-1]
                    running.schedule.step(latest.get("val_nll", latest["loss"]))
                self._save(running, Position(number, epoch + 1))
                saved = time.monotonic()
        if stage.epochs == 0 and self._is_last(number):
            self._end_epoch(number, -1, None)  # the detector is measured as it starts

    def _begin(self, number: int, state: TrainingState | None) -> tuple[_Stage, Position]:
        """Return a stage ready to run, and where it goes on."""
        stage = self.plan.config.stages[number]
        samples = self._samples(number)
        clips = len(self.plan.place(samples, self.plan.config.clip, self.plan.seed, 0))
        learns = stage.epochs > 0 and any(p.requires_grad for p in self.detector.parameters())
        steps = Steps.of(stage, clips, self.fabric, learns=learns)
        optimizer: Any = None
        schedule: Any = None
        if learns:
            with calling(self.detector, "optimizer"):
                optimizer, schedule = self.detector.optimizer(stage, steps.per_epoch * stage.epochs)
        first = Position(number)
        if state is not None:
            first = state.position
            self._restore(state, optimizer, schedule)
        model: Any = self.detector
        if learns:
            with calling(self.detector, "the optimiser's setup"):
                model, optimizer = self.fabric.setup(self.detector, optimizer)
        stream = load(self.detector, self._micro_batches(samples, steps, first), self.loading, self.budget.files)
        return _Stage(
            number=number, steps=steps, stream=stream, model=model, optimizer=optimizer, schedule=schedule
        ), first

    def _samples(self, number: int) -> list[Sample]:
        every = self.plan.config.stages[number].samples == "all"
        return [sample for sample in self.plan.train if every or sample.forgery == 0]

    def _micro_batches(
        self, samples: Sequence[Sample], steps: Steps, first: Position
    ) -> Iterator[Sequence[ClipRequest]]:
        """Yield this process' micro-batches from a position on; what a sample gets depends on (seed, epoch) alone."""
        for epoch in range(first.epoch, steps.stage.epochs):
            requests = self.plan.place(samples, self.plan.config.clip, self.plan.seed * 1009 + first.stage, epoch)
            order = np.random.default_rng((self.plan.seed, first.stage, epoch)).permutation(len(requests))
            shuffled = [requests[i] for i in order]
            yield from steps.micro_batches(shuffled, first.step if epoch == first.epoch else 0)

    def _step(self, running: _Stage, position: Position) -> dict[str, float]:
        """Accumulate the gradients of one optimiser step over its micro-batches, clip them, step; return the losses.

        Without an optimiser the clips are seen and nothing else: what is learnt, `loss` keeps in buffers.
        """
        torch.manual_seed(self._seed_at(position))
        learns, own = running.optimizer is not None, running.steps.share(position.step)
        # Gradients that are bounded batch by batch are those of all processes.
        joined = own.ends if running.steps.stage.clip_scaled else frozenset({own.micro_batches - 1})
        self.detector.train()
        total: dict[str, float] = {}
        for k in range(own.micro_batches):
            loaded = next(running.stream)
            self.budget.note(loaded)
            if loaded.batch is not None:
                share = len(loaded.batch) / own.clips
                losses = self._backward(running, loaded.batch, share, apart=k not in joined, epoch=position.epoch)
                for name, value in losses.items():
                    total[name] = total.get(name, 0.0) + float(value.detach()) * share
            if learns and k in own.ends:
                self._clip_scaled_gradients(running)
        if learns:
            with calling(self.detector, "the optimiser's step", setting=self._held(running)):
                self._clip_gradients(running)
                running.optimizer.step()
                running.optimizer.zero_grad(set_to_none=True)
            self._stepped = True
        return total or {"loss": float("nan")}

    def _backward(
        self, running: _Stage, batch: ClipBatch, share: float, *, apart: bool, epoch: int
    ) -> dict[str, Tensor]:
        """Add a micro-batch's gradients, its share of a step's; `apart` leaves other processes' out. Return losses.

        Raises UserError for a loss that is not finite, and whatever is wrong with what the detector gives.
        """
        held = self._held(running)
        with calling(self.detector, "a batch to the device", batch, held):
            batch = batch.to(self.fabric.device)
        learns = running.optimizer is not None
        alone = learns and apart and running.steps.world > 1
        unsynced = self.fabric.no_backward_sync(running.model) if alone else nullcontext()
        with torch.set_grad_enabled(learns), unsynced:
            with calling(self.detector, "forward", batch, held):
                output = running.model(batch)
            require_kind(self.detector, output, batch)
            with calling(self.detector, "loss", batch, held):
                losses = self.detector.loss(output, batch)
            losses = require_losses(self.detector, losses, batch)
            if not np.isfinite(float(losses["loss"].detach())):
                raise loss_not_finite(
                    self.detector,
                    batch,
                    output,
                    losses["loss"],
                    stage=running.steps.stage,
                    epoch=epoch + 1,
                    stepped=self._stepped,
                )
            if learns:
                with calling(self.detector, "backward", batch, held):
                    self.fabric.backward(losses["loss"] * share)
        self.history.clips += len(batch)
        return losses

    def _held(self, running: _Stage) -> tuple[str, int]:
        """Return the setting that says how many clips are on the device at a time, and its value."""
        return "micro_batch", running.steps.micro_batch

    def _seed_at(self, position: Position) -> int:
        """Return the seed of what a step draws beside augmentation, such as dropout."""
        rank = self.fabric.global_rank
        return stable_hash(self.plan.seed, position.stage, position.epoch, position.step, rank)

    def _clip_scaled_gradients(self, running: _Stage) -> None:
        """Bound what is accumulated so far as it is, scaled with the loss: some published code does, batch by batch."""
        stage = running.steps.stage
        if stage.clip_norm and stage.clip_scaled:
            torch.nn.utils.clip_grad_norm_(self.detector.parameters(), stage.clip_norm)

    def _clip_gradients(self, running: _Stage) -> None:
        stage = running.steps.stage
        if stage.clip_norm and not stage.clip_scaled:
            self.fabric.clip_gradients(
                running.model, running.optimizer, max_norm=stage.clip_norm, error_if_nonfinite=False
            )

    def _require_clips(self, number: int) -> None:
        """Raise UserError where an epoch is over and no clip has been seen: nothing was learnt."""
        if not self.history.clips and self.fabric.world_size == 1:
            reasons = ", ".join(f"{reason} {n}" for reason, n in self.budget.reasons.items())
            least, fps = self.plan.config.clip.min_frames, self.plan.config.clip.fps
            raise UserError(
                f"none of the {len(self._samples(number))} training videos gives a clip ({reasons}); "
                f"{self.plan.spec.name} needs {least} frames at {fps:g} fps, {least / fps:g} s: choose other videos or "
                "another --preset"
            )

    def _is_last(self, number: int) -> bool:
        return number == len(self.plan.config.stages) - 1

    def _end_epoch(self, number: int, epoch: int, optimizer: Any) -> None:
        """Measure the epoch on validation data, keep its weights if they are the best, write the curves."""
        count = sum(s.epochs for s in self.plan.config.stages[:number]) + epoch + 1  # over all stages
        rows = self.history.losses
        names = dict.fromkeys(name for row in rows for name in row)
        values = {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
        self.history.losses = []
        if optimizer is not None:
            values["lr"] = float(optimizer.param_groups[0]["lr"])
        selection = self.plan.selection
        if self.plan.validation and (self._is_last(number) or selection.each_stage):
            found = selection.measure(
                self.detector, self.plan.validation, self.plan.seed, self.fabric, self.loading, self.budget
            )
            values |= {f"val_{name}": value for name, value in found.values.items()}
            best = self.history.best
            better = best is None or best.values is None or selection.better(found.values, best.values)
            if self._is_last(number) and better:
                files = self._save_weights(found.table)
                self.history.best = BestEpoch(count, dict(found.values), found.threshold, files)
        elif self._is_last(number):
            self.history.best = BestEpoch(count, files=self._save_weights(None))
        self.history.curves.append({"epoch": count, **values})
        if self.fabric.global_rank == 0:
            with atomic_write(self.plan.folder / CURVES) as temporary:
                pd.DataFrame(self.history.curves).to_csv(temporary, index=False)
            self.on_epoch(count, values)

    def _save_weights(self, scores: pd.DataFrame | None) -> dict[str, str]:
        """Write the weights, and the validation scores that chose them; return the sha256 of each file by name."""
        if self.fabric.global_rank:
            return {}
        folder = self.plan.folder
        written = {WEIGHTS: checkpoint.save_weights(self.detector, folder / WEIGHTS, self.plan.about)}
        if scores is not None:
            with atomic_write(folder / VALIDATION) as temporary:
                scores.to_csv(temporary, index=False)
                written[VALIDATION] = sha256(temporary)
        return written

    def _save(self, running: _Stage, position: Position) -> None:
        self.history.saves += 1
        if self.fabric.global_rank:
            return
        model, frozen = moved_weights(self.detector, self._frozen)
        optimizer, schedule = running.optimizer, running.schedule
        TrainingState(
            position=position,
            model=model,
            frozen=frozen,
            optimizer=optimizer.state_dict() if optimizer is not None else None,
            schedule=schedule.state_dict() if schedule is not None else None,
            scaler=self.fabric.strategy.precision.state_dict(),
            history=replace(self.history, environments=self.environments()),
            failed_files={name: str(reason) for name, reason in self.budget.seen.items()},
            without_clip={name: str(reason) for name, reason in self.budget.without_clip.items()},
        ).save(self.plan.folder)

    def _restore(self, state: TrainingState, optimizer: Any, schedule: Any) -> None:
        try:
            state.restore_weights(self.detector, self._frozen)
            if optimizer is not None:
                optimizer.load_state_dict(state.optimizer)
            if schedule is not None:
                schedule.load_state_dict(state.schedule)
            self.fabric.strategy.precision.load_state_dict(state.scaler)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"{self.plan.folder}: the state that it was left in does not fit this training "
                f"({in_one_line(error)}); repeat with --fresh-training"
            ) from error
        self.history = replace(state.history)
        self.budget.restore(state.failed_files, state.without_clip)
