"""Whether numbers are what the scores beside them come to: every card of a folder, and the tables made of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avbench.bench.run import measured
from avbench.errors import UserError
from avbench.hashing import sha256
from avbench.perturbations.conditions import Condition, choose
from avbench.plugins.registry import Plugins
from avbench.records import scores, suite
from avbench.records.card import Card
from avbench.records.card_file import NAME, plain
from avbench.records.run import SCORES, Run
from avbench.records.table import Table, comma_separated, file_name
from avbench.records.training import FinishedTraining
from avbench.report.suite_tables import suite_tables
from avbench.report.tables import summaries

# Counts, texts and what is undefined must be the same; of other numbers processors may differ in a sum's last bit.
TOLERANCE = 1e-12
_NOTHING = object()  # stands for a value that is not recomputed
MEASURED = ("metrics", "confusion", "counts", "ceilings", "blind", "perturbations")


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not what it was computed from: the file, and what is wrong with it."""

    where: str
    what: str

    @classmethod
    def of(cls, where: Path, name: str, there: object, expected: object) -> Difference:
        """Return the difference of a value that is there and the one that it should be."""
        return cls(str(where), f"{name}: {there} there, {expected} recomputed")

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def verify_run(run: Run, plugins: Plugins) -> list[Difference]:
    """Return the values of a finished run's card that its scores file, with the card's own settings, does not give.

    Metrics that the card does not have are left alone. A scores file that cannot be read is a difference, and so is a
    file of its training, where that lies beside the runs, that is not the one that it left.
    """
    card, path = run.card, run.folder / NAME
    try:
        table, about = scores.read(run.folder / SCORES)
        again = measured(replace(card, perturbations=None), table, plugins, _conditions(card, plugins))
    except (UserError, FileNotFoundError) as error:
        return [Difference(str(path), str(error))]
    found = [*_origin(run, about), *_training(run)]
    for name, value, expected in measured_otherwise(card, again):
        found.append(Difference.of(path, name, value, expected))
    if missing := sorted({*again.caveats} - {*card.caveats}):
        found.append(Difference.of(path, "caveats", ", ".join(card.caveats) or "none", f"also {', '.join(missing)}"))
    return found


def measured_otherwise(card: Card, again: Card) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, value, value in the other card or "nothing") of what another card does not tell so."""
    for part in MEASURED:
        expected = dict(_leaves(plain(getattr(again, part)), part))
        for name, value in _leaves(plain(getattr(card, part)), part):
            if not _same(value, expected.get(name, _NOTHING)):
                yield name, value, expected.get(name, "nothing")


def _origin(run: Run, about: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield what shows that these are not the scores that the card was made of."""
    path, card = run.folder / SCORES, run.card
    for name, there, expected in (
        ("run", about.get("run"), card.id),
        ("threshold", about.get("threshold"), card.training.threshold),
        ("sha256", sha256(path), card.scores_sha256 or sha256(path)),
    ):
        if there != expected:
            yield Difference(str(path), f"{name}: {there} there, {expected} in the card")


def _training(run: Run) -> Iterator[Difference]:
    """Yield what is not as the run's training left it; nothing where the run was copied away from it."""
    folder, files = run.results_folder / "trainings" / run.card.training.id, run.card.training.files
    try:
        record = FinishedTraining.load(folder) if run.card.training.id else None
    except UserError as error:
        yield Difference(str(folder), str(error))
        return
    if record is None:
        return
    for name in {**record.files, **files}:
        there, wanted = record.files.get(name, ""), files.get(name)
        if complaint := record.complaint(folder / name):
            yield Difference(str(folder / name), complaint)
        elif wanted is not None and wanted != there:
            told = f"sha256: {there[:16] or 'none'} in its training's record, {wanted[:16]} in {run.id}"
            yield Difference(str(folder / name), told)


def unverifiable(run: Run) -> str:
    """Say which files of a run nobody can hold to a hash, as an earlier version noted none; empty for none."""
    card, told = run.card, []
    if not card.scores_sha256:
        told.append("scores")
    if card.training.id and not card.training.files:
        told.append("weights")
    return " and ".join(told)


def _conditions(card: Card, plugins: Plugins) -> list[Condition | None]:
    """Return the conditions that a card was measured under: the clean videos, and what it says of perturbed ones."""
    asked = choose(card.protocol.perturbations, card.protocol.levels, plugins.perturbations())
    felt = card.perturbations.types if card.perturbations is not None else {}
    return [c for c in asked if c is None or (c.name in felt and c.level in felt[c.name].levels)]


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of every leaf of plain values; what is in a list is named by its place."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield name, value
        return
    for key, one in inner:
        yield from _leaves(one, f"{name}.{key}")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, (float, int)) and not isinstance(other, bool):
        return abs(one - other) <= TOLERANCE
    return type(one) is type(other) and bool(one == other)


def verify_tables(folder: Path, cards: Sequence[Card]) -> tuple[int, list[Difference]]:
    """Return how many CSV tables lie in a folder, and where they say something else than tables of these cards."""
    paths = sorted(folder.glob("*.csv"))
    made = _tables([card for card in cards if card.metrics]) if paths else {}
    found: list[Difference] = []
    for path in paths:
        if path.name in made:
            text = path.read_text("utf-8")
            differing = [list(_cells(path, text, comma_separated(table))) for table in made[path.name]]
            closest = min(differing, key=len)
            found += closest
        else:
            found.append(Difference(str(path), "none of the runs beside it makes a table of that name"))
    return len(paths), found


def _tables(cards: Sequence[Card]) -> dict[str, list[Table]]:
    """Return the tables of these cards by the names of their files: several, where runs were made with `--set`."""
    tables = summaries(cards) if cards else []
    for one in suite.paper().values():
        given = {
            tuple(sorted({*card.overrides} - {*row.settings}))
            for card in cards
            for row in one.rows
            if row.detector == card.detector.name and {*row.settings} <= {*card.overrides}
        }
        tables += [table for settings in sorted(given) for table in suite_tables(one, cards, settings)]
    made: dict[str, list[Table]] = {}
    for table in tables:
        made.setdefault(f"{file_name(table.title)}.csv", []).append(table)
    return made


def _cells(path: Path, text: str, expected: str) -> Iterator[Difference]:
    there, should = (list(csv.reader(io.StringIO(rows))) for rows in (text, expected))
    if there[:1] != should[:1] or [len(row) for row in there] != [len(row) for row in should]:
        shapes = [f"{len(rows) - 1} rows of {', '.join(rows[0]) if rows else 'nothing'}" for rows in (there, should)]
        yield Difference.of(path, "rows and columns", *shapes)
        return
    for row, other in zip(there, should, strict=True):
        for column, (one, two) in enumerate(zip(row, other, strict=True)):
            if one != two:
                yield Difference.of(path, f"{row[0]}, {should[0][column]}", one or "nothing", two or "nothing")
