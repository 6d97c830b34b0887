"""What is there: runs of a results folder, and further plugins, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from avbench.errors import UserError
from avbench.paths import results_folder
from avbench.plugins.registry import register_named
from avbench.records.run import Run


@dataclass(frozen=True, init=False)
class Runs(Sequence[Run]):
    """The runs of a results folder, by id."""

    folder: Path

    def __init__(self, folder: str | Path | None = None) -> None:
        object.__setattr__(self, "folder", Path(folder) if folder is not None else results_folder())

    def one(self, name: str) -> Run:
        """Return the run of that id, the only one whose id begins so, or that of a folder; UserError for any other."""
        if (Path(name) / "card.json").is_file():
            return Run.read(name)
        there = self._folders()
        found = [path for path in there if path.name == name] or [p for p in there if name and p.name.startswith(name)]
        if not found:
            raise UserError(f"no run called {name!r} in {self.folder / 'runs'}; avbench report lists those there are")
        if len(found) > 1:
            raise UserError(f"{name} is the beginning of {', '.join(path.name for path in found)}; name one of them")
        return Run.read(found[0])

    def _folders(self) -> list[Path]:
        return sorted(path.parent for path in (self.folder / "runs").glob("*/card.json"))

    def __len__(self) -> int:
        return len(self._folders())

    @overload
    def __getitem__(self, place: int) -> Run: ...
    @overload
    def __getitem__(self, place: slice) -> list[Run]: ...
    def __getitem__(self, place: int | slice) -> Run | list[Run]:
        """Return a run, or several, by place."""
        folders = self._folders()[place]
        return [Run.read(folder) for folder in folders] if isinstance(folders, list) else Run.read(folders)


def runs(results: str | Path | None = None) -> Runs:
    """Return the runs of a results folder (default: $AVBENCH_RESULTS or results), by id; cards are read when asked for.

    Example:

        >>> for run in avbench.runs("results"):
        ...     print(run.id, run.card["status"])
        >>> avbench.runs("results").one("fauforensics-within_fakeav").metrics

    `one(name)` takes an id, the beginning of one, or a folder, and raises UserError for none and for several.
    """
    return Runs(results)


def register(*plugins: str | Path) -> None:
    """Register plugins for this process, as `--plugin` does: files such as "mine.py", or names of modules.

    Processes that this one starts register them too. Raises UserError for a plugin that cannot be loaded.
    """
    register_named([str(name) for name in plugins])
