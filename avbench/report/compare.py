"""Two runs side by side on the videos that both scored: paired differences, and which settings differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from avbench.errors import UserError
from avbench.metrics import definitions as metrics
from avbench.metrics.definitions import Metric
from avbench.metrics.intervals import Interval, bootstrap, compare
from avbench.metrics.pooling import pool
from avbench.records import scores
from avbench.records.card import Card
from avbench.records.card_file import plain
from avbench.records.measured import Measured
from avbench.records.runs import FoundRun
from avbench.records.table import Table, percent, with_interval

SHOWN: Mapping[str, Metric] = {
    "Acc": metrics.acc,
    "AUC": metrics.auc,
    "Balanced Acc": metrics.balanced_acc,
    "EER": metrics.eer,
    "AP": metrics.ap,
}
# Of a card, beside its training's configuration and weights.
_PARTS = ("detector", "protocol", "task", "seed", "variant", "request", "data", "device", "environment")


def compare_runs(first: FoundRun, second: FoundRun) -> tuple[Table, Table]:
    """Return the table of paired differences, first minus second, and that of settings which differ.

    The headline placement that both have is compared, videos pooled as each run
    pools them. Raises UserError for runs that share no video, or not the class of one.
    """
    cards, tables = zip(*(_read(run.card, run.folder) for run in (first, second)), strict=True)
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
    rows = tuple((name, _shown(own[0][name]), _shown(own[1][name]), *_verdict(difference[name])) for name in SHOWN)
    some = difference["AUC"]
    notes = (
        f"A: {cards[0].title} ({cards[0].id})",
        f"B: {cards[1].title} ({cards[1].id})",
        f"{len(shared)} videos that both scored, in {some.clusters} clusters, {placement}; left out: "
        f"{len(pooled[0]) - len(shared)} that A alone scored, {len(pooled[1]) - len(shared)} that B alone scored",
        "A − B in points with the 95 % interval of a bootstrap that draws the same clusters for both",
        *(["* few clusters: the interval is a rough guide only"] if some.few_clusters else []),
    )
    demo = "DEMO DATA · " if any(card.is_demo for card in cards) else ""
    head = ("%", "A", "B", "A − B", "")
    return Table(f"{demo}Paired comparison", head, rows, notes), _differences(*cards)


def _read(card: Card, folder: Path) -> tuple[Card, pd.DataFrame]:
    if not card.is_finished:
        raise UserError(f"{card.id} is {card.status}; repeat its command to finish it first")
    table, _ = scores.read(folder / "scores.parquet")
    return card, table[table["level"] == 0] if "level" in table else table


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


def _differences(first: Card, second: Card) -> Table:
    flat = [dict(_flat(_shaping(card))) for card in (first, second)]
    names = sorted({name for one in flat for name in one})
    rows = tuple((n, flat[0].get(n, "–"), flat[1].get(n, "–")) for n in names if flat[0].get(n) != flat[1].get(n))
    return Table("Settings that differ", ("", "A", "B"), rows or (("none", "", ""),))


def _shaping(card: Card) -> Any:
    """Return what shaped a run's numbers, as plain values by name."""
    parts = {part: getattr(card, part) for part in _PARTS}
    return plain({**parts, "config": card.training.config, "weights": card.training.weights})


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted name, text) of every leaf; a list is one leaf unless it holds dictionaries."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for number, inner in enumerate(value):
            key = inner.get("name", number) if isinstance(inner, Mapping) else number
            yield from _flat(inner, f"{name}.{key}")
    elif name != "environment.command":
        yield name, str(value)
