"""The card of a run that begins: all that is known before anything is measured."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avbench import __version__
from avbench.bench.resolving import region_of
from avbench.records.card import FORMAT, now
from avbench.records.suite import published
from avbench.types import Task

if TYPE_CHECKING:
    from avbench.bench.resolving import ResolvedRun
    from avbench.data.lists import Lists
    from avbench.protocol import Protocol

_PACKAGES = ("torch", "torchaudio", "lightning-fabric", "numpy", "pandas", "scikit-learn", "av", "mlflow")


def begin(resolved: ResolvedRun, source: str, device: str, group: str = "") -> dict[str, Any]:
    """Return the card of a run that starts: all that is known before anything is measured."""
    asked, spec, settings, protocol = resolved.spec, resolved.detector, resolved.config, resolved.spec.protocol
    marks = marks_of(protocol, resolved.lists, asked.limit, asked.limit_test)
    marks += ["published bugs reproduced"] * bool(settings.settings.get("reproduce_bugs"))
    # Published values stand beside whole databases only.
    comparable = not resolved.lists.demo and asked.limit is None and asked.limit_test is None
    reported = published_of(protocol, spec.name, asked.task) if comparable else {}
    return {
        "format": FORMAT,
        "id": resolved.id,
        "status": "running",
        "started": now(),
        "group": group,
        "task": asked.task,
        "seed": asked.seed,
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
            "preset": asked.preset,
            "overrides": list(asked.overrides),
            "limit": asked.limit,
            "limit_test": asked.limit_test,
            "data": {name: str(root.resolve()) for name, root in asked.roots.items()},
            "checkpoint": str(asked.checkpoint.resolve()) if asked.checkpoint else None,
        },
        "protocol": {**protocol.as_dict(), "placements": list(resolved.placements), "digest": protocol.digest()},
        "data": resolved.lists.describe(),
        "training": {
            "config": settings.as_dict() | {f"member {m.detector.name}": m.config.as_dict() for m in resolved.members},
            "weights": {name: chosen.sha256 for name, chosen in settings.weights.items()},
        },
        "reported": dict(reported),
        "variant": list(marks),
        "marks": marks,
        "seconds": {},
        "device": device,
        "environment": environment(),
    }


def members_of(resolved: ResolvedRun) -> dict[str, Any]:
    """Return what the card of an ensemble says of its members and their runs; nothing for a single detector."""
    about = [
        {
            "detector": member.detector.name,
            "title": member.detector.title or member.detector.name,
            "version": member.detector.version,
            "preset": member.config.preset,
            "pooling": member.detector.pooling,
            "requires": sorted(member.config.requires),
            "run": member.id,
        }
        for member in resolved.members
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


def published_of(protocol: Protocol, detector: str, task: Task) -> Mapping[str, float]:
    """Return the paper's values by metric, empty where it prints none or the test videos are perturbed."""
    if protocol.perturbations:
        return {}
    return published().get(protocol.name, {}).get(detector, {}).get(task, {})
