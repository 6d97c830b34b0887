"""A suite: the rows and columns of a results table, and so the cells of the benchmark that it takes to fill it.

The paper's Tables I to V are CSV files in results/paper, with the numbers that the paper prints.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

from avbench.errors import UserError, unknown
from avbench.paths import shipped
from avbench.types import TASKS, Task

AVERAGE = "average"  # a column's protocol: the mean over the protocols of that task and metric
FIELDS = ("row", "detector", "settings", "modality", "category", "protocol", "task", "metric", "reported")
TITLES = {
    "table1": "Table I: binary, within database",
    "table2": "Table II: four classes, within database",
    "table3": "Table III: AUC across databases",
    "table4": "Table IV: ablation of modules, AUC, trained on LAV-DF",
    "table5": "Table V: ablation of encoders, AUC, trained on LAV-DF",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: a detector with settings beside its preset, such as `use_fau=false`."""

    label: str
    detector: str
    settings: tuple[str, ...] = ()
    modality: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: a metric under a protocol in a task."""

    protocol: str
    task: Task
    metric: str


@dataclass(frozen=True, slots=True)
class Suite:
    """Rows, columns, which of their crossings are wanted, and published values (a share, not percent) of some."""

    name: str
    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    wanted: frozenset[tuple[Row, Column]]
    reported: Mapping[tuple[Row, Column], float] = field(default_factory=dict)

    def cells(self) -> Iterator[tuple[Row, str, Task]]:
        """Yield (row, protocol, task) for every run that the table needs, each once, row by row."""
        for row in self.rows:
            asked = [(c.protocol, c.task) for c in self.columns if (row, c) in self.wanted and c.protocol != AVERAGE]
            for protocol, task in dict.fromkeys(asked):
                yield row, protocol, task


def crossing(
    name: str,
    rows: Sequence[Row],
    protocols: Sequence[str],
    tasks: Mapping[str, Sequence[Task]],
    metrics: Sequence[str] = ("acc", "auc"),
) -> Suite:
    """Return the suite of every row under every protocol, in the `tasks` of its detector."""
    every = [task for task in TASKS if any(task in own for own in tasks.values())]
    columns = tuple(Column(protocol, task, metric) for task in every for protocol in protocols for metric in metrics)
    wanted = frozenset((row, column) for row in rows for column in columns if column.task in tasks[row.detector])
    return Suite(name, name, tuple(rows), columns, wanted)


def read(path: Path) -> Suite:
    """Read a suite from CSV; UserError for a file that is none."""
    rows: dict[Row, None] = {}
    columns: dict[Column, None] = {}
    wanted, reported = set(), {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                row = Row(
                    line["row"], line["detector"], tuple(line["settings"].split()), line["modality"], line["category"]
                )
                if line["task"] not in TASKS:
                    raise UserError(f"{path}: {unknown('task', line['task'], TASKS)}")
                column = Column(line["protocol"], cast(Task, line["task"]), line["metric"])
                rows[row] = columns[column] = None
                wanted.add((row, column))
                if line["reported"]:
                    reported[row, column] = round(float(line["reported"]) / 100, 6)
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a table of cells with the columns {', '.join(FIELDS)}: {error}") from error
    title = TITLES.get(path.stem.partition("_")[0], path.stem)
    return Suite(path.stem, title, tuple(rows), tuple(columns), frozenset(wanted), reported)


@cache
def paper() -> Mapping[str, Suite]:
    """Return the paper's tables by file name, such as table4_ablation_modules."""
    return {path.stem: read(path) for path in sorted(shipped("results/paper").glob("*.csv"))}


def named(name: str) -> bool:
    """Whether a table of the paper is called so; see `find`."""
    return any(name in {stem, *stem.split("_", 1)} for stem in paper())


def find(name: str) -> Suite:
    """Return a table of the paper by its number (`table4`), its subject (`ablation_modules`) or its whole name."""
    matching = [suite for stem, suite in paper().items() if name in {stem, *stem.split("_", 1)}]
    if not matching:
        raise unknown("table", name, [part for stem in paper() for part in stem.split("_", 1)])
    return matching[0]


@cache
def published() -> Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]:
    """Return the paper's values of detectors as they are, by protocol, detector, task and metric."""
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for suite in paper().values():
        for (row, column), value in suite.reported.items():
            if not row.settings and column.protocol != AVERAGE:
                of_detector = found.setdefault(column.protocol, {}).setdefault(row.detector, {})
                of_detector.setdefault(column.task, {})[column.metric] = value
    return found
