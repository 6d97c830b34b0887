"""Says what a folder of one's own files holds, and what is missing or vague."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from avbench.data.file_names import below
from avbench.data.splits import split
from avbench.errors import UserError
from avbench.types import Finding, Forgery, Sample
from avbench_folder.class_folders import SOUND, VIDEO, find
from avbench_folder.labels import is_vague
from avbench_folder.reader import alike, read_table, scan, table_of

SHOWN = 5


def check(root: Path) -> Iterator[Finding]:
    """Yield what is wrong or worth knowing about the files at `root`."""
    where = str(root)
    try:
        samples = list(below(scan(root), root))
    except UserError as error:
        yield Finding("error", where, str(error))
        return
    for what, names in (
        ("missing", [s.id for s in samples if not s.path.is_file()]),
        ("empty", [s.id for s in samples if s.path.is_file() and s.path.stat().st_size == 0]),
    ):
        if names:
            first = ", ".join([*names[:SHOWN], *(["..."] if names[SHOWN:] else [])])
            yield Finding("error", where, f"{len(names)} files are {what}: {first}")
    for line in _left_out(root, samples):
        yield Finding("warning", where, line)
    counts = Counter(sample.forgery for sample in samples)
    for forgery in Forgery:
        yield Finding("note", where, f"{forgery.name}: {counts[forgery]} files")
    if not counts[Forgery.RARV] or len(counts) == 1:
        yield Finding("warning", where, "only real or only fake files: most metrics are undefined")
    if vague := _vague(root, samples):
        what = "fakes do not say which stream is forged: only their binary label can be trusted"
        yield Finding("warning", where, f"{vague} {what}")
    yield Finding("note", where, f"{len({sample.identity for sample in samples})} identities")
    try:
        split(samples).check_trainable()
    except UserError as error:
        yield Finding("warning", where, f"nothing can be trained on these files: {error}")


def _left_out(root: Path, samples: list[Sample]) -> list[str]:
    table = table_of(root)
    if table is None:
        return find(root)[1].lines()
    listed = {os.path.normpath(sample.path) for sample in samples}
    unlisted = 0
    for folder, _, names in os.walk(table.parent, followlinks=False):
        media = (name for name in names if os.path.splitext(name)[1].lower() in VIDEO | SOUND)
        unlisted += sum(os.path.normpath(os.path.join(folder, name)) not in listed for name in media)
    return [*alike(samples), *([f"{unlisted} files are not in {table.name} and are left out"] if unlisted else [])]


def _vague(root: Path, samples: list[Sample]) -> int:
    table = table_of(root)
    if table is None:
        return sum(is_vague(sample.id.split("/")[0]) for sample in samples)
    return sum(is_vague(row["label"]) and not row.get("video_fake") for _, row in read_table(table))
