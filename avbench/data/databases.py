"""Finds the databases a protocol needs: where the user says, else demo data that stand in for them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from avbench.data.file_names import below
from avbench.errors import UserError, in_one_line, unknown
from avbench.own_line import blaming
from avbench.paths import cache_folder
from avbench.references import load_object
from avbench.types import DatasetSpec, MadeData, Sample

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Database:
    """A dataset with its folder; `demo` says that it holds demo data, `data_version` which.

    `choice` is what is unusual about them, `stands_in` says that they were taken because nobody gave the database;
    `made_at` is when they were finished, in ns, where that is known.
    """

    spec: DatasetSpec
    root: Path
    demo: bool = False
    data_version: str = ""
    choice: str = ""
    stands_in: bool = False
    made_at: int | None = None

    @property
    def title(self) -> str:
        """Return the title, marked where the data are demo data."""
        return f"{self.spec.title} ({self.mark})" if self.demo else self.spec.title

    @property
    def mark(self) -> str:
        """Return what demo data are called, with what is unusual about them; empty for real data."""
        return ", ".join(filter(None, ("demo data", self.choice))) if self.demo else ""

    def samples(self) -> list[Sample]:
        """Scan the folder; each sample carries the dataset's name, an identity (else its id) and a cluster.

        Raises UserError for files outside the folder and for names that cannot be; see `below`.
        """
        found = [
            replace(
                s,
                dataset=s.dataset or self.spec.name,
                identity=s.identity or s.id,
                cluster=s.cluster or s.identity or s.id,
            )
            for s in below(self._scanned(), self.root)
        ]
        if not found:
            raise UserError(f"{self.title}: no sample at {self.root}; see avbench data check {self.spec.name}")
        return found

    def _scanned(self) -> Iterator[Sample]:
        scan = load_object(self.spec.scan, f"dataset {self.spec.name}")
        with blaming(f"dataset {self.spec.name}: its scan", scan, lambda: f"reading {self.root}"):
            yield from scan(self.root)


def read_roots(given: Iterable[str]) -> dict[str, Path]:
    """Read `--data` arguments: NAME=PATH for one database, or the one folder that holds them all (key "")."""
    roots: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        key, value = (name, path) if equals and "/" not in name else ("", text)
        if key in roots:
            raise UserError(f"--data names {'two roots' if not key else key + ' twice'}: {roots[key]} and {value}")
        try:
            roots[key] = Path(value).expanduser()
            there = roots[key].exists()
        except (OSError, RuntimeError) as error:  # a name that is too long, a ~user that is nobody
            raise UserError(f"--data {text:.200}: {in_one_line(error)}; name the folder of the databases") from error
        if not there:
            raise UserError(f"--data {text}: {roots[key]} does not exist; name the folder that holds the databases")
    return roots


def locate(
    spec: DatasetSpec,
    roots: Mapping[str, Path],
    datasets: Mapping[str, DatasetSpec],
    progress: Progress | None = None,
    *,
    allow_demo: bool = False,
) -> Database:
    """Return a dataset's database: its own --data, its folder below --data ROOT, or demo data.

    Demo data are known for what they are wherever they lie, see `made_data`. They stand in beside real data of another
    database with `allow_demo` alone.

    Raises UserError where a root was given that does not hold it, and where nothing can stand in for it.
    """
    _require_known(roots, datasets)
    if spec.name in roots:
        return _given(spec, roots[spec.name], datasets)
    if "" in roots:
        itself = spec.made and load_object(spec.made, f"dataset {spec.name}")(roots[""]) is not None
        return _given(spec, roots[""] if itself else _below(spec, roots[""]), datasets)
    if not allow_demo:
        _require_no_real(spec, roots, datasets)
    if spec.make:
        root = _made(spec, progress)
        return Database(spec, root, True, spec.data_version, stands_in=True, made_at=_made_at(root, datasets))
    for other in datasets.values():
        if spec.name in other.stands_in_for:
            log.info("no %s given: using demo data", spec.title)
            root = _below(spec, _made(other, progress))
            return Database(spec, root, True, other.data_version, stands_in=True, made_at=_made_at(root, datasets))
    raise UserError(f"no {spec.title} given and no demo data stand in for it; use --data {spec.name}=PATH")


def will_be_demo(
    spec: DatasetSpec, roots: Mapping[str, Path], datasets: Mapping[str, DatasetSpec], *, allow_demo: bool = False
) -> bool:
    """Whether a dataset's database will be demo data, before any are made; raises UserError as `locate` does."""
    _require_known(roots, datasets)
    if spec.name in roots or "" in roots:
        return locate(spec, roots, datasets).demo
    if not allow_demo:
        _require_no_real(spec, roots, datasets)
    return True


def _require_known(roots: Mapping[str, Path], datasets: Mapping[str, DatasetSpec]) -> None:
    for name in roots:
        if name and name not in datasets:
            raise unknown("dataset", name, datasets)


def _require_no_real(spec: DatasetSpec, roots: Mapping[str, Path], datasets: Mapping[str, DatasetSpec]) -> None:
    """Raise UserError where demo data would stand in for a database although real data of another are given."""
    for name, root in roots.items():
        if name in datasets and not _given(datasets[name], root, datasets).demo:
            raise UserError(
                f"--data gives real data of {name} ({root}) and none of {spec.name}, for which demo data would stand "
                f"in: give --data {spec.name}=PATH too, or allow the mix by --allow-demo (allow_demo=True in Python)"
            )


def made_data(folder: Path, datasets: Iterable[DatasetSpec]) -> MadeData | None:
    """Return what a folder, or else the nearest folder above it, says of demo data made there; None for real data."""
    readers = [load_object(spec.made, f"dataset {spec.name}") for spec in datasets if spec.made]
    place = folder.resolve()
    found = (reader(one) for one in (place, *place.parents) for reader in readers)
    return next((one for one in found if one is not None), None)


def _made_at(root: Path, datasets: Mapping[str, DatasetSpec]) -> int | None:
    made = made_data(root, datasets.values())
    return made.at if made is not None else None


def _given(spec: DatasetSpec, root: Path, datasets: Mapping[str, DatasetSpec]) -> Database:
    made = made_data(root, datasets.values())
    if made is None:
        return Database(spec, root, demo=bool(spec.make))
    return Database(spec, root, True, made.data_version, made.choice, made_at=made.at)


def _below(spec: DatasetSpec, root: Path) -> Path:
    for folder in spec.folders:
        if (root / folder).is_dir():
            return root / folder
    names = " or ".join(f"{name}/" for name in spec.folders) or "a folder of this dataset"
    raise UserError(f"{spec.title}: no {names} below {root}; use --data {spec.name}=PATH to name its folder")


def _made(spec: DatasetSpec, progress: Progress | None) -> Path:
    make = load_object(spec.make, f"dataset {spec.name}")
    with blaming(f"dataset {spec.name}: making it", make):
        root: Path = make(cache_folder() / spec.name, progress=progress)
    return root
