"""Weights and training states on disk: safetensors for weights, `weights_only` wherever torch loads."""

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
from avbench.paths import atomic_write

_KEPT = 2


def save_weights(detector: Detector, path: Path, about: Mapping[str, Any]) -> None:
    """Write all weights with a note on where they come from."""
    state = {name: value.detach().cpu().contiguous().clone() for name, value in detector.state_dict().items()}
    with atomic_write(path) as temporary, _as_os_error():
        save_file(state, temporary, metadata={"avbench": json.dumps(about, sort_keys=True)})


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Tell what torch and safetensors raise over a full disk for what it is."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        raise OSError(errno.EIO, f"cannot be written ({str(error).splitlines()[0]})") from error


def load_weights(detector: Detector, path: Path) -> dict[str, Any]:
    """Load weights strictly; return the note they carry (empty for a foreign file).

    Raises UserError where the file cannot be read or its names or shapes do not fit the detector.
    """
    about: dict[str, Any] = {}
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {}).get("avbench", "{}"))
            state: Mapping[str, Tensor] = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError) as error:
        raise UserError(f"--checkpoint {path}: cannot be read: {str(error).splitlines()[0]}") from error
    except Exception as error:  # pickles with code in them
        raise UserError(f"--checkpoint {path}: refused, it holds more than tensors ({type(error).__name__})") from error
    try:
        detector.load_state_dict(detector.convert_checkpoint(state), strict=True)
    except (RuntimeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(
            f"--checkpoint {path} does not fit {detector.config.detector} "
            f"(preset {detector.config.preset}, {detector.config.task}): {' '.join(lines)[:400]}"
        ) from error
    return about


def frozen_digests(detector: Detector) -> dict[str, str]:
    """Return the sha256, in hex, of each parameter that does not train."""
    return {
        name: hashlib.sha256(parameter.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
        for name, parameter in detector.named_parameters()
        if not parameter.requires_grad
    }


def save_state(
    folder: Path, number: int, detector: Detector, frozen: Mapping[str, str], rest: Mapping[str, Any]
) -> None:
    """Write a training state and keep the newest two.

    Of the weights in `frozen` (their `frozen_digests` when the training began) those that still are what they were
    are noted, not copied; what an earlier stage or `after_step` moved is copied.
    """
    left_out = dict(frozen.items() & frozen_digests(detector).items())
    model = {name: value for name, value in detector.state_dict().items() if name not in left_out}
    with atomic_write(folder / f"state-{number:08d}.pt") as temporary, _as_os_error():
        torch.save({"model": model, "frozen": left_out, **rest}, temporary)
    for old in sorted(folder.glob("state-*.pt"))[:-_KEPT]:
        old.unlink()


def load_state(folder: Path) -> dict[str, Any] | None:
    """Return the newest training state that can be read, or None."""
    for path in sorted(folder.glob("state-*.pt"), reverse=True):
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # cut off by a full disk: the one before it serves
            continue
        return state
    return None


def restore_model(detector: Detector, frozen: Mapping[str, str], state: Mapping[str, Any]) -> None:
    """Load a state's weights into a detector whose frozen weights, with these digests, are in place already."""
    if not state["frozen"].items() <= frozen.items():
        raise UserError("the frozen weights differ from those this training began with; repeat with --fresh")
    detector.load_state_dict({**detector.state_dict(), **state["model"]}, strict=True)
