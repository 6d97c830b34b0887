"""The runs of a results folder: found by id, by the beginning of one, by folder, or by age."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from avbench.errors import UserError
from avbench.records.card import Card
from avbench.records.card_file import NAME
from avbench.records.run import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runs(Sequence[Run]):
    """The runs below `folder`/runs, by id; cards are read when they are asked for."""

    folder: Path

    @property
    def below(self) -> Path:
        """Return the folder that holds the runs' folders."""
        return self.folder / "runs"

    def all(self) -> list[Run]:
        """Return every run, by id."""
        return [Run.read(folder) for folder in self._folders()]

    def readable(self) -> list[Run]:
        """Return every run whose card can be read, by id; of each other one a warning tells."""
        return _readable(self._folders())

    def __len__(self) -> int:
        return len(self._folders())

    @overload
    def __getitem__(self, place: int) -> Run: ...
    @overload
    def __getitem__(self, place: slice) -> list[Run]: ...
    def __getitem__(self, place: int | slice) -> Run | list[Run]:
        """Return the run at a place, or those at several."""
        found = self._folders()[place]
        return [Run.read(folder) for folder in found] if isinstance(found, list) else Run.read(found)

    def matching(self, name: str) -> list[Run]:
        """Return the runs of that id, or whose ids begin like it, or the one in that folder; UserError for none.

        Of several, those whose cards cannot be read are left out with a warning.
        """
        found = self._named(name)
        return (_readable(found) if len(found) > 1 else []) or [Run.read(folder) for folder in found]

    def one(self, name: str) -> Run:
        """Return the only run of that name, see `matching`; UserError for none and for several."""
        found = self._named(name)
        if len(found) > 1:
            raise UserError(f"{name} is the beginning of {', '.join(path.name for path in found)}; name one of them")
        return Run.read(found[0])

    def newest(self, chosen: Callable[[Card], bool] = lambda card: True, *, beginning: str = "") -> Run | None:
        """Return the run whose card was written last, of those that are `chosen` and whose ids begin so; or None."""
        folders = [folder for folder in self._folders() if folder.name.startswith(beginning)]
        for folder in sorted(folders, key=lambda folder: (folder / NAME).stat().st_mtime_ns, reverse=True):
            for found in _readable([folder]):
                if chosen(found.card):
                    return found
        return None

    def _folders(self) -> list[Path]:
        return sorted(path.parent for path in self.below.glob(f"*/{NAME}"))

    def _named(self, name: str) -> list[Path]:
        if (Path(name) / NAME).is_file():
            return [Path(name)]
        there = self._folders()
        found = [p for p in there if p.name == name] or [p for p in there if name and p.name.startswith(name)]
        if not found:
            raise UserError(f"no run called {name!r} in {self.below}; avbench report lists those there are")
        return found


def _readable(folders: Sequence[Path]) -> list[Run]:
    """Return the runs whose cards can be read; the others are told of."""
    found = []
    for folder in folders:
        try:
            found.append(Run.read(folder))
        except UserError as error:
            log.warning("left out: %s", error)
    return found
