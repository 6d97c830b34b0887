"""What a file of weights is, and which part of a detector it fits: every way to use it is tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from avbench.config import Config, resolve
from avbench.engine import checkpoint
from avbench.engine.building import build, complaint
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.plugins.weights import starts
from avbench.types import DetectorSpec, WeightSpec


@dataclass(frozen=True, slots=True)
class Trial:
    """A way to use a file, as it is written on the command line, and why it does not fit (empty: it fits)."""

    way: str
    complaint: str


def known_as(path: Path, published: tuple[WeightSpec, ...]) -> tuple[str, list[WeightSpec]]:
    """Return a file's sha256, and the published weights that it is, or may be where the beginning alone is known."""
    found = sha256(path)
    return found, [weights for weights in published if weights.sha256 and found.startswith(weights.sha256)]


def content(path: Path) -> str:
    """Say what a file holds: how many tensors and numbers, the first names, and the run of avbench that wrote it."""
    try:
        state, about = checkpoint.read(path)
    except UserError:
        return "not a file of tensors alone"
    tensors = dict(_tensors(state))
    numbers = sum(tensor.numel() for tensor in tensors.values())
    names = ", ".join([*tensors][:3]) + (" ..." if len(tensors) > 3 else "")
    by = about.get("id") or about.get("detector")
    return f"{len(tensors)} tensors of {numbers:,} numbers ({names})" + (f", written by avbench: {by}" if by else "")


def _tensors(held: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of nested mappings by their paths."""
    if isinstance(held, Tensor):
        yield name, held
    elif isinstance(held, Mapping):
        for key, value in held.items():
            yield from _tensors(value, f"{name}.{key}" if name else str(key))


def trials(
    path: Path, spec: DetectorSpec, preset: str | None = None, overrides: tuple[str, ...] = ()
) -> Iterator[Trial]:
    """Try a file as the start of each part that the detector's preset has, and as a checkpoint in each task."""
    for number, task in enumerate(spec.tasks):
        config = resolve(spec, task, preset=preset, overrides=overrides)
        if number == 0:
            for start in starts(spec, config):
                said = complaint(build(spec, config, seed=0), start.setting, path)
                yield Trial(f"--set {start.setting}={path}", said)
        yield Trial(f"--checkpoint {path} --task {task}", _judged(path, spec, config))


def _judged(path: Path, spec: DetectorSpec, config: Config) -> str:
    detector = build(spec, config, seed=0)
    for stage in config.stages:
        detector.begin_stage(stage)
    try:
        checkpoint.load_weights(detector, path)
    except UserError as error:
        said = str(error).removeprefix(f"--checkpoint {path}").removeprefix(": ")
        return said.partition("): ")[2] if said.startswith(" does not fit") else said
    return ""
