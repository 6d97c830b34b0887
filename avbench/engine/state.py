"""Where a training is and all that it needs to go on from there, on disk."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from avbench.detector import Detector
from avbench.engine.checkpoint import frozen_digests, told_as_os_error
from avbench.errors import UserError, in_one_line
from avbench.hashing import sha256
from avbench.paths import atomic_write
from avbench.records import card_file
from avbench.records.card_parts import Environment

log = logging.getLogger(__name__)

_KEPT = 2
_WRITTEN = "writing.pt"  # until its hash is known
_SHOWN = 16  # digits of the hash in a state's name
_FORMAT = 2  # rises where an unfinished training of before could not go on exactly; 2: seeds by stable_hash


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A moment of a training: before this optimiser step of this epoch of this stage, each counted from 0."""

    stage: int = 0
    epoch: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """The epoch that is chosen so far, counted from 1 over all stages; without `values` it is simply the last.

    `files` are the sha256 of its weights and scores, by name, on the first rank.
    """

    epoch: int
    values: Mapping[str, float] | None = None
    threshold: float | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class History:
    """What a training has come to so far.

    `curves` has a row an epoch, `losses` one a step of the epoch that runs. `seconds` were spent in optimiser steps on
    `clips` of this process; `saves` counts the states that were written. `environments` are those it was computed in.
    """

    curves: list[dict[str, float]] = field(default_factory=list)
    losses: list[dict[str, float]] = field(default_factory=list)
    best: BestEpoch | None = None
    seconds: float = 0.0
    clips: int = 0
    saves: int = 0
    environments: tuple[Environment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """All that a training needs to go on exactly.

    Of the weights, `model` holds those that moved; `frozen` holds the sha256 of the others, by name. `failed_files` and
    `without_clip` say why samples gave no clip, as avbench.engine.failures.FailureBudget does.
    """

    position: Position
    model: Mapping[str, Tensor]
    frozen: Mapping[str, str]
    optimizer: Mapping[str, Any] | None
    schedule: Mapping[str, Any] | None
    scaler: Mapping[str, Any]
    history: History
    failed_files: Mapping[str, str] = field(default_factory=dict)
    without_clip: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write the state into a training's folder and keep the newest two."""
        plain = {
            "format": _FORMAT,
            "stage": self.position.stage,
            "epoch": self.position.epoch,
            "step": self.position.step,
            "model": dict(self.model),
            "frozen": dict(self.frozen),
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "scaler": self.scaler,
            "curves": self.history.curves,
            "losses": self.history.losses,
            "best": _plain(self.history.best),
            "seconds": self.history.seconds,
            "clips": self.history.clips,
            "saves": self.history.saves,
            "environments": card_file.plain(self.history.environments),
            "failed_files": dict(self.failed_files),
            "without_clip": dict(self.without_clip),
        }
        written = folder / _WRITTEN
        with atomic_write(written) as temporary, told_as_os_error():
            torch.save(plain, temporary)
        written.replace(folder / f"state-{self.history.saves:08d}-{sha256(written)[:_SHOWN]}.pt")
        for old in _files(folder)[:-_KEPT]:
            old.unlink()

    @classmethod
    def load(cls, folder: Path) -> TrainingState | None:
        """Return the newest state of a training's folder that can be read, or None.

        Raises UserError for one of another version, which could not go on exactly.
        """
        for path in reversed(_files(folder)):
            named = path.stem.split("-")[2:]  # torch checks nothing
            if named and named[0] != sha256(path)[:_SHOWN]:
                log.warning("%s is damaged; the training goes on from the state before it", path)
                continue
            try:
                plain: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
                form = plain.get("format")
                state = _state_of(plain) if form == _FORMAT else None
            except Exception as error:  # such as one that a full disk cut off: the one before it serves
                log.warning("%s cannot be read (%s); the training goes on without it", path, in_one_line(error))
                continue
            if state is None:
                raise UserError(
                    f"{path}: an unfinished training of another version of avbench (format {form!s:.40}), which cannot "
                    "go on exactly; repeat with --fresh-training"
                )
            return state
        return None

    def restore_weights(self, detector: Detector, frozen: Mapping[str, str]) -> None:
        """Load the weights into a detector whose frozen weights, with these digests, are in place already."""
        if not self.frozen.items() <= frozen.items():
            raise UserError(
                "the frozen weights differ from those this training began with; repeat with --fresh-training"
            )
        detector.load_state_dict({**detector.state_dict(), **self.model}, strict=True)


def moved_weights(detector: Detector, frozen: Mapping[str, str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the weights to copy, and the digests of those in `frozen` that still are what they were.

    `frozen` are the detector's `frozen_digests` when the training began; an earlier stage or `after_step` may have
    moved some of them.
    """
    left_out = dict(frozen.items() & frozen_digests(detector).items())
    return {name: value for name, value in detector.state_dict().items() if name not in left_out}, left_out


def forget_states(folder: Path) -> None:
    """Remove the states of a training that is finished."""
    for path in [*_files(folder), folder / _WRITTEN]:
        path.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("state-*.pt"))


def _plain(best: BestEpoch | None) -> dict[str, Any]:
    if best is None:
        return {}
    plain = {"epoch": best.epoch, "files": dict(best.files)}
    return plain if best.values is None else plain | {"values": dict(best.values), "threshold": best.threshold}


def _state_of(plain: Mapping[str, Any]) -> TrainingState:
    return TrainingState(
        position=Position(plain["stage"], plain["epoch"], plain["step"]),
        model=plain["model"],
        frozen=plain["frozen"],
        optimizer=plain["optimizer"],
        schedule=plain["schedule"],
        scaler=plain["scaler"],
        history=History(
            curves=plain["curves"],
            losses=plain["losses"],
            best=BestEpoch(**plain["best"]) if plain["best"] else None,
            seconds=plain["seconds"],
            clips=plain["clips"],
            saves=plain["saves"],
            environments=msgspec.convert(plain.get("environments", ()), tuple[Environment, ...]),
        ),
        failed_files=plain["failed_files"],
        without_clip=plain["without_clip"],
    )
