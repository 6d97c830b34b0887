"""Scores that another framework made, judged by the same lists, metrics, intervals and card; marked "external"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avbench.bench.card import environment, marks_of
from avbench.bench.run import finish
from avbench.data.lists import Say, prepare
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.paths import results_folder
from avbench.plugins.registry import Plugins
from avbench.protocol import Protocol
from avbench.records import card as cards
from avbench.records import scores
from avbench.records.run import Run

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def judge(
    path: Path,
    name: str,
    protocol: Protocol,
    plugins: Plugins,
    roots: Mapping[str, Path],
    *,
    limit: int | None = None,
    seed: int = 0,
    results: Path | None = None,
    say: Say = lambda line: None,
) -> Run:
    """Measure a scores file on a protocol's test list.

    Raises UserError for scores that do not fit the list.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"--name {name!r} cannot name a folder: use letters, digits, '.', '_' and '-'")
    lists = prepare(protocol, plugins, roots, limit=limit, seed=seed, say=say)
    table = scores.read_external(path, lists.split.test)
    task = "four_class" if table["p_rarv"].notna().any() else "binary"
    digest = sha256(path)
    folder = (results or results_folder()) / "runs" / f"{name}-{protocol.name}-{task}-s{seed}-{digest[:8]}"
    card: dict[str, Any] = {
        "format": cards.FORMAT,
        "id": folder.name,
        "status": "running",
        "group": "",
        "task": task,
        "seed": seed,
        "detector": {
            "name": name,
            "title": name,
            "version": "",
            "source": f"scores {path.name}, sha256 {digest}",
            "preset": "",
            "pooling": "mean",
            "requires": [],
        },
        "protocol": {**protocol.as_dict(), "placements": ["oracle"], "digest": protocol.digest()},
        "data": lists.describe(),
        "training": {"trained_on": "unknown"},
        "reported": {},
        "marks": ["external", *marks_of(protocol, lists, limit)],
        "seconds": {},
        "device": "",
        "environment": environment(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    plugins.notify("avbench_run_started", card=card, folder=folder)
    finish(card, table, folder, plugins)
    return Run(card, folder)
