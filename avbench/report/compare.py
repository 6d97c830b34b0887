"""Two runs side by side on the videos that both scored: paired differences, settings and environment that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from avbench.errors import UserError
from avbench.metrics import definitions as metrics
from avbench.metrics.definitions import Metric
from avbench.metrics.intervals import Interval, bootstrap, compare
from avbench.metrics.pooling import pool
from avbench.records.card import Card
from avbench.records.card_file import plain
from avbench.records.measured import Measured
from avbench.records.run import Run
from avbench.records.table import Table, percent, text, with_interval

SHOWN: Mapping[str, Metric] = {
    "Acc": metrics.acc,
    "AUC": metrics.auc,
    "Balanced Acc": metrics.balanced_acc,
    "EER": metrics.eer,
    "AP": metrics.ap,
}
# Of a card, beside its training's configuration and weights.
_PARTS = ("detector", "protocol", "task", "seed", "variant", "request", "data")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, A and B, on the videos that both scored: each one's values there, and A minus B, by metric.

    `videos` were scored by both, `alone` by A or by B alone; `placement` says which clips of them.
    """

    runs: tuple[Run, Run]
    placement: str
    own: tuple[Mapping[str, Interval], Mapping[str, Interval]]
    difference: Mapping[str, Interval]
    videos: int
    alone: tuple[int, int]

    @property
    def differences(self) -> pd.DataFrame:
        """Return a row for each metric: metric, a, b, difference, low, high (95 %), n, verdict; shares of 1."""
        rows = [
            (name, *(own[name].value for own in self.own), one.value, one.low, one.high, one.n, _verdict(one)[1])
            for name, one in self.difference.items()
        ]
        return pd.DataFrame(rows, columns=["metric", "a", "b", "difference", "low", "high", "n", "verdict"])

    @property
    def settings(self) -> pd.DataFrame:
        """Return a row for each setting that differs: setting, a, b, as texts."""
        return pd.DataFrame(self._differing(_shaping), columns=["setting", "a", "b"])

    @property
    def environment(self) -> pd.DataFrame:
        """Return a row for each part of the environment that differs, where they were judged and where `trained`.

        Its columns are name, a, b, as texts.
        """
        return pd.DataFrame(self._differing(_surrounding), columns=["name", "a", "b"])

    def tables(self) -> tuple[Table, Table, Table]:
        """Return the table of paired differences, that of settings which differ, and that of the environment."""
        settings, environment = (self._differing(part) for part in (_shaping, _surrounding))
        return (
            _paired(self),
            _differences("Settings that differ", settings),
            _differences("Environment that differs", environment),
        )

    def _differing(self, part: Callable[[Card], Any]) -> list[tuple[str, str, str]]:
        return _differing(self.runs[0].card, self.runs[1].card, part)

    def __str__(self) -> str:
        return "\n\n".join(text(table) for table in self.tables())


def settings_that_differ(first: Card, second: Card) -> list[tuple[str, str, str]]:
    """Return (setting, value in the first, in the second) of all that shaped two runs' numbers and differs."""
    return _differing(first, second, _shaping)


def environment_that_differs(first: Card, second: Card) -> list[tuple[str, str, str]]:
    """Return (name, value in the first, in the second) of where two runs were computed, as far as it differs."""
    return _differing(first, second, _surrounding)


def compare_runs(first: Run, second: Run) -> Comparison:
    """Compare the headline placement that both runs have, videos pooled as each run pools them.

    Raises UserError for runs that share no video, or not the class of one.
    """
    tables = [_clean(run) for run in (first, second)]
    cards = [first.card, second.card]
    names = " and ".join(card.id for card in cards)
    placement = next((p for p in cards[0].protocol.placements if p in cards[1].metrics), None)
    if placement is None:
        raise UserError(f"{names} share no clip placement; run one again with --placement")
    pooled = [_pooled(card, table, placement) for card, table in zip(cards, tables, strict=True)]
    shared = set(pooled[0]["id"]) & set(pooled[1]["id"])
    if not shared:
        raise UserError(f"{names} scored no video in common; compare runs of one test list")
    difference = compare(pooled[0], pooled[1], SHOWN, seed=cards[0].seed)
    own = [bootstrap(table[table["id"].isin(shared)].reset_index(drop=True), SHOWN) for table in pooled]
    return Comparison(
        (first, second),
        placement,
        (own[0], own[1]),
        difference,
        len(shared),
        (len(pooled[0]) - len(shared), len(pooled[1]) - len(shared)),
    )


def _paired(found: Comparison) -> Table:
    own, cards = found.own, [run.card for run in found.runs]
    rows = tuple((n, _shown(own[0][n]), _shown(own[1][n]), *_verdict(one)) for n, one in found.difference.items())
    some = found.difference["AUC"]
    notes = (
        f"A: {cards[0].title} ({cards[0].id})",
        f"B: {cards[1].title} ({cards[1].id})",
        f"{found.videos} videos that both scored, in {some.clusters} clusters, {found.placement}; left out: "
        f"{found.alone[0]} that A alone scored, {found.alone[1]} that B alone scored",
        "A − B in points with the 95 % interval of a bootstrap that draws the same clusters for both",
        *(["* few clusters: the interval is a rough guide only"] if some.few_clusters else []),
    )
    demo = "DEMO DATA · " if any(card.is_demo for card in cards) else ""
    head = ("%", "A", "B", "A − B", "")
    return Table(f"{demo}Paired comparison", head, rows, notes)


def _clean(run: Run) -> pd.DataFrame:
    """Return the scores of the videos as they are."""
    table = run.scores
    return table[table["level"] == 0] if "level" in table else table


def _pooled(card: Card, table: pd.DataFrame, placement: str) -> pd.DataFrame:
    videos = pool(table[table["placement"] == placement], card.detector.pooling)
    return videos[videos["score"].notna()].reset_index(drop=True)


def _shown(interval: Interval) -> str:
    value = None if interval.value != interval.value else interval.value
    ci95 = None if interval.low != interval.low else (interval.low, interval.high)
    return with_interval(Measured(value, ci95, few_clusters=interval.few_clusters))


def _verdict(interval: Interval) -> tuple[str, str]:
    if interval.value != interval.value or interval.low != interval.low:
        return percent(None), "no interval"
    shown = f"{100 * interval.value:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"
    shown += "*" if interval.few_clusters else ""
    if interval.low > 0 or interval.high < 0:
        return shown, "A is higher" if interval.value > 0 else "B is higher"
    return shown, "a tie"


def _differences(title: str, rows: Sequence[tuple[str, str, str]]) -> Table:
    return Table(title, ("", "A", "B"), tuple(rows) or (("none", "", ""),))


def _differing(first: Card, second: Card, part: Callable[[Card], Any]) -> list[tuple[str, str, str]]:
    flat = [dict(_flat(part(card))) for card in (first, second)]
    names = sorted({name for one in flat for name in one})
    return [(n, flat[0].get(n, "–"), flat[1].get(n, "–")) for n in names if flat[0].get(n) != flat[1].get(n)]


def _shaping(card: Card) -> Any:
    """Return what shaped a run's numbers, as plain values by name."""
    parts = {part: getattr(card, part) for part in _PARTS}
    return plain({**parts, "config": card.training.config, "weights": card.training.weights})


def _surrounding(card: Card) -> Any:
    """Return where a run's numbers and the weights behind them were computed, as plain values by name."""
    trained = card.training.environments
    # The last of several: of the others, which an interrupted training has seen, it is told how many there are.
    where = {"trained": trained[-1], "environments of the training": len(trained)} if trained else {}
    return plain({"device": card.device, "judged": card.environment, **where})


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted name, text) of every leaf; a list is one leaf unless it holds dictionaries."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for number, inner in enumerate(value):
            key = inner.get("name", number) if isinstance(inner, Mapping) else number
            yield from _flat(inner, f"{name}.{key}")
    elif not name.endswith(".command"):
        yield name, str(value)
