"""Protocols: what is trained on, what is judged, and every detail that makes the number honest."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from avbench.errors import UserError, unknown
from avbench.hashing import digest_of
from avbench.paths import shipped
from avbench.types import FORMER_PLACEMENTS, LEVELS, PLACEMENTS, DatasetSpec, Placement

log = logging.getLogger(__name__)
# What a command may change of a protocol without making it another one; the card tells.
VARIANT = ("placements", "fold", "select_on", "strict_identity", "test_on", "test_distribution", "trim_silence")


@dataclass(frozen=True, slots=True)
class Protocol:
    """A frozen description of one evaluation.

    `train` and `test` name datasets. `placements` are the clip placements to report, the first one the headline
    (empty: "oracle", and "sliding" too where the test database is forged locally). `fold` picks the identity fold of
    databases without a split. `strict_identity` drops test fakes that name a training identity. `test_on="all"`
    judges every sample of the test database. `trim_silence` drops the leading silence of every video, in training as
    in the test; see `avbench.data.silence`. `perturbations` (names or sets of them) and `levels` perturb the test
    videos; see `perturbed`.
    """

    name: str
    version: int
    train: str
    test: str
    title: str = ""
    placements: tuple[Placement, ...] = ()
    fold: int = 1
    select_on: Literal["validation", "test"] = "validation"
    strict_identity: bool = False
    test_on: Literal["test", "all"] = "test"
    test_distribution: Literal["natural", "balanced"] = "natural"
    trim_silence: bool = False
    perturbations: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        return asdict(self)

    def digest(self) -> str:
        """Return a hash of everything that shapes the result (not titles)."""
        shaping = {k: v for k, v in asdict(self).items() if k != "title"}
        # Protocols that have none of these keep the hash they had before these were.
        for name in ("perturbations", "levels", "trim_silence"):
            if not shaping[name]:
                del shaping[name]
        return digest_of(shaping)


def perturbed(protocol: Protocol, types: Sequence[str] = ("paper",), levels: Sequence[int] = LEVELS) -> Protocol:
    """Return the protocol with its test videos perturbed: the same training, one clip placement, every condition.

    What is within a database is called `perturb_<database>`, anything else `perturb_<protocol>`.
    """
    own = protocol.name.removeprefix("within_") if protocol.name == f"within_{protocol.test}" else protocol.name
    return replace(
        protocol,
        name=protocol.name if protocol.perturbations else f"perturb_{own}",
        title=f"{protocol.title or protocol.name}, test videos perturbed",
        placements=protocol.placements[:1] or ("oracle",),
        perturbations=tuple(types),
        levels=tuple(sorted({0, *levels})),
    )


def known(datasets: Mapping[str, DatasetSpec], declared: Iterable[Protocol] = ()) -> dict[str, Protocol]:
    """Return every protocol by name: those in protocols/*.yaml, those of plugins, then each dataset's families."""
    datasets = {name: spec for name, spec in datasets.items() if spec.forgery_labels}
    found = {name: Protocol(name, 1, train, test) for name, train, test in _families(datasets)}
    for protocol in _shipped():
        found[protocol.name] = protocol
    for protocol in declared:
        found[protocol.name] = protocol
    for name in datasets:
        family = perturbed(found[f"within_{name}"])
        found.setdefault(family.name, family)
    return dict(sorted(found.items()))


def placement_called(name: str) -> Placement:
    """Return the placement of that name, or of its name in an earlier version; UserError for any other."""
    if name in FORMER_PLACEMENTS:
        log.warning("placement %s is called %s now", name, FORMER_PLACEMENTS[name])
        return FORMER_PLACEMENTS[name]
    for placement in PLACEMENTS:
        if placement == name:
            return placement
    raise unknown("placement", name, PLACEMENTS)


def varied(protocol: Protocol, changes: Mapping[str, Any]) -> Protocol:
    """Return a protocol in a variant: with other values of the fields in `VARIANT`.

    Raises UserError for any other field, and for a value that the field cannot have.
    """
    if strange := [name for name in changes if name not in VARIANT]:
        raise unknown("variant of a protocol", strange[0], VARIANT)
    values = dict(changes)
    if "placements" in values:
        placements = values["placements"]
        names = [placements] if isinstance(placements, str) else placements
        values["placements"] = tuple(dict.fromkeys(map(placement_called, names)))
    return _checked(replace(protocol, **values))


def _checked(protocol: Protocol) -> Protocol:
    """Return the protocol; UserError for a value that would be taken for another one."""
    kinds = get_type_hints(Protocol)
    for name in ("select_on", "test_on", "test_distribution"):
        if getattr(protocol, name) not in get_args(kinds[name]):
            raise unknown(f"value of {name}", str(getattr(protocol, name)), get_args(kinds[name]))
    for name in ("strict_identity", "trim_silence"):
        if not isinstance(getattr(protocol, name), bool):
            raise UserError(f"protocol {protocol.name}: {name}={getattr(protocol, name)!r}: use True or False")
    if isinstance(protocol.fold, bool) or not isinstance(protocol.fold, int) or protocol.fold < 1:
        raise UserError(f"protocol {protocol.name}: fold={protocol.fold!r}: use a number from 1")
    return protocol


def _families(datasets: Mapping[str, DatasetSpec]) -> Iterator[tuple[str, str, str]]:
    for name in datasets:
        yield f"within_{name}", name, name
    crossed = [name for name, spec in datasets.items() if not spec.stands_in_for]
    for train, test in itertools.permutations(crossed, 2):
        yield f"cross_{train}_to_{test}", train, test


def _shipped() -> Iterator[Protocol]:
    for path in sorted(shipped("protocols").glob("*.yaml")):
        yield read(path)


def read(path: Path) -> Protocol:
    """Read one protocol from YAML; UserError for a field that is unknown or missing."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text("utf-8"))
        for name in ("placements", "perturbations", "levels"):
            values[name] = tuple(values.get(name, ()))
        values["placements"] = tuple(placement_called(name) for name in values["placements"])
        return _checked(Protocol(**values))
    except (OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a protocol: {error}") from error
