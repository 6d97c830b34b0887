"""What is audited: the lists of a protocol, or a whole database, as one table of samples and measured files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log10
from pathlib import Path

import pandas as pd

from avbench import protocol as protocols
from avbench.auditing.file_facts import KIND, file_facts
from avbench.auditing.sound_facts import SECONDS
from avbench.data.databases import Database
from avbench.data.lists import Say, prepare
from avbench.data.scanning import scan_files
from avbench.data.splits import PARTS, Split
from avbench.errors import unknown
from avbench.plugins.registry import Plugins
from avbench.progress import Progress, made_with, silent
from avbench.protocol import Protocol
from avbench.types import Sample


@dataclass(frozen=True, slots=True)
class Subject:
    """The data that are audited.

    `table` has a row for each sample of each part: part, dataset, id, path, identity, others (a tuple), cluster,
    method, forgery, skip, and whatever `file_facts` measured (nan or None where it could not). `whole` says that a
    database was named, not a protocol: its shortcuts are looked for in all parts together.
    """

    name: str
    whole: bool
    protocol: Protocol
    split: Split
    databases: Mapping[str, Database]
    table: pd.DataFrame

    @property
    def demo(self) -> bool:
        """Whether demo data are audited."""
        return any(base.demo for base in self.databases.values())

    @property
    def crosses(self) -> bool:
        """Whether one database is trained on and another one judged."""
        return self.protocol.train != self.protocol.test

    def populations(self) -> dict[str, pd.DataFrame]:
        """Return the tables in which shortcuts are looked for; the last one is what verdicts are about."""
        if self.whole:
            return {"all": self.table}
        return {part: self.table[self.table["part"] == part] for part in ("train", "test")}


def find(name: str, plugins: Plugins) -> tuple[Protocol, bool]:
    """Return the protocol of that name, or that within the database of that name, and whether it was a database."""
    known = plugins.protocols()
    if name in plugins.datasets() and name not in known:
        return known[f"within_{name}"], True
    if name in known or Path(name).suffix in protocols.SUFFIXES:
        return plugins.protocol(name), False
    raise unknown("dataset or protocol", name, [*plugins.datasets(), *known])


def read(
    name: str,
    protocol: Protocol,
    plugins: Plugins,
    roots: Mapping[str, Path],
    *,
    whole: bool = False,
    limit: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    allow_demo: bool = False,
    progress: Progress = silent,
    say: Say = lambda line: None,
) -> Subject:
    """Locate, split and measure; leaks that would stop a training are let through, so that they can be told.

    `limit` bounds each part, drawn by seed.
    """
    protocol = replace(protocol, select_on="validation", perturbations=(), levels=())
    lists = prepare(
        protocol,
        plugins,
        roots,
        limit=limit,
        seed=seed,
        say=say,
        made=made_with(progress, "make demo data"),
        progress=progress,
        refuse_leaks=False,
        allow_demo=allow_demo,
    )
    samples = [(part, sample) for part in PARTS for sample in getattr(lists.split, part)]
    facts = scan_files(
        (s.path for _, s in samples), file_facts, KIND, workers=workers, progress=progress, title="read files"
    )
    rows = [_row(part, sample) | _without_start(facts[sample.path], sample.skip) for part, sample in samples]
    bases = {base.spec.name: base for base in (lists.train, lists.test) if base is not None}
    return Subject(name, whole, protocol, lists.split, bases, pd.DataFrame(rows))


def _row(part: str, sample: Sample) -> dict[str, object]:
    return {
        "part": part,
        "dataset": sample.dataset,
        "id": sample.id,
        "path": str(sample.path),
        "identity": sample.identity,
        "others": sample.other_identities,
        "cluster": f"{sample.dataset}/{sample.cluster}",
        "method": sample.method,
        "forgery": int(sample.forgery),
        "skip": sample.skip,
        "listed_seconds": sample.duration,
        "reason": None,
    }


def _without_start(facts: Mapping[str, object], skip: float) -> dict[str, object]:
    """Return the facts of a file whose leading silence a protocol drops."""
    found = dict(facts)
    if skip and isinstance(seconds := found.get("seconds"), float):
        found |= {"seconds": seconds - skip, "leading_silence": 0.0}
        found["frames"] = round((seconds - skip) * float(str(found.get("fps") or 0)))
        heard = min(seconds, SECONDS)
        if isinstance(silent := found.get("silence_fraction"), float) and heard > skip:
            found["silence_fraction"] = max(0.0, silent * heard - skip) / (heard - skip)
        if isinstance(loudness := found.get("loudness"), float) and heard > skip:
            found["loudness"] = loudness + 10 * log10(heard / (heard - skip))
    return found
