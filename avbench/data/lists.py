"""From a protocol to three lists of samples: databases located, split by identity, limited, announced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avbench.data import databases, inputs, splits
from avbench.data.databases import Database
from avbench.errors import UserError
from avbench.own_line import blaming
from avbench.plugins.registry import Plugins
from avbench.progress import Progress, silent
from avbench.protocol import Protocol
from avbench.records.card_parts import DataList, DataPart
from avbench.records.inputs import InputList
from avbench.references import load_object
from avbench.types import Forgery, Sample

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Lists:
    """What is trained on, chosen on and test_split; `train` is None where given weights are test_split.

    `inputs` say by name (train, validation, test) what each list is made of.
    """

    train: Database | None
    test: Database
    split: splits.Split
    inputs: Mapping[str, InputList]

    @property
    def demo(self) -> bool:
        """Whether demo data feed this run."""
        return self.test.demo or (self.train is not None and self.train.demo)

    @property
    def demo_choice(self) -> str:
        """Return what is unusual about the demo data that feed this run; empty for those made as usual."""
        bases = [base for base in (self.train, self.test) if base is not None and base.demo]
        choices = {base.choice for base in bases}
        if len(choices) > 1:
            return "; ".join(f"{base.spec.title} {base.choice or 'as usual'}" for base in bases)
        return choices.pop() if choices else ""

    def describe(self) -> DataPart:
        """Return what a card says of the data: databases, counts by class, identities, hashes, overlaps."""
        return DataPart(
            train=self._described("train", self.train) if self.train else None,
            validation=self._described("validation", self.train) if self.train else None,
            test=self._described("test", self.test),
            fold=self.split.fold,
            notes=tuple(self.split.notes),
            target_identities_seen_in_training=self.split.target_overlap,
            dropped_by_strict_identity=self.split.dropped_by_strict,
            identities_called_alike=self.split.shared_names,
            training_fakes_naming_test_identities=self.split.named_in_training,
        )

    def _described(self, part: str, database: Database) -> DataList:
        samples: Sequence[Sample] = getattr(self.split, part)
        counts = Counter(sample.forgery for sample in samples)
        return DataList(
            dataset=database.spec.name,
            title=database.title,
            demo=database.demo,
            data_version=database.data_version,
            n=len(samples),
            by_class={f.name: counts[f] for f in Forgery},
            digest=splits.list_digest(samples),
            inputs=self.inputs[part].digest,
            identities=len({s.identity for s in samples}),
            identity_is=database.spec.identity_is,
        )


def prepare(
    protocol: Protocol,
    plugins: Plugins,
    roots: Mapping[str, Path],
    *,
    limit: int | None = None,
    limit_test: int | None = None,
    seed: int = 0,
    train: bool = True,
    say: Say = lambda line: None,
    made: databases.Progress | None = None,
    progress: Progress = silent,
    refuse_leaks: bool = True,
    files: inputs.Told = "no",
    allow_demo: bool = False,
) -> Lists:
    """Locate the databases, split them and say in one line each which data are used.

    `files` says how `Lists.inputs` tell a file from another of its name, `allow_demo` whether demo data may stand in
    for one database beside real data of the other.

    Raises UserError for a missing root, an impossible fold, all of a database as the test of what is trained on it, or
    identities shared by training and test. An audit, which
    tells the latter, has `refuse_leaks` False: it gets whatever lists there are.
    """
    if train and protocol.test_on == "all" and protocol.train == protocol.test:
        raise UserError(
            f"protocol {protocol.name}, test_on all: it trains on {protocol.test} too, whose training videos would be "
            "judged; leave --test-on out, train on another database, or judge given weights with --checkpoint"
        )
    known = plugins.datasets()
    test_base = databases.locate(plugins.dataset(protocol.test), roots, known, made, allow_demo=allow_demo)
    train_base = test_base
    if train and protocol.train != protocol.test:  # located before either is scanned
        train_base = databases.locate(plugins.dataset(protocol.train), roots, known, made, allow_demo=allow_demo)
    test_split = _split(test_base, protocol, refuse_leaks)
    train_split = test_split if train_base is test_base else _split(train_base, protocol, refuse_leaks)
    if not train:
        everything = (*test_split.train, *test_split.validation, *test_split.test)
        split = replace(
            test_split, train=(), validation=(), test=everything if protocol.test_on == "all" else test_split.test
        )
    elif protocol.train == protocol.test:
        split = test_split
    else:
        split = splits.cross(
            train_split,
            test_split,
            test_on=protocol.test_on,
            strict_identity=protocol.strict_identity,
            refuse_leaks=refuse_leaks,
        )
    if protocol.fold != 1 and split.fold is None:
        raise UserError(f"fold {protocol.fold}: {test_base.title} has its own split and no folds; leave --fold out")
    if train and refuse_leaks:
        split.check_trainable()
    if protocol.test_distribution == "balanced":
        split = replace(split, test=tuple(splits.balance(split.test, seed)))
    if limit is not None:
        split = replace(
            split,
            train=_limited(split.train, limit, seed),
            validation=_limited(split.validation, limit, seed),
            test=_limited(split.test, limit, seed),
        )
    if limit_test is not None:
        split = replace(split, test=_limited(split.test, limit_test, seed))
    if protocol.trim_silence:
        from avbench.data.silence import trim  # it needs decoders, which nothing else here does

        split = trim(split, progress=progress)
    if protocol.select_on == "test":
        split = replace(split, validation=split.test)
    found = _inputs(train_base, test_base, split, files, progress)
    lists = Lists(train_base if train else None, test_base, split, found)
    _announce(lists, say)
    return lists


def _inputs(
    train: Database, test: Database, split: splits.Split, files: inputs.Told, progress: Progress
) -> dict[str, InputList]:
    """Return what each list is made of; demo data of one version are the same on every machine."""
    lists: dict[str, tuple[Sample, ...]] = {part: getattr(split, part) for part in splits.PARTS}
    if files == "content":
        every = [path for samples in lists.values() for path in inputs.files_of(samples)]
        stamp = inputs.by_content(every, progress)
        return {part: inputs.inputs_of(samples, stamp) for part, samples in lists.items()}
    found = {}
    for part, samples in lists.items():
        base = test if samples is split.test else train  # which may be chosen on too
        stamp = inputs.unstamped if files == "no" else inputs.by_stat
        if files == "stat" and base.demo:
            stamp = inputs.of_demo(base.data_version, base.made_at)
        found[part] = inputs.inputs_of(samples, stamp)
    return found


def fold_count(protocol: Protocol, plugins: Plugins, roots: Mapping[str, Path], *, allow_demo: bool = False) -> int:
    """Return how many identity folds a protocol's databases have; 1 where each has its own split."""
    counts = [1]
    for name in dict.fromkeys((protocol.train, protocol.test)):
        base = databases.locate(plugins.dataset(name), roots, plugins.datasets(), allow_demo=allow_demo)
        samples = base.samples()
        if not any(sample.split for sample in samples):
            counts.append(max(splits.folds(samples).values()))
    return max(counts)


def _limited(samples: tuple[Sample, ...], limit: int, seed: int) -> tuple[Sample, ...]:
    return tuple(splits.limit(samples, limit, seed)) if samples else samples


def _split(base: Database, protocol: Protocol, refuse_leaks: bool) -> splits.Split:
    official = None
    if base.spec.train_identities:
        read = load_object(base.spec.train_identities, f"dataset {base.spec.name}")
        with blaming(f"dataset {base.spec.name}: its official folds", read, lambda: f"reading {base.root}"):
            official = read(base.root, protocol.fold)
    return splits.split(
        base.samples(),
        fold=protocol.fold,
        strict_identity=protocol.strict_identity and protocol.train == protocol.test,  # across, `splits.cross` does it
        train_identities=official,
        refuse_leaks=refuse_leaks,
    )


def _announce(lists: Lists, say: Say) -> None:
    for part, database in (("train", lists.train), ("validation", lists.train), ("test", lists.test)):
        samples = getattr(lists.split, part)
        if database is not None and samples:
            say(f"{database.spec.title}: {len(samples):,} {part} videos at {database.root}{_mark(database)}")


def _mark(database: Database) -> str:
    if database.stands_in:
        return f" (no {database.spec.title} given: using demo data)"
    return f" ({database.mark})" if database.demo else ""
