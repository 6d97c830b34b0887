"""What a list of videos was made of: a row for each, kept beside the runs under its hash, so that changes are told."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from avbench.hashing import digest_of
from avbench.paths import atomic_write

log = logging.getLogger(__name__)

FOLDER = "inputs"
# Every column shapes a number; what a change of it is called, for one and for several.
COLUMNS: Mapping[str, tuple[str, str]] = {
    "id": ("video", "videos"),
    "dataset": ("dataset", "datasets"),
    "forgery": ("label", "labels"),
    "fake_periods": ("forged period", "forged periods"),
    "identity": ("identity", "identities"),
    "targets": ("target", "targets"),
    "cluster": ("cluster", "clusters"),
    "stratum": ("stratum", "strata"),
    "method": ("method", "methods"),
    "split": ("split", "splits"),
    "length": ("length", "lengths"),
    "annotations": ("annotation file", "annotation files"),
    "file": ("file", "files"),
}
Row = tuple[str, ...]  # in the order of COLUMNS


@dataclass(frozen=True)
class InputList:
    """A list of videos: a row for each, in the order in which they are used."""

    rows: tuple[Row, ...]

    @cached_property
    def digest(self) -> str:
        """Return the hash of all rows."""
        return digest_of(self.rows)

    def save(self, results: Path) -> None:
        """Keep the list below a results folder, once for all runs on it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = place(results, self.digest)
        if path.is_file():
            return
        table = pa.table({name: [row[k] for row in self.rows] for k, name in enumerate(COLUMNS)})
        with atomic_write(path) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)

    @classmethod
    def load(cls, results: Path, digest: str) -> InputList | None:
        """Return the list of a hash; None where it was not kept or is not what it was."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = place(results, digest)
        if not digest or not path.is_file():
            return None
        try:
            table = pq.read_table(path, page_checksum_verification=True)
            found = cls(tuple(zip(*(table[name].to_pylist() for name in COLUMNS), strict=True)))
        except (OSError, KeyError, pa.ArrowException) as error:
            log.warning("%s cannot be read: %s", path, str(error).splitlines()[0])
            return None
        return found if found.digest == digest else None


def place(results: Path, digest: str) -> Path:
    """Return where the list of a hash is kept."""
    return results / FOLDER / f"{digest[:16]}.parquet"


def changes(before: Mapping[str, InputList], after: Mapping[str, InputList]) -> str:
    """Say in short what differs between lists by name (train, validation, test), such as "3 files, 1 label".

    Empty where nothing does.
    """
    old, new = _by_id(before), _by_id(after)
    counts: Counter[tuple[str, str]] = Counter()
    for key in old.keys() & new.keys():
        (one, one_list), (other, other_list) = old[key], new[key]
        for number, words in enumerate(COLUMNS.values()):
            counts[words] += one[number] != other[number]
        counts["video in another list", "videos in another list"] += one_list != other_list
    counts["video more", "videos more"] = len(new.keys() - old.keys())
    counts["video less", "videos less"] = len(old.keys() - new.keys())
    told = [f"{count:,} {words[count > 1]}" for words, count in counts.items() if count]
    if told:
        return ", ".join(told)
    same = all(before[name].rows == after[name].rows for name in before.keys() & after.keys())
    return "" if same and before.keys() == after.keys() else "the order of the videos"


def _by_id(lists: Mapping[str, InputList]) -> dict[tuple[str, str, str], tuple[Row, str]]:
    """Return (row, list) by dataset and id; a video that is in two lists, chosen on and tested, counts in each."""
    found: dict[tuple[str, str, str], tuple[Row, str]] = {}
    for name, one in lists.items():
        for row in one.rows:
            key = (row[1], row[0], "")
            found[key if key not in found else (*key[:2], name)] = (row, name)
    return found


def text(values: Iterable[object]) -> str:
    """Return values as one text that no other values give."""
    return json.dumps(list(values), default=str, separators=(",", ":"))
