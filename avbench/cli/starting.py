"""What the terminal says of starts at random that are meant so; others are caveats of the card."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from avbench.records.caveats import started_at_random

if TYPE_CHECKING:
    from avbench.plugins.registry import Plugins
    from avbench.records.card import Card
    from avbench.types import WeightSpec


def by_design(cards: Iterable[Card], plugins: Plugins) -> str:
    """Return one line that names what starts at random as its preset says; empty where nothing does."""
    published = {name: spec.weights for name, spec in (plugins.pretrainings() | plugins.detectors()).items()}
    found: dict[str, dict[str, None]] = {}
    for card in cards:
        against = started_at_random(card.caveats)
        for name, preset, weights in _trained(card):
            parts = _random_parts(published.get(name, ()), weights)
            meant = [part for part in parts if part not in against and f"{name} {part}" not in against]
            found.setdefault(f"{name}, preset {preset}", {}).update(dict.fromkeys(meant))
    said = [f"{who} ({', '.join(parts)})" for who, parts in found.items() if parts]
    return f"random start by design: {'; '.join(said)}" if said else ""


def _trained(card: Card) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Yield (name, preset, weights by setting) of a card's detector, or of its members."""
    if not card.members:
        yield card.detector.name, card.detector.preset, card.training.weights
    for member in card.members:
        if member.training is not None:
            yield member.detector, member.preset, member.training.weights or {}


def _random_parts(published: tuple[WeightSpec, ...], weights: Mapping[str, str]) -> list[str]:
    parts = {one.setting: one.starts for one in reversed(published)}
    return [parts.get(setting, setting) for setting, sha256 in weights.items() if sha256 == "random"]
