"""demo.json, which says of a folder that it holds demo data, and of which version, difficulty and edition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from avbench.errors import UserError
from avbench.types import MadeData
from avbench_demo.plugin import CHOICES, VERSION

NAME = "demo.json"
_REQUIRED = {"version", "seed"}  # in every version; others' files of this name have something else
_USUAL = {name: values[0] for name, values in CHOICES}


def stamp_of(folder: Path) -> dict[str, Any] | None:
    """Return what demo.json of a folder says; None without one, and for one that demo data do not have.

    Raises UserError for one that cannot be read.
    """
    path = folder / NAME
    try:
        stamp = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}), so that nobody knows whether these are demo data; remove it where they "
            "are not, else make them again by avbench data demo --out DIR"
        ) from error
    return stamp if isinstance(stamp, dict) and stamp.keys() >= _REQUIRED else None


def made(folder: Path) -> MadeData | None:
    """Return which demo data a folder holds; None where it has no demo.json of theirs."""
    stamp = stamp_of(folder)
    if stamp is None:
        return None
    version = str(stamp["version"])
    chosen = {name: str(stamp[name]) for name, _ in CHOICES if name in stamp}  # before version 10 there was no choice
    if chosen == _USUAL:
        chosen = {}
    told = [] if version == str(VERSION) else [f"version {version}"]
    told += [f"{value} edition" if name == "edition" else value for name, value in chosen.items()]
    # Written last of all: what was changed later is not as it was made.
    at = (folder / NAME).stat().st_mtime_ns
    return MadeData("-".join([version, *chosen.values()]), ", ".join(told), at)
