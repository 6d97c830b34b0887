"""Robustness as tables: type by level, mean over levels, drop from clean; and how strong each level was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from avbench.records.card import Card
from avbench.records.measured import Measured, Robustness, Strength
from avbench.records.table import Table, percent, spread, with_interval

TITLES = {"auc": "AUC", "acc": "Acc"}


def robustness_tables(card: Card) -> Iterator[Table]:
    """Yield a table of AUC and one of Acc in percent, with 95 % intervals, then one of strengths."""
    found = card.perturbations
    if found is None:
        return
    levels = sorted({level for one in found.types.values() for level in one.levels})
    for metric, name in TITLES.items():
        rows = []
        for one in found.types.values():
            at_levels = [one.levels[k].metrics.get(metric) if k in one.levels else None for k in levels]
            entries = [found.clean[metric], *at_levels, one.mean[metric], one.drop[metric]]
            rows.append((one.title, *map(_cell, entries)))
        head = (f"{name} % at level", "0", *map(str, levels), "mean", "drop")
        yield Table(card.title, head, tuple(rows), tuple(_notes(found, metric)))
    rows = []
    for one in found.types.values():
        cells = {k: f"{level.parameter:g}\n{_strength(level.strength)}" for k, level in one.levels.items()}
        title = f"{one.title}\n({one.unit})" if one.unit else one.title
        rows.append((title, *(cells.get(k, "–") for k in levels)))
    notes = ("medians over clips: PSNR of the whole pictures, SNR of the sound, bitrate of what was coded",)
    yield Table("How strong each level was", ("level", *map(str, levels)), tuple(rows), notes)


def compared(cards: Sequence[Card]) -> Table:
    """Return several runs side by side: AUC on clean videos, mean AUC by type, mean over types with its range."""
    swept = [(card, card.perturbations) for card in cards if card.perturbations is not None]
    types = {name: one.title for _, found in swept for name, one in found.types.items()}
    rows = []
    for card, found in swept:
        means = [found.types[name].mean.get("auc") if name in found.types else None for name in types]
        known = [mean.value for mean in means if mean]
        named = f"{card.detector.shown}\n{card.task.replace('_', '-')}, seed {card.seed}"
        rows.append((named, _cell(found.clean["auc"]), *map(_cell, means), spread(known)))
    return Table("Mean AUC % over levels", ("", "clean", *types.values(), "over types"), tuple(rows))


def _cell(entry: Measured | None) -> str:
    """Show a value above its interval, so that eight of them fit side by side."""
    return with_interval(entry).replace(" [", "\n[", 1)


def _strength(strength: Strength) -> str:
    units = {"psnr": "dB", "snr": "dB", "kbps": "kbit/s"}
    shown = [f"{value:.1f} {units[name]}" for name, value in strength.medians().items()]
    if strength.unchanged:
        shown.append(f"{percent(strength.unchanged / strength.clips)} % as before")
    return "\n".join(shown) or "–"


def _notes(found: Robustness, metric: str) -> Iterator[str]:
    left_out = found.videos.left_out
    yield f"{found.videos.n} videos, the same in every cell" + (
        f"; {left_out} left out, without a score under some condition" if left_out else ""
    )
    yield "mean: over the levels from 1 on; drop: clean minus that mean, with the interval of the paired difference"
    if found.clean[metric].few_clusters:
        yield "* few clusters: fewer than ten, the interval is a rough guide only"
