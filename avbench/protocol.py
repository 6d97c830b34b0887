"""Finds protocols: the families that datasets bring, those that ship, those of plugins, and one's own YAML files."""

from __future__ import annotations

import itertools
import logging
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from avbench.errors import UserError, in_one_line, unknown
from avbench.paths import shipped
from avbench.types import FORMER_PLACEMENTS, LEVELS, PLACEMENTS, DatasetSpec, Placement
from avbench.types import Protocol as Protocol

log = logging.getLogger(__name__)
# What may be changed of a protocol without making it another one; the card tells.
VARIANT = ("placements", "fold", "select_on", "strict_identity", "test_on", "test_distribution", "trim_silence")
OWN = Path("protocols")  # of the folder in which a command is given
SUFFIXES = (".yaml", ".yml")
_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
_MOST = 2**31 - 1  # a version, a fold
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_PLAIN = {str: "a text", int: "a whole number", bool: "true or false"}


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


def known(
    datasets: Mapping[str, DatasetSpec], declared: Iterable[Protocol] = (), *, folder: Path = OWN
) -> dict[str, Protocol]:
    """Return every protocol by name; a file of one's own that is none is a warning.

    In this order, later ones first where names agree: each dataset's families, those that ship, those of plugins, those
    in `folder`/*.yaml.
    """
    return dict(sorted(_collect(datasets, declared, folder).found.items()))


def find(
    name: str, datasets: Mapping[str, DatasetSpec], declared: Iterable[Protocol] = (), *, folder: Path = OWN
) -> Protocol:
    """Return the protocol of that name, or of that YAML file.

    Raises UserError for a name that nobody gives, for a file that is no protocol, and for unknown datasets.
    """
    collected = _collect(datasets, declared, folder)
    if Path(name).suffix in SUFFIXES:
        protocol = read(Path(name))
        collected.add(protocol, name)
    elif name in collected.found:
        protocol = collected.found[name]
    elif name in collected.broken:
        raise collected.broken[name]
    else:
        raise unknown("protocol", name, collected.found)
    labelled = [dataset for dataset, spec in datasets.items() if spec.forgery_labels]
    for field, dataset in (("train", protocol.train), ("test", protocol.test)):
        if dataset not in labelled:
            raise UserError(f"protocol {protocol.name}, {field}: {unknown('dataset', dataset, labelled)}")
    return protocol


@dataclass(frozen=True, slots=True)
class _Collected:
    """Protocols by name; the names whose meaning is fixed; the errors of files, by the files' names."""

    found: dict[str, Protocol]
    fixed: set[str]
    broken: dict[str, UserError]

    def add(self, protocol: Protocol, source: str, *, note: bool = True) -> None:
        """Add a protocol of `source`; UserError where its name and version mean something else already."""
        other = self.found.get(protocol.name)
        if other is not None and protocol.name in self.fixed and other.digest() != protocol.digest():
            if other.version == protocol.version:
                raise UserError(
                    f"{source}: {protocol.name}, version {protocol.version}, is something else already; choose another "
                    "name, or another version"
                )
            if note:
                _warn_once(f"{source}: its version {protocol.version} of {protocol.name} is used, not {other.version}")
        self.found[protocol.name] = protocol
        self.fixed.add(protocol.name)


def _collect(datasets: Mapping[str, DatasetSpec], declared: Iterable[Protocol], folder: Path) -> _Collected:
    datasets = {name: spec for name, spec in datasets.items() if spec.forgery_labels}
    collected = _Collected(
        {name: Protocol(name, 1, train, test) for name, train, test in _families(datasets)}, set(), {}
    )
    ours = shipped("protocols")
    for path in _files(ours):
        collected.add(read(path), str(path))
    for protocol in declared:
        try:
            collected.add(protocol, f"a plugin's protocol {protocol.name}", note=False)
        except UserError as error:
            _warn_once(f"{error}; it is left out")
    for path in _files(folder) if folder.resolve() != ours.resolve() else ():
        try:
            collected.add(read(path), str(path))
        except UserError as error:
            collected.broken[path.stem] = error
            _warn_once(f"{error}; it is left out")
    for name in datasets:
        family = perturbed(collected.found[f"within_{name}"])
        collected.found.setdefault(family.name, family)
    return collected


def _files(folder: Path) -> list[Path]:
    return sorted(path for suffix in SUFFIXES for path in folder.glob(f"*{suffix}"))


@cache
def _warn_once(message: str) -> None:
    log.warning("%s", message)


def _families(datasets: Mapping[str, DatasetSpec]) -> Iterator[tuple[str, str, str]]:
    for name in datasets:
        yield f"within_{name}", name, name
    crossed = [name for name, spec in datasets.items() if not spec.stands_in_for]
    for train, test in itertools.permutations(crossed, 2):
        yield f"cross_{train}_to_{test}", train, test


def varied(protocol: Protocol, changes: Mapping[str, Any]) -> Protocol:
    """Return a protocol in a variant: with other values of the fields in `VARIANT`.

    Raises UserError for any other field, and for a value that the field cannot have.
    """
    if strange := [name for name in changes if name not in VARIANT]:
        raise unknown("variant of a protocol", strange[0], VARIANT)
    values = dict(changes)
    if "placements" in values:
        asked = values["placements"]
        names = [asked] if isinstance(asked, str) else asked
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            values["placements"] = tuple(dict.fromkeys(placement_called(name) for name in names))
    found = replace(protocol, **values)
    if wrong := complaint(found):
        raise UserError(f"protocol {protocol.name}: {wrong}")
    return found


def placement_called(name: str) -> Placement:
    """Return the placement of that name, or of its name in an earlier version; UserError for any other."""
    if name in FORMER_PLACEMENTS:
        log.warning("placement %s is called %s now", name, FORMER_PLACEMENTS[name])
        return FORMER_PLACEMENTS[name]
    for placement in PLACEMENTS:
        if placement == name:
            return placement
    raise unknown("placement", name, PLACEMENTS)


def read(path: Path) -> Protocol:
    """Read one protocol from YAML; UserError, in one line, for a file that is none and for a field that is wrong."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a protocol: it is not UTF-8 text; save it as UTF-8") from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: a date that is none
        raise UserError(f"{path}: not a protocol: {in_one_line(error)}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: not a protocol: give fields, one `name: value` a line; see docs/protocols.md")
    if isinstance(named := values.get("placements"), list):
        values["placements"] = [_renamed(name, path) for name in named]
    if wrong := complaint(values):
        raise UserError(f"{path}: not a protocol: {wrong}")
    return from_values(values)


def from_values(values: Mapping[str, Any]) -> Protocol:
    """Return the protocol of plain values, as YAML and JSON hold them."""
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Protocol(**plain)


def _renamed(placement: Any, path: Path) -> Any:
    if placement not in list(FORMER_PLACEMENTS):
        return placement
    _warn_once(f"{path}: placement {placement} is called {FORMER_PLACEMENTS[placement]} now")
    return FORMER_PLACEMENTS[placement]


def complaint(values: Protocol | Mapping[Any, Any]) -> str:
    """Say what is wrong with a protocol's fields (unknown, missing, of another type, out of range), or nothing ("")."""
    given = asdict(values) if isinstance(values, Protocol) else values
    types = get_type_hints(Protocol)
    for name in given:
        if name not in types:
            return str(unknown("field", name if isinstance(name, str) else _said(name), types))
    if missing := [f.name for f in fields(Protocol) if f.default is MISSING and f.name not in given]:
        return f"no {' and no '.join(missing)}; every protocol needs them"
    for name, value in given.items():
        if wrong := _mistyped(value, types[name]):
            return f"{name}: {wrong}"
    if not _NAME.fullmatch(given["name"]):
        return f"name: {_said(given['name'])} is none for a protocol; use a-z, 0-9 and _"
    for name in ("version", "fold"):
        if not 1 <= given.get(name, 1) <= _MOST:
            bound = "below 1" if given[name] < 1 else f"above {_MOST}"
            return f"{name}: {_said(given[name])} is {bound}"
    if outside := [level for level in given.get("levels", ()) if level not in LEVELS]:
        return f"levels: {_said(outside[0])} is none; levels are {LEVELS[0]} (the video as it is) to {LEVELS[-1]}"
    if bool(given.get("perturbations")) != bool(given.get("levels")):
        return "perturbations and levels belong together; name both or none"
    for name in ("placements", "perturbations", "levels"):
        if len(set(listed := given.get(name, ()))) != len(listed):
            return f"{name}: the same one twice"
    return ""


def _mistyped(value: Any, wanted: Any) -> str:
    """Say how a value is not what a field wants, or nothing."""
    if get_origin(wanted) is tuple:
        if not isinstance(value, list | tuple):
            return f"{_said(value)} is no list; write [{value if isinstance(value, str) else '...'}]"
        return next((wrong for item in value if (wrong := _mistyped(item, get_args(wanted)[0]))), "")
    if get_origin(wanted) is Literal:
        choices = get_args(wanted)
        known = isinstance(value, str) and value in choices
        return "" if known else str(unknown("value", value if isinstance(value, str) else _said(value), choices))
    if not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool)):
        return f"{_said(value)} is not {_PLAIN[wanted]}"
    if isinstance(value, str) and _UNPRINTABLE.search(value):
        return f"{_said(value)} is not one line of printable text"
    return ""


def _said(value: Any) -> str:
    """Return a value as code writes it, shortened: YAML may hold nested lists that are endless when written out."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python writes no number of thousands of digits
        return "a number of thousands of digits"
