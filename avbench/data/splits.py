"""Who trains and who is tested: splits by identity, leak checks, balanced and limited lists.

Draws are hashes of a seed and a name: neither other samples nor their order nor the machine matter.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from avbench.errors import UserError
from avbench.hashing import stable_hash
from avbench.types import Forgery, Sample

FOLDS = 5
FOLD_SEED = 2024
VALIDATION_SHARE = 0.1

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """Three lists of samples and what a card must say about them.

    `fold` is None where the database has its own split. `dropped_by_strict` counts test fakes left out since
    their target is a training identity; `target_overlap` those still in the test list; `named_in_training`
    training fakes whose target is a test identity; `shared_names` identities called alike in two databases.
    """

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]
    fold: int | None = None
    dropped_by_strict: int = 0
    target_overlap: int = 0
    named_in_training: int = 0
    shared_names: int = 0
    notes: tuple[str, ...] = ()

    def check_trainable(self) -> None:
        """Raise UserError where there is nothing to train on or nothing to choose a checkpoint on."""
        for part, samples in (("training", self.train), ("validation", self.validation)):
            if not samples:
                why = "; ".join(self.notes)
                raise UserError(f"no {part} samples ({why}); three identities or more are needed")


def identity_of(sample: Sample) -> str:
    """Return the sample's identity; a sample that names none is its own."""
    return sample.identity or sample.id


def folds(samples: Iterable[Sample], count: int = FOLDS, seed: int = FOLD_SEED) -> dict[str, int]:
    """Return the fold, 1 to `count`, in which each identity is tested.

    One generator walks the sorted strata and shuffles the sorted identities of each; folds are dealt in turn
    over all of them, so their sizes differ by one identity at most. Fewer identities than folds: fewer folds.
    """
    stratum_of: dict[str, str] = {}
    for sample in samples:
        identity = identity_of(sample)
        stratum_of[identity] = min(stratum_of.get(identity, sample.stratum), sample.stratum)
    strata: dict[str, list[str]] = {}
    for identity in sorted(stratum_of):
        strata.setdefault(stratum_of[identity], []).append(identity)
    generator = random.Random(seed)
    dealt: list[str] = []
    for stratum in sorted(strata):
        generator.shuffle(strata[stratum])
        dealt += strata[stratum]
    return {identity: place % count + 1 for place, identity in enumerate(dealt)}


def split(
    samples: Sequence[Sample],
    *,
    fold: int = 1,
    seed: int = FOLD_SEED,
    strict_identity: bool = False,
    train_identities: frozenset[str] | None = None,
    refuse_leaks: bool = True,
) -> Split:
    """Split one database by its own split, by an official list of training identities, or by identity folds.

    Validation is the database's own, else a tenth of the training identities, at least one. Raises UserError
    for a fold out of range, where only some samples name a split; unless `refuse_leaks` is False (an audit tells them
    instead), also where ids are repeated and where training and test share an identity.
    """
    if not samples:
        raise UserError("no samples to split")
    if refuse_leaks:
        _refuse_duplicates(samples)
    own = train_identities is None and any(sample.split for sample in samples)
    if own:
        train, validation, test = _own_parts(samples)
        notes = ["the database's own split"]
    else:
        tested, note = _tested(samples, fold, seed, train_identities)
        train = [sample for sample in samples if identity_of(sample) not in tested]
        test = [sample for sample in samples if identity_of(sample) in tested]
        validation, notes = [], [note]
    if not validation:
        train, validation, note = _hold_out(train, seed)
        notes.append(note)
    parts = Split(tuple(train), tuple(validation), tuple(test), None if own else fold, notes=tuple(notes))
    return _checked(parts, strict_identity=strict_identity, refuse_leaks=refuse_leaks)


def cross(
    train_split: Split,
    test_split: Split,
    *,
    test_on: Literal["test", "all"] = "test",
    strict_identity: bool = False,
    refuse_leaks: bool = True,
) -> Split:
    """Join the training side of one database's split with the test side of another's.

    Identities are compared within a database only; names that occur in both are counted, since databases made
    from VoxCeleb share speakers. `test_on="all"` judges every sample of the other database.
    """
    everything = (*test_split.train, *test_split.validation, *test_split.test)
    test = everything if test_on == "all" else test_split.test
    notes = [*(f"training: {note}" for note in train_split.notes), *(f"test: {note}" for note in test_split.notes)]
    fold = train_split.fold if test_split.fold is None else test_split.fold
    parts = Split(train_split.train, train_split.validation, tuple(test), fold, notes=tuple(notes))
    return _checked(parts, strict_identity=strict_identity, refuse_leaks=refuse_leaks)


def balance(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Return equally many samples of each class that occurs, drawn by seed, in their order."""
    counts = Counter(sample.forgery for sample in samples)
    fewest = min(counts.values(), default=0)
    return _drawn(samples, dict.fromkeys(counts, fewest), seed)


def limit(samples: Sequence[Sample], most: int, seed: int) -> list[Sample]:
    """Return at most `most` samples in their order, drawn by seed, classes in proportion (largest remainder).

    Each class that occurs keeps at least one sample where `most` allows it.
    """
    if most < 1:
        raise UserError(f"--limit {most}: must be at least 1")
    if len(samples) <= most:
        return list(samples)
    counts = Counter(sample.forgery for sample in samples)
    quota = dict.fromkeys(sorted(counts, key=lambda f: (-counts[f], f))[:most], 1)
    while sum(quota.values()) < most:
        neediest = max(sorted(quota), key=lambda f: most * counts[f] / len(samples) - quota[f])
        quota[neediest] += 1
    return _drawn(samples, quota, seed)


def list_digest(samples: Iterable[Sample]) -> str:
    """Return the sha256 of the samples' ids and classes, whatever their order."""
    lines = sorted(f"{sample.id}\t{int(sample.forgery)}\n" for sample in samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _refuse_duplicates(samples: Sequence[Sample]) -> None:
    repeated = [name for name, times in Counter(sample.id for sample in samples).items() if times > 1]
    if repeated:
        raise UserError(f"{len(repeated)} ids occur more than once, first {repeated[0]!r}; make ids unique")


def _own_parts(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Return the database's own training, validation and test samples."""
    parts: dict[str, list[Sample]] = {part: [] for part in PARTS}
    for sample in samples:
        if sample.split not in parts:
            what = f"split {sample.split!r}" if sample.split else "no split, though others have one"
            raise UserError(f"sample {sample.id!r} has {what}; give every sample one of {PARTS}, or none any")
        parts[sample.split].append(sample)
    return list(parts.values())


def _tested(samples: Sequence[Sample], fold: int, seed: int, official: frozenset[str] | None) -> tuple[set[str], str]:
    """Return the identities outside the official training list, or those of the fold, and a note."""
    fold_of = folds(samples, seed=seed)
    if official is not None:
        found = official & set(fold_of)
        if not found:
            raise UserError(f"the official training list of fold {fold} names no identity of this database")
        note = f"fold {fold}: official list, {len(found)} of its {len(official)} identities found"
        return set(fold_of) - official, note
    count = max(fold_of.values())
    if not 1 <= fold <= count:
        raise UserError(f"fold {fold}: {len(fold_of)} identities make folds 1 to {count}; use one of those")
    return {i for i, number in fold_of.items() if number == fold}, f"fold {fold} of {count} by identity"


def _hold_out(train: Sequence[Sample], seed: int) -> tuple[list[Sample], list[Sample], str]:
    """Return training and validation samples without a common identity, and a note."""
    identities = {identity_of(sample) for sample in train}
    if len(identities) < 2:
        return list(train), [], f"no validation: {len(identities)} training identities"
    ranked = sorted(identities, key=lambda identity: (stable_hash(seed, "validation", identity), identity))
    held = set(ranked[: max(1, round(VALIDATION_SHARE * len(identities)))])
    return (
        [sample for sample in train if identity_of(sample) not in held],
        [sample for sample in train if identity_of(sample) in held],
        f"validation: {len(held)} of {len(identities)} training identities",
    )


def _checked(parts: Split, *, strict_identity: bool, refuse_leaks: bool) -> Split:
    """Refuse leaks from training and validation to test; count or drop test fakes that name a training identity."""
    train_side = [*parts.train, *parts.validation]
    train_people, test_people = _identities(train_side), _identities(parts.test)
    if refuse_leaks:
        _refuse_overlap("ids", {(s.dataset, s.id) for s in train_side} & {(s.dataset, s.id) for s in parts.test})
        _refuse_overlap("identities", train_people & test_people)
    clean = tuple(sample for sample in parts.test if not _names(sample, train_people))
    test = clean if strict_identity else parts.test
    test_people = _identities(test)
    shared = {name for _, name in train_people} & {name for _, name in test_people}
    note = f"{len(shared)} identities have one name in both databases, first {min(shared)!r}" if shared else ""
    return replace(
        parts,
        test=test,
        dropped_by_strict=len(parts.test) - len(test),
        target_overlap=len(test) - len(clean),
        named_in_training=sum(_names(sample, test_people) for sample in train_side),
        shared_names=len(shared),
        notes=(*parts.notes, *([note] if note else [])),
    )


def _identities(samples: Iterable[Sample]) -> set[tuple[str, str]]:
    """Return identities with their database: they are comparable within one only."""
    return {(sample.dataset, identity_of(sample)) for sample in samples}


def _names(sample: Sample, identities: set[tuple[str, str]]) -> bool:
    return any((sample.dataset, name) in identities for name in sample.other_identities)


def _refuse_overlap(what: str, both: set[tuple[str, str]]) -> None:
    if both:
        first = min(both)[1]
        raise UserError(f"{len(both)} {what} are in training and in test, first {first!r}; mend the split")


def _drawn(samples: Sequence[Sample], quota: dict[Forgery, int], seed: int) -> list[Sample]:
    """Return each class's quota by lowest hash, so that a larger quota contains a smaller one."""
    kept: set[int] = set()
    for forgery, number in quota.items():
        places = [place for place, sample in enumerate(samples) if sample.forgery == forgery]
        places.sort(key=lambda place: stable_hash(seed, "drawn", samples[place].id))
        kept.update(places[:number])
    return [sample for place, sample in enumerate(samples) if place in kept]
