"""A suite's table from cards alone: measured beside reported, one table a variant; of real data the best is marked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from avbench.records.card import Card
from avbench.records.caveats import Caveat, started_at_random
from avbench.records.suite import AVERAGE, Column, Row, Suite
from avbench.records.table import Table, percent, published, spread, with_interval
from avbench.report.cells import data_versions, newest

BEST, TIE, AT_RANDOM = "†", "‡", "*"
_METRICS = {"acc": "Acc", "auc": "AUC"}
_TASKS = {"binary": "binary", "four_class": "four-class"}


@dataclass(frozen=True, slots=True)
class Cell:
    """What so many runs of one cell measured: the mean over seeds and folds, and the interval where there is one.

    `at_random` names what started at random although the recipe starts it from weights.
    """

    value: float | None
    ci95: tuple[float, float] | None
    shown: str
    runs: int = 1  # 0 of an average over columns
    at_random: tuple[str, ...] = ()


def suite_tables(suite: Suite, cards: Sequence[Card], settings: Sequence[str] = ()) -> Iterator[Table]:
    """Yield the suite's table for each variant of data, lists and preset that there are finished runs of.

    `settings` are those that all its runs were given beside the rows' own. A cell is made of one run for each seed
    and fold, the newest of equal ones.
    """
    for variant, of_variant in _variants(cards):
        cells = {
            (row, column): _measured(_runs(of_variant, row, column, settings), column.metric)
            for row, column in suite.wanted
            if column.protocol != AVERAGE
        }
        if any(cell.value is not None for cell in cells.values()):
            yield _table(suite, cells, variant)


def runs_shown(suite: Suite, cards: Sequence[Card], settings: Sequence[str] = ()) -> list[Card]:
    """Return the cards that the suite's tables are made of, each once; the arguments are those of `suite_tables`."""
    asked = [(row, column) for row, column in suite.wanted if column.protocol != AVERAGE]
    shown = (card for _, of in _variants(cards) for cell in asked for card in _runs(of, *cell, settings))
    found = {card.id: card for card in shown}
    return [found[name] for name in sorted(found)]


def _variants(cards: Sequence[Card]) -> list[tuple[tuple[str, ...], list[Card]]]:
    """Return the finished runs on videos as they are, by variant."""
    variants: dict[tuple[str, ...], list[Card]] = {}
    for card in cards:
        if card.metrics and not card.protocol.perturbations:
            variants.setdefault(_variant(card), []).append(card)
    return sorted(variants.items())


def _variant(card: Card) -> tuple[str, ...]:
    """Return what must agree within one table: caveats of data and lists, and a preset that is not the usual one.

    A random start is a matter of the row: cells are marked.
    """
    usual = {"default", "demo" if card.is_demo else "official"}
    preset = card.detector.preset or "default"
    shared = (caveat for caveat in card.variant if not started_at_random([caveat]))
    return (*shared, *([f"preset {preset}"] if preset not in usual else []))


def _runs(cards: Sequence[Card], row: Row, column: Column, settings: Sequence[str]) -> list[Card]:
    """Return the newest run of each seed and fold, of the newest versions of protocol and detector, data and code.

    Runs that started at random against their recipe count only where there are no others; both are never mixed.
    """
    found = [
        card
        for card in cards
        if card.detector.name == row.detector
        and (card.protocol.name, card.task) == (column.protocol, column.task)
        and set(card.overrides) == {*row.settings, *settings}
    ]
    latest = max((_versions(card) for card in found), default=None)
    found = [card for card in found if _versions(card) == latest]
    if found:  # runs on data and code of before are not mixed with those of today
        today = max(found, key=lambda card: card.started)
        found = [card for card in found if data_versions(card) == data_versions(today)]
        found = [card for card in found if card.origin == today.origin]
    found = [card for card in found if not started_at_random(card.caveats)] or found
    return newest(found)


def _versions(card: Card) -> tuple[int, str]:
    return card.protocol.version, card.detector.version


def _measured(cards: Sequence[Card], metric: str) -> Cell:
    entries = [entry for card in cards if (entry := card.headline(metric)) is not None and entry.value is not None]
    known = [entry.value for entry in entries if entry.value is not None]
    if not known:
        return Cell(None, None, "–")
    at_random = tuple(dict.fromkeys(part for card in cards for part in started_at_random(card.caveats)))
    if len(known) > 1:
        shown = spread(known).replace(" (", "\n(", 1)
        return Cell(mean(known), (min(known), max(known)), shown, len(known), at_random)
    shown = with_interval(entries[0]).replace(" [", "\n[", 1)
    return Cell(entries[0].value, entries[0].ci95, shown, at_random=at_random)


def _table(suite: Suite, cells: Mapping[tuple[Row, Column], Cell], variant: Sequence[str]) -> Table:
    cells = {**cells, **{key: _average(suite, cells, *key) for key in suite.wanted if key[1].protocol == AVERAGE}}
    head = ["model", "modality", "category"]
    several, demo = len({column.task for column in suite.columns}) > 1, Caveat.DEMO_DATA in variant
    for column in suite.columns:
        head += [_heading(column, several), "paper"]
    rows = []
    for row in suite.rows:
        texts = [row.label, row.modality, row.category]
        for column in suite.columns:
            cell = cells.get((row, column))
            shown = "" if cell is None else _marked(cell, column, {} if demo else cells)
            texts += [shown, published(suite.reported.get((row, column)))]
        rows.append(tuple(texts))
    said = ["DEMO DATA" if caveat == Caveat.DEMO_DATA else caveat for caveat in variant]
    notes = ["%; paper: as reported there; else as measured", *_measured_how(cells.values())]
    at_random = {row.label: cell.at_random for (row, _), cell in cells.items() if cell.at_random}
    if at_random:
        who = ", ".join(f"{label} ({', '.join(parts)})" for label, parts in at_random.items())
        notes.append(f"{AT_RANDOM} random start, where the recipe starts from published weights: {who}")
    if demo:
        notes.append("demo data: what is measured says nothing about a detector's quality; the paper had other data")
    else:
        notes.append(
            f"{BEST} the best measured value of its column, {TIE} a tie: its interval or range holds the best value"
        )
    return Table(" · ".join([*said, suite.title]), tuple(head), tuple(rows), tuple(notes)).without_empty_columns()


def _measured_how(cells: Collection[Cell]) -> Iterator[str]:
    """Yield what stands beside a measured value: an interval over people, or a spread over trainings; never both."""
    runs = sorted({cell.runs for cell in cells if cell.runs and cell.value is not None})
    if runs[:1] == [1]:
        yield "of one run the value and its 95 % cluster-bootstrap interval, over people of the test list"
    if most := [n for n in runs if n > 1]:
        counts = f"{most[0]} to {most[-1]}" if len(most) > 1 else str(most[0])
        yield (
            f"of {counts} seeds or folds the mean ± standard deviation (lowest to highest), over trainings alone: each "
            "run's interval over people stands in its card"
        )


def _average(suite: Suite, cells: Mapping[tuple[Row, Column], Cell], row: Row, column: Column) -> Cell:
    """Return the mean over the databases of a column's task and metric, where each was measured."""
    parts = [c for c in suite.columns if c.protocol != AVERAGE and (c.task, c.metric) == (column.task, column.metric)]
    values = [cells[row, part].value if (row, part) in cells else None for part in parts]
    known = [value for value in values if value is not None]
    if len(known) < len(parts):
        return Cell(None, None, "–")
    at_random = tuple(dict.fromkeys(part for p in parts for part in cells[row, p].at_random))
    return Cell(mean(known), None, percent(mean(known)), 0, at_random)


def _heading(column: Column, with_task: bool) -> str:
    train, _, test = column.protocol.removeprefix("cross_").partition("_to_")
    where = f"{train} → {test}" if test else column.protocol.removeprefix("within_")
    metric = _METRICS.get(column.metric, column.metric)
    return f"{where}\n{_TASKS[column.task]} {metric}" if with_task else f"{where}\n{metric}"


def _marked(cell: Cell, column: Column, cells: Mapping[tuple[Row, Column], Cell]) -> str:
    """Return a cell's text with the mark of a random start, and of the best of its column or those that tie with it."""
    first, _, rest = cell.shown.partition("\n")
    first += AT_RANDOM if cell.at_random else ""
    rest = f"\n{rest}" if rest else ""
    values = [other.value for (_, c), other in cells.items() if c == column and other.value is not None]
    if cell.value is None or len(values) < 2:
        return first + rest
    best = max(values)
    tie = cell.ci95 is not None and cell.ci95[0] <= best <= cell.ci95[1]
    mark = BEST if cell.value == best else TIE if tie else ""
    return f"{first}{mark}{rest}"
