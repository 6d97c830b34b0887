"""card.json: everything a number needs to be traced, recomputed and trusted."""

from __future__ import annotations

import json
import math
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from avbench import __version__
from avbench.errors import UserError
from avbench.places import written_whole

FORMAT = 1
_PACKAGES = ("torch", "torchaudio", "lightning-fabric", "numpy", "pandas", "scikit-learn", "av", "decord2", "mlflow")


def environment() -> dict[str, Any]:
    """Return versions, machine and the git state of the working folder."""
    versions = {"avbench": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "none"
    return {"packages": versions, "machine": platform.platform(), "command": sys.argv[1:], "git": _git()}


def _git() -> dict[str, Any]:
    """Return commit and dirty flag of the checkout that holds avbench; empty outside one."""
    folder = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10)
        status = subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    if commit.returncode:
        return {}
    return {"commit": commit.stdout.strip(), "dirty": bool(status.stdout.strip())}


def write(card: dict[str, Any], folder: Path) -> None:
    """Write card.json whole; numbers that are not finite become null."""
    with written_whole(folder / "card.json") as temporary:
        temporary.write_text(json.dumps(_plain(card), indent=2, allow_nan=False) + "\n", "utf-8")


def read(folder: Path) -> dict[str, Any]:
    """Read a run's card; UserError where there is none or it cannot be read."""
    path = folder / "card.json" if folder.is_dir() else folder
    try:
        card: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: no run here (no card.json); avbench report lists the runs there are") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a card: {error}") from error
    return card


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if isinstance(value, bool | str | int | None):
        return value
    if hasattr(value, "item"):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
