"""Leaks between training, validation and test: ids, people seen, people named as targets, and the very same content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from avbench.auditing.subject import Subject
from avbench.auditing.verdicts import Level, Verdict
from avbench.records.table import percent

PAIRS = (("train", "test"), ("validation", "test"), ("train", "validation"))
CONTENT = {"file_hash": "files", "video_hash": "pictures", "audio_hash": "sounds"}
SHOWN = 3
STRICT = "use --strict-identity, which drops test fakes that name people of training, and report both figures"


@dataclass(frozen=True, slots=True)
class Leak:
    """What `second` shares with `first`: `count` of its `of` videos, the first few of them by name.

    `kind` is ids, identities, targets (fakes of `second` name an identity of `first`), named (videos of `second` are of
    people whom fakes of `first` name), files, pictures or sounds.
    """

    kind: str
    first: str
    second: str
    count: int
    of: int
    examples: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def leaks(subject: Subject) -> list[Leak]:
    """Count what each pair of parts shares; people are compared within a database only."""
    found = []
    parts = {part: rows for part, rows in subject.table.groupby("part")}
    for first, second in PAIRS:
        if first not in parts or second not in parts:
            continue
        one, other = parts[first], parts[second]
        for kind, column in (("ids", "id"), ("identities", "identity")):
            seen = set(zip(one["dataset"], one[column], strict=True))
            hit = [pair in seen for pair in zip(other["dataset"], other[column], strict=True)]
            found.append(_leak(kind, first, second, other, pd.Series(hit, other.index)))
        people = set(zip(one["dataset"], one["identity"], strict=True))
        fakes = other[other["forgery"] > 0]
        pairs = zip(fakes["dataset"], fakes["others"], strict=True)
        named = [any((dataset, name) in people for name in names) for dataset, names in pairs]
        found.append(_leak("targets", first, second, fakes, pd.Series(named, fakes.index, dtype=bool)))
        train_fakes = one[one["forgery"] > 0]
        targets = {
            (base, name)
            for base, who in zip(train_fakes["dataset"], train_fakes["others"], strict=True)
            for name in who
        }
        met = [pair in targets for pair in zip(other["dataset"], other["identity"], strict=True)]
        found.append(_leak("named", first, second, other, pd.Series(met, other.index, dtype=bool)))
        for column, kind in CONTENT.items():
            found.append(
                _leak(kind, first, second, other, _known(other, column).isin(set(_known(one, column).dropna())))
            )
    return found


def _known(table: pd.DataFrame, column: str) -> pd.Series:
    """Return hashes, of sounds only where something is heard: silence is everywhere the same."""
    if column not in table:
        return pd.Series(None, table.index, dtype=object)
    hashes = table[column]
    if column == "audio_hash" and "silent" in table:
        hashes = hashes.where(table["silent"].eq(False))
    return hashes.where(hashes.notna(), None)


def _leak(kind: str, first: str, second: str, rows: pd.DataFrame, hit: pd.Series) -> Leak:
    return Leak(kind, first, second, int(hit.sum()), len(rows), tuple(rows.loc[hit, "id"].sort_values()[:SHOWN]))


def verdicts(found: list[Leak], subject: Subject) -> Iterator[Verdict]:
    """Yield what leaks ids and people, targets, and content."""
    yield _verdict(
        "people in two parts",
        [leak for leak in found if leak.kind in {"ids", "identities"}],
        "fail",
        _who(subject),
        "mend the split: each identity belongs to one part alone",
    )
    targets = [leak for leak in found if leak.kind in {"targets", "named"}]
    if any(subject.table["others"].map(len)):
        dropped = subject.split.dropped_by_strict
        none = f"no fake names a person of another part{f' ({dropped} dropped as strict)' if dropped else ''}"
        yield _verdict("people named as targets", targets, "warning", none, STRICT)
    else:
        yield Verdict("people named as targets", (7,), "not applicable", "no sample names another identity")
    contents = [leak for leak in found if leak.kind in CONTENT.values()]
    yield _verdict(
        "content in two parts",
        contents,
        "fail",
        "no file and no stream is in two parts",
        "leave the test videos out that were learnt, or give all copies one identity",
    )


def _verdict(name: str, found: list[Leak], level: Level, none: str, advice: str) -> Verdict:
    told = [leak for leak in found if leak.count]
    if not told:
        return Verdict(name, (7,), "ok", none)
    texts = [
        f"{leak.count} of {leak.of} {leak.second} {'fakes' if leak.kind == 'targets' else 'videos'} "
        f"({percent(leak.count / leak.of)} %) {_what(leak)}, such as {leak.examples[0].rpartition('/')[2]}"
        for leak in told
    ]
    worst = max(told, key=lambda leak: (leak.second == "test", leak.count / leak.of))
    # Shared by training and validation alone, it costs the choice of a checkpoint, not the figure.
    level = level if worst.second == "test" else "warning"
    return Verdict(name, (7,), level, "; ".join(texts), advice, worst.count / worst.of)


def _what(leak: Leak) -> str:
    if leak.kind == "targets":
        return f"name a person of {leak.first}"
    if leak.kind == "named":
        return f"are of people whom fakes of {leak.first} name"
    return f"have {leak.kind} of {leak.first}"


def _who(subject: Subject) -> str:
    rows = subject.table
    counts = rows.groupby("part")["identity"].nunique()
    whom = " / ".join(dict.fromkeys(base.spec.identity_is for base in subject.databases.values()))
    return f"{', '.join(f'{part} {counts[part]}' for part in counts.index)} identities, none in two parts ({whom})"


def overlap_verdict(subject: Subject) -> Verdict:
    """Return whether speakers of the trained-on database may be in the judged one."""
    name, numbers = "speakers of two databases", (13,)
    if not subject.crosses:
        return Verdict(name, numbers, "not applicable", "one database")
    shared = subject.split.shared_names
    nameless = [b.spec for b in subject.databases.values() if not b.spec.identity_is.startswith(("speaker", "person"))]
    if shared:
        return Verdict(
            name,
            numbers,
            "warning",
            f"{shared} identities have one name in both databases",
            "databases made from VoxCeleb share speakers: say so beside the figure, or leave those speakers out",
            float(shared),
        )
    if nameless:
        who = " and ".join(spec.title for spec in nameless)
        evidence = f"cannot be told: {who} names no speakers"
        advice = "databases made from VoxCeleb share speakers: do not call the test set unseen people"
        return Verdict(name, numbers, "warning", evidence, advice)
    return Verdict(name, numbers, "ok", "no identity has one name in both databases")
