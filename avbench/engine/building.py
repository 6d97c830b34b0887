"""A detector from its specification: built, and started from published weights; what goes wrong is one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from avbench.config import Config, changes
from avbench.detector import Detector
from avbench.engine.calling import calling
from avbench.errors import UserError
from avbench.own_line import PluginError, line_of, said, shown
from avbench.references import load_object
from avbench.types import DetectorSpec


def class_of(spec: DetectorSpec) -> Any:
    """Return the class of a detector, or what else makes one; UserError where it cannot be imported or makes none."""
    kind = load_object(spec.load, f"detector {spec.name}")
    if not callable(kind) or (isinstance(kind, type) and not issubclass(kind, Detector)):
        raise _no_detector(spec)
    return kind


def build(spec: DetectorSpec, config: Config, seed: int) -> Detector:
    """Construct a detector; its random weights are a function of the seed.

    Whatever its constructor raises becomes a UserError that names its line and what was set beside the preset.
    """
    torch.manual_seed(seed)
    kind = class_of(spec)
    try:
        with calling(kind, "__init__"):
            detector = kind(config)
    except UserError as error:
        cause = error.__cause__
        preset = next((p for p in spec.presets if p.name == config.preset), None)
        changed = changes(config, preset) if preset is not None else []
        given = f" with {' '.join(changed)}" if changed else ""
        why = str(error)
        if isinstance(cause, ValueError):  # which the plugin's author wrote for its user
            line = line_of(cause, kind)
            why = f"{said(cause)}{f' (at {shown(line)})' if line else ''}"
        raise PluginError(f"{spec.name} cannot be built of preset {config.preset}{given}: {why}") from cause
    if not isinstance(detector, Detector):
        raise _no_detector(spec)
    return detector


def _no_detector(spec: DetectorSpec) -> UserError:
    return UserError(f"detector {spec.name}: {spec.load} is not an avbench.detector.Detector")


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
    return said(error) if isinstance(error, ValueError) and str(error) else f"{type(error).__name__}: {said(error)}"
