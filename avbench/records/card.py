"""A run's card: everything that its numbers need to be traced, recomputed and trusted, typed, in card.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from avbench.errors import UserError
from avbench.records import card_file
from avbench.records.card_file import FORMAT
from avbench.records.card_parts import (
    DataPart,
    DetectorPart,
    Encoder,
    Environment,
    Member,
    ProtocolRecord,
    Request,
    TrainingRecord,
)
from avbench.records.caveats import Caveat
from avbench.records.measured import Blind, Ceiling, Confusion, Counts, Measured, Robustness, Setting
from avbench.types import TASKS, Task

Status = Literal["running", "finished", "failed", "interrupted"]
_GRANULARITIES = ("video", "clip")
_TASKS = {"binary": "binary", "four_class": "four-class"}
REPORTED = Setting("oracle", "video")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A run so far: what was asked for, what it came to, and, once it is finished, what was measured.

    `metrics` go by placement, granularity and name, `confusion`, `ceilings` and `blind` by placement and granularity.
    `reported` are values that a paper prints of the same cell. `variant` are the caveats known before anything is
    measured, which tell tables apart; `caveats` are all of them. `seconds` and `clips_per_second` go by phase. `task`
    is a Task, or says in words what a pre-training teaches, which leaves an `encoder`. `scores_sha256` is that of the
    scores file that was measured. `made_of` names data, code and weights behind the scores, each with a hash or a
    version: what may change between two calls of one command; `changes` says what did since an earlier one.
    """

    id: str
    detector: DetectorPart
    protocol: ProtocolRecord
    format: int = FORMAT
    status: Status = "running"
    started: str = ""
    group: str = ""
    task: str = "binary"
    seed: int = 0
    members: tuple[Member, ...] = ()
    request: Request | None = None
    data: DataPart = DataPart()
    training: TrainingRecord = TrainingRecord()
    reported: Mapping[str, float] = field(default_factory=dict)
    variant: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    seconds: Mapping[str, float | None] = field(default_factory=dict)
    clips_per_second: Mapping[str, float | None] = field(default_factory=dict)
    device: str = ""
    environment: Environment = Environment()
    counts: Counts | None = None
    metrics: Mapping[str, Mapping[str, Mapping[str, Measured]]] = field(default_factory=dict)
    confusion: Mapping[str, Mapping[str, Confusion]] = field(default_factory=dict)
    ceilings: Mapping[str, Mapping[str, Ceiling]] = field(default_factory=dict)
    blind: Mapping[str, Mapping[str, Blind]] = field(default_factory=dict)
    perturbations: Robustness | None = None
    scores_sha256: str = ""
    made_of: Mapping[str, str] = field(default_factory=dict)
    changes: str = ""
    encoder: Encoder | None = None
    error: str = ""

    @classmethod
    def load(cls, path: Path) -> Card:
        """Read a card from its file or its run's folder; UserError where there is none or it cannot be read."""
        return cls.of(card_file.read(path), str(path))

    @classmethod
    def of(cls, values: Mapping[str, Any], name: str) -> Card:
        """Return the card of plain values in today's format; UserError, with the `name`, where they are none."""
        try:
            return msgspec.convert(values, cls, str_keys=True)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter of half a surrogate pair
            raise UserError(f"{name}: not a card: {error}") from error

    def save(self, folder: Path) -> None:
        """Write card.json into the run's folder, whole; numbers that are not finite become null."""
        card_file.write(self, folder)

    @property
    def is_demo(self) -> bool:
        """Whether the numbers come from demo data."""
        return Caveat.DEMO_DATA in self.caveats

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return self.status == "finished"

    @property
    def title(self) -> str:
        """Name the run in one line, demo data first so that nobody overlooks it."""
        return " · ".join(["DEMO DATA"] * self.is_demo + [self.title_without_demo])

    @property
    def title_without_demo(self) -> str:
        """Name the run in one line, for what says by itself that the data are demo data."""
        protocol = f"{self.protocol.name} v{self.protocol.version}"
        return " · ".join([self.detector.shown, protocol, _TASKS.get(self.task, self.task), f"seed {self.seed}"])

    @property
    def overrides(self) -> tuple[str, ...]:
        """Return the settings that were asked for beside the preset's."""
        return self.request.overrides if self.request is not None else ()

    @property
    def origin(self) -> tuple[tuple[str, str], ...]:
        """Return what runs that differ in seed or fold alone were all made of: code, versions, weights, and data.

        Lists that seed or fold draw say nothing; nor do scores and weights that are given.
        """
        asked = self.request
        limited = asked is not None and (asked.limit is not None or asked.limit_test is not None)
        drawn = limited or self.data.fold is not None or self.protocol.test_distribution == "balanced"
        own = {"scores", "given weights"}
        return tuple(
            sorted((k, v) for k, v in self.made_of.items() if k not in own and not (drawn and k.endswith(" data")))
        )

    def settings(self) -> Iterator[Setting]:
        """Yield where there are metrics, in the order in which the run reports them."""
        order = [placement for placement in self.protocol.placements if placement in self.metrics]
        for placement in [*order, *(p for p in self.metrics if p not in order)]:
            for granularity in sorted(self.metrics[placement], key=_rank):
                yield Setting(placement, granularity)

    def reported_setting(self) -> Setting | None:
        """Return the setting that published values stand beside: one oracle clip a video, else the headline."""
        settings = list(self.settings())
        return REPORTED if REPORTED in settings else next(iter(settings), None)

    def metrics_at(self, setting: Setting) -> Mapping[str, Measured]:
        """Return the metrics of a setting by name; KeyError where there is no such setting."""
        return self.metrics[setting.placement][setting.granularity]

    def confusion_at(self, setting: Setting) -> Confusion | None:
        """Return the confusion matrix of a setting, None where there is none."""
        return self.confusion.get(setting.placement, {}).get(setting.granularity)

    def headline(self, metric: str) -> Measured | None:
        """Return a metric in the reported setting; None where it was not measured."""
        setting = self.reported_setting()
        return self.metrics_at(setting).get(metric) if setting is not None else None

    def benchmark_task(self) -> Task:
        """Return the task; UserError for a run of another kind, such as a pre-training."""
        for task in TASKS:
            if task == self.task:
                return task
        raise UserError(f"{self.id}: {self.task} is no task of the benchmark; name a run of avbench run")


def _rank(granularity: str) -> tuple[int, str]:
    known = granularity in _GRANULARITIES
    return _GRANULARITIES.index(granularity) if known else len(_GRANULARITIES), granularity


def now() -> str:
    """Return the time in UTC, to the second, such as 2026-01-31T12:00:00+00:00; later times are greater texts."""
    return datetime.now(UTC).isoformat(timespec="seconds")
