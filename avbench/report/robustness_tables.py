"""Robustness as tables: type by level, mean over levels, drop from clean; and how strong each level was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from avbench.records.card import title
from avbench.records.table import Table, percent, spread, with_interval

Card = Mapping[str, Any]
TITLES = {"auc": "AUC", "acc": "Acc"}


def robustness_tables(card: Card) -> Iterator[Table]:
    """Yield a table of AUC and one of Acc in percent, with 95 % intervals, then one of strengths."""
    found = card["perturbations"]
    levels = sorted({int(level) for one in found["types"].values() for level in one["levels"]})
    for metric, name in TITLES.items():
        rows = []
        for one in found["types"].values():
            entries = [found["clean"][metric], *(one["levels"].get(str(k), {}).get(metric) for k in levels)]
            cells = [_cell(entry) for entry in [*entries, one["mean"][metric], one["drop"][metric]]]
            rows.append((one["title"], *cells))
        head = (f"{name} % at level", "0", *map(str, levels), "mean", "drop")
        yield Table(title(card), head, tuple(rows), tuple(_notes(found, metric)))
    rows = []
    for one in found["types"].values():
        parameters = {int(k): level["parameter"] for k, level in one["levels"].items()}
        strengths = {int(k): _strength(level["strength"]) for k, level in one["levels"].items()}
        cells = [f"{parameters[k]:g}\n{strengths[k]}" if k in parameters else "–" for k in levels]
        rows.append((f"{one['title']}\n({one['unit']})" if one["unit"] else one["title"], *cells))
    notes = ("medians over clips: PSNR of the whole pictures, SNR of the sound, bitrate of what was coded",)
    yield Table("How strong each level was", ("level", *map(str, levels)), tuple(rows), notes)


def compared(cards: Sequence[Card]) -> Table:
    """Return several runs side by side: AUC on clean videos, mean AUC by type, mean over types with its range."""
    types = {name: one["title"] for card in cards for name, one in card["perturbations"]["types"].items()}
    rows = []
    for card in cards:
        found = card["perturbations"]
        means = [found["types"].get(name, {}).get("mean", {}).get("auc") for name in types]
        known = [mean["value"] for mean in means if mean]
        who = card["detector"].get("title") or card["detector"]["name"]
        named = f"{who}\n{card['task'].replace('_', '-')}, seed {card['seed']}"
        rows.append((named, _cell(found["clean"]["auc"]), *map(_cell, means), spread(known)))
    return Table("Mean AUC % over levels", ("", "clean", *types.values(), "over types"), tuple(rows))


def _cell(entry: Mapping[str, Any] | None) -> str:
    """Show a value above its interval, so that eight of them fit side by side."""
    return with_interval(entry).replace(" [", "\n[", 1)


def _strength(strength: Mapping[str, Any]) -> str:
    units = {"psnr": "dB", "snr": "dB", "kbps": "kbit/s"}
    shown = [f"{strength[name]:.1f} {unit}" for name, unit in units.items() if name in strength]
    if strength["unchanged"]:
        shown.append(f"{percent(strength['unchanged'] / strength['clips'])} % as before")
    return "\n".join(shown) or "–"


def _notes(found: Mapping[str, Any], metric: str) -> Iterator[str]:
    videos = found["videos"]
    yield f"{videos['n']} videos, the same in every cell" + (
        f"; {videos['left_out']} left out, without a score under some condition" if videos["left_out"] else ""
    )
    yield "mean: over the levels from 1 on; drop: clean minus that mean, with the interval of the paired difference"
    if found["clean"][metric].get("few_clusters"):
        yield "* few clusters: fewer than ten, the interval is a rough guide only"
