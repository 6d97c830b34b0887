"""Says what a folder of one's own files holds, and what is missing or vague."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from avbench.data.splits import split
from avbench.errors import UserError
from avbench.types import Finding, Forgery, Sample
from avbench_folder.reader import VAGUE, read_table, scan, table_of

SHOWN = 5


def check(root: Path) -> Iterator[Finding]:
    """Yield what is wrong or worth knowing about the files at `root`."""
    where = str(root)
    try:
        samples = scan(root)
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


def _vague(root: Path, samples: list[Sample]) -> int:
    table = table_of(root)
    if table is None:
        return sum(sample.id.split("/")[0].lower() in VAGUE for sample in samples)
    return sum(row["label"].lower() in VAGUE and not row.get("video_fake") for _, row in read_table(table))
