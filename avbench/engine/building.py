"""A detector from its specification: built, and started from published weights; what goes wrong is one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from avbench.config import Config, changes
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.references import load_object
from avbench.types import DetectorSpec

LONGEST = 500  # characters of an error: PyTorch lists every name that does not fit


def build(spec: DetectorSpec, config: Config, seed: int) -> Detector:
    """Construct a detector; its random weights are a function of the seed.

    A ValueError of its constructor becomes a UserError that names what was set beside the preset.
    """
    torch.manual_seed(seed)
    kind = load_object(spec.load, f"detector {spec.name}")
    try:
        detector = kind(config)
    except ValueError as error:
        preset = next((p for p in spec.presets if p.name == config.preset), None)
        changed = changes(config, preset) if preset is not None else []
        given = f" with {' '.join(changed)}" if changed else ""
        raise UserError(f"{spec.name} cannot be built of preset {config.preset}{given}: {_said(error)}") from error
    if not isinstance(detector, Detector):
        raise UserError(f"detector {spec.name}: {spec.load} is not an avbench.detector.Detector")
    return detector


def load_pretrained(detector: Detector, files: Mapping[str, Path]) -> None:
    """Start a detector from published weights, files by the name of the setting that chose them.

    Whatever is wrong with a file (unreadable, another container, names or shapes that do not fit) is a UserError.
    """
    for setting, path in files.items():
        try:
            detector.load_pretrained({setting: path})
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"{setting} = {path}: {detector.config.detector} cannot start from this file: {_said(error)}; give "
                f"another file, or {setting}=random"
            ) from error


def complaint(detector: Detector, setting: str, path: Path) -> str:
    """Return why a part of a detector cannot start from a file; empty where it can, and then it has."""
    try:
        detector.load_pretrained({setting: path})
    except Exception as error:
        return str(error) if isinstance(error, UserError) else _said(error)
    return ""


def _said(error: Exception) -> str:
    """Return an error's message in one line; its class too where the message was not written for a user."""
    text = " ".join(str(error).split())
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text or 'no message'}"
