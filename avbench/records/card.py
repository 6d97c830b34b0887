"""card.json: everything a number needs to be traced, recomputed and trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avbench.errors import UserError
from avbench.paths import atomic_write

if TYPE_CHECKING:
    pass

FORMAT = 1


def now() -> str:
    """Return the time in UTC, to the second, such as 2026-01-31T12:00:00+00:00; later times are greater texts."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write(card: dict[str, Any], folder: Path) -> None:
    """Write card.json whole; numbers that are not finite become null."""
    with atomic_write(folder / "card.json") as temporary:
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


def title(card: Mapping[str, Any]) -> str:
    """Name a run in one line, demo data first so that nobody overlooks it."""
    protocol, detector = card["protocol"], card["detector"]
    parts = [
        detector.get("title") or detector["name"],
        f"{protocol['name']} v{protocol['version']}",
        {"binary": "binary", "four_class": "four-class"}[card["task"]],
        f"seed {card['seed']}",
    ]
    return " · ".join(["DEMO DATA"] * is_demo(card) + parts)


def is_demo(card: Mapping[str, Any]) -> bool:
    """Whether a card's numbers come from demo data."""
    return "demo data" in card.get("marks", [])
