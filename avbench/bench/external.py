"""Scores that another framework made, judged by the same lists, metrics and intervals; their caveat is `external`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from avbench import __version__
from avbench.bench.card import caveats_of
from avbench.bench.changes import changed_since
from avbench.bench.resolving import plugins_of
from avbench.bench.run import finish
from avbench.data.lists import Say, prepare
from avbench.engine.environment import environment
from avbench.errors import UserError
from avbench.hashing import digest_of, sha256
from avbench.paths import results_folder
from avbench.plugins.registry import Plugins
from avbench.protocol import Protocol
from avbench.records.card import Card, Status
from avbench.records.card_file import plain
from avbench.records.card_parts import DetectorPart, ProtocolRecord, TrainingRecord
from avbench.records.caveats import Caveat
from avbench.records.external_scores import read_external
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
    allow_demo: bool = False,
    say: Say = lambda line: None,
) -> Run:
    """Measure a scores file on a protocol's test list.

    Raises UserError for scores that do not fit the list.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"--name {name!r} cannot name a folder: use letters, digits, '.', '_' and '-'")
    lists = prepare(protocol, plugins, roots, limit=limit, seed=seed, say=say, allow_demo=allow_demo)
    table = read_external(path, lists.split.test)
    task = "four_class" if table["p_rarv"].notna().any() else "binary"
    digest = sha256(path)
    made_of = {
        "scores": digest,
        "test data": lists.inputs["test"].digest,
        "avbench": __version__,
        **plugins_of(plugins, "avbench_metrics"),
    }
    shaped = digest_of({**made_of, "protocol": protocol.digest(), "data": plain(lists.describe())})
    folder = (results or results_folder()) / "runs" / f"{name}-{protocol.name}-{task}-s{seed}-{shaped[:8]}"
    caveats = (Caveat.EXTERNAL, *caveats_of(protocol, lists, limit))
    card = Card(
        id=folder.name,
        task=task,
        seed=seed,
        detector=DetectorPart(name=name, title=name, source=f"scores {path.name}, sha256 {digest}"),
        protocol=ProtocolRecord.of(protocol, ("oracle",)),
        data=lists.describe(),
        training=TrainingRecord(trained_on="unknown"),
        variant=caveats,
        caveats=caveats,
        environment=environment(),
        made_of=made_of,
    )
    card = replace(card, changes=changed_since(card, lists.inputs, folder.parents[1]))
    if card.changes:
        say(card.changes)
    lists.inputs["test"].save(folder.parents[1])
    folder.mkdir(parents=True, exist_ok=True)
    try:
        plugins.notify("avbench_run_started", card=card, folder=folder)
        card = finish(card, table, folder, plugins)
    except BaseException as error:
        status: Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        ended = replace(card, status=status, error=f"{type(error).__name__}: {error}")
        plugins.notify("avbench_run_failed", card=ended, folder=folder)
        raise
    plugins.notify("avbench_run_finished", card=card, folder=folder)
    return Run(card, folder)
