"""Weights on disk: safetensors for what is written, `weights_only` wherever torch loads."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from avbench.detector import Detector
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.paths import atomic_write


def save_weights(detector: Detector, path: Path, about: Mapping[str, Any]) -> str:
    """Write all weights with a note on where they come from; return the sha256 of the file."""
    state = {name: value.detach().cpu().contiguous().clone() for name, value in detector.state_dict().items()}
    with atomic_write(path) as temporary, told_as_os_error():
        save_file(state, temporary, metadata={"avbench": json.dumps(about, sort_keys=True)})
        found = sha256(temporary)
    return found


@contextmanager
def told_as_os_error() -> Iterator[None]:
    """Tell what torch and safetensors raise over a full disk for what it is."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        raise OSError(errno.EIO, f"cannot be written ({str(error).splitlines()[0]})") from error


def load_weights(detector: Detector, path: Path) -> dict[str, Any]:
    """Load weights strictly; return the note they carry (empty for a foreign file).

    Raises UserError where the file cannot be read or its names or shapes do not fit the detector.
    """
    state, about = read(path)
    try:
        state = detector.convert_checkpoint(state)
        if wrong := differences(detector.state_dict(), state):
            raise ValueError(wrong)
        detector.load_state_dict(dict(state), strict=True)
    except (RuntimeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(
            f"--checkpoint {path} does not fit {detector.config.detector} "
            f"(preset {detector.config.preset}, {detector.config.task}): {' '.join(lines)[:400]}"
        ) from error
    return about


def read(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Return what a file of weights holds, and the note that it carries; UserError for one that cannot be read."""
    about: dict[str, Any] = {}
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {}).get("avbench", "{}"))
            state: Mapping[str, Any] = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError) as error:
        raise UserError(f"--checkpoint {path}: cannot be read: {str(error).splitlines()[0]}") from error
    except Exception as error:  # pickles with code in them
        raise UserError(f"--checkpoint {path}: refused, it holds more than tensors ({type(error).__name__})") from error
    return state, about


def differences(own: Mapping[str, Tensor], given: Mapping[str, Tensor], most: int = 3) -> str:
    """Say in short which entries are missing, unexpected or of another shape; empty where all fit."""
    shapes = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    found = {
        "missing": [name for name in own if name not in given],
        "unexpected": [name for name in given if name not in own],
        "other shape": shapes,
    }
    return "; ".join(f"{len(all_)} {kind}: {_first(all_, most)}" for kind, all_ in found.items() if all_)


def _first(names: list[str], most: int) -> str:
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")


def frozen_digests(detector: Detector) -> dict[str, str]:
    """Return the sha256, in hex, of each parameter that does not train."""
    return {
        name: hashlib.sha256(parameter.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
        for name, parameter in detector.named_parameters()
        if not parameter.requires_grad
    }
