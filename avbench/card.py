"""card.json: everything a number needs to be traced, recomputed and trusted."""

from __future__ import annotations

import json
import math
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avbench import __version__
from avbench.errors import UserError
from avbench.places import written_whole
from avbench.plugins import installed
from avbench.types import ClipSpec

if TYPE_CHECKING:
    from avbench.cell import Cell, Resolved
    from avbench.prepare import Lists
    from avbench.protocol import Protocol

FORMAT = 1
_PACKAGES = ("torch", "torchaudio", "lightning-fabric", "numpy", "pandas", "scikit-learn", "av", "mlflow")


def begin(cell: Cell, resolved: Resolved, source: str, device: str) -> dict[str, Any]:
    """Return the card of a run that starts: all that is known before anything is measured."""
    spec, settings, protocol = resolved.spec, resolved.config, cell.protocol
    marks = marks_of(protocol, resolved.lists, cell.limit, cell.limit_test)
    marks += ["published bugs reproduced"] * bool(settings.settings.get("reproduce_bugs"))
    # Published values stand beside whole databases only.
    comparable = not resolved.lists.demo and cell.limit is None and cell.limit_test is None
    reported = protocol.reported.get(spec.name, {}).get(cell.task, {}) if comparable else {}
    return {
        "format": FORMAT,
        "id": resolved.id,
        "status": "running",
        "started": now(),
        "group": cell.group,
        "task": cell.task,
        "seed": cell.seed,
        "detector": {
            "name": spec.name,
            "title": spec.title or spec.name,
            "version": spec.version,
            "source": source,
            "preset": settings.preset,
            "pooling": spec.pooling,
            "requires": sorted(settings.requires),
            "region": region_of(settings.clip),
        },
        **members_of(resolved),
        "asked": {
            "preset": cell.preset,
            "overrides": list(cell.overrides),
            "limit": cell.limit,
            "limit_test": cell.limit_test,
            "data": {name: str(root.resolve()) for name, root in cell.roots.items()},
            "checkpoint": str(cell.checkpoint.resolve()) if cell.checkpoint else None,
        },
        "protocol": {**protocol.as_dict(), "placements": list(resolved.placements), "digest": protocol.digest()},
        "data": resolved.lists.describe(),
        "training": {
            "config": settings.as_dict() | {f"member {m.spec.name}": m.config.as_dict() for _, m in resolved.members},
            "weights": {name: chosen.sha256 for name, chosen in settings.weights.items()},
        },
        "reported": dict(reported),
        "variant": list(marks),
        "marks": marks,
        "seconds": {},
        "device": device,
        "environment": environment(),
    }


def members_of(resolved: Resolved) -> dict[str, Any]:
    """Return what the card of an ensemble says of its members and their runs; nothing for a single detector."""
    about = [
        {
            "detector": member.spec.name,
            "title": member.spec.title or member.spec.name,
            "version": member.spec.version,
            "preset": member.config.preset,
            "pooling": member.spec.pooling,
            "requires": sorted(member.config.requires),
            "run": member.id,
        }
        for _, member in resolved.members
    ]
    return {"members": about} if about else {}


def marks_of(protocol: Protocol, lists: Lists, limit: int | None, limit_test: int | None = None) -> list[str]:
    """Return what sets a number apart from one on whole, real databases under the plain protocol."""
    marks = {
        "demo data": lists.demo,
        "selected on test": protocol.select_on == "test",
        "every sample of the test database": protocol.test_on == "all",
        "strict identity": protocol.strict_identity,
        "leading silence trimmed": protocol.trim_silence,
        "balanced test list": protocol.test_distribution == "balanced",
        f"limited to {limit}": limit is not None,
        f"test list limited to {limit_test}": limit_test is not None,
    }
    return [mark for mark, holds in marks.items() if holds]


def region_of(clip: ClipSpec) -> str:
    """Say which part of a picture is seen, and who finds it: a plugin that tracks faces, or nobody."""
    if not clip.frames:
        return "none"
    trackers = [found.plugin_name for found in installed().manager.hook.avbench_face_track.get_hookimpls()]
    if clip.region == "frame":
        return "frame"
    return f"{clip.region}, {'tracked by ' + ', '.join(trackers) if trackers else 'a fixed window'}"


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
        status = subprocess.run(
            ["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    if commit.returncode:
        return {}
    return {"commit": commit.stdout.strip(), "dirty": bool(status.stdout.strip())}


def now() -> str:
    """Return the time in UTC, to the second, such as 2026-01-31T12:00:00+00:00; later times are greater texts."""
    return datetime.now(UTC).isoformat(timespec="seconds")


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
