"""training.json: what came of a training, and the files that its folder holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec

from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.paths import atomic_write
from avbench.records.card_file import plain
from avbench.records.card_parts import Environment

WEIGHTS, RECORD, CURVES = "weights.safetensors", "training.json", "curves.csv"
VALIDATION = "validation.csv"  # scores of the chosen epoch
FRAME_SCORES = "f1.csv"  # of a pre-training, on its test people
_MEASURED = "validation_"  # begins the name of what was measured on validation data


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedTraining:
    """What came of a training.

    `about` is what its plan says of it: detector, configuration, seed, data. `validation` is what the chosen epoch
    measured there, by name; `threshold` was fixed on it. `seconds` are those of optimiser steps, `clips_per_second`
    holds over all ranks. `without_clip` counts the samples that gave no clip, by reason; `failed_files` names those
    whose file is at fault. `parameters` and `trainable` count numbers, the latter in the last stage. `environments`
    are those it was computed in, the last one last. `files` are the sha256 of what it left, by name; trainings of
    earlier versions have none. `reused` says that the training was finished before.
    """

    id: str
    about: Mapping[str, Any]
    chosen_epoch: int
    selected_on: str
    validation: Mapping[str, float] = field(default_factory=dict)
    threshold: float | None = None
    seconds: float
    clips_per_second: float
    without_clip: Mapping[str, int] = field(default_factory=dict)
    failed_files: Mapping[str, str] = field(default_factory=dict)
    parameters: int
    trainable: int
    environments: tuple[Environment, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    reused: bool = False

    def require_unchanged(self, path: Path) -> None:
        """Raise UserError for a file of this training that is not the one it left; nothing is known of earlier ones."""
        if complaint := self.complaint(path):
            raise UserError(f"{complaint}; restore it, or train again with --fresh-training")

    def complaint(self, path: Path) -> str:
        """Say what is wrong with a file of this training; empty where it is as it was left, or its hash is unknown."""
        wanted = self.files.get(path.name)
        if wanted is None or not path.is_file():
            return "" if wanted is None else f"{path} is gone, which training {self.id} left"
        if (found := sha256(path)) == wanted:
            return ""
        return f"{path} is not what training {self.id} left: sha256 {found[:16]}..., it was {wanted[:16]}..."

    def as_dict(self) -> dict[str, Any]:
        """Return plain values as card and training.json hold them, `about` and `validation` beside the rest."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("about", "validation")}
        own["environments"] = plain(self.environments)
        measured = {f"{_MEASURED}{name}": value for name, value in self.validation.items()}
        return {**self.about, **own, "validation_auc": None, **measured}

    def save(self, folder: Path) -> None:
        """Write training.json into a training's folder; it says that the training is finished."""
        values = self.as_dict()
        del values["reused"]
        with atomic_write(folder / RECORD) as temporary:
            temporary.write_text(json.dumps(values, indent=2, sort_keys=True, default=str) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: Path) -> FinishedTraining | None:
        """Return the record of a finished training, or None where its folder holds none.

        Records of earlier versions are read. Raises UserError for one that cannot be.
        """
        path = folder / RECORD
        try:
            values = json.loads(path.read_text("utf-8"))
            names = {f.name for f in fields(cls)} - {"about", "validation", "reused"}
            known = {name: values[name] for name in names & set(values)}
            known["environments"] = msgspec.convert(values.get("environments", ()), tuple[Environment, ...])
            measured = {name: value for name, value in values.items() if name.startswith(_MEASURED)}
            return cls(
                **known,
                about={name: value for name, value in values.items() if name not in names | set(measured)},
                validation={n.removeprefix(_MEASURED): value for n, value in measured.items() if value is not None},
                reused=True,
            )
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path}: not the record of a training ({error}); train again with --fresh-training, or remove {folder}"
            ) from error
