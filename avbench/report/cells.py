"""Which runs are seeds and folds of one cell, so that they may be averaged or added up."""

from __future__ import annotations

import json
from collections.abc import Iterable

from avbench.records.card import Card
from avbench.records.card_parts import TrainedOn
from avbench.records.caveats import Caveat


def names(card: Card) -> tuple[str, str, str]:
    """Name detector, protocol and task: the detector's preset and the protocol's version included."""
    preset = f" ({card.detector.preset})" if card.detector.preset not in {"", "default"} else ""
    protocol = f"{card.protocol.name} v{card.protocol.version}"
    return card.detector.name + preset, protocol, card.task.replace("_", "-")


def data_versions(card: Card) -> tuple[str, str]:
    """Return of which demo data a run was judged and trained on; "" of data that have no versions."""
    trained = card.training.trained_on
    judged = card.data.test.data_version if card.data.test is not None else ""
    return judged, trained.data_version if isinstance(trained, TrainedOn) else ""


def caveats_of(card: Card) -> str:
    """Return the caveats that must agree within a cell: how many clusters a fold has may differ."""
    return ", ".join(caveat for caveat in card.caveats if caveat != Caveat.FEW_CLUSTERS)


def cell(card: Card) -> tuple[str, ...]:
    """Return what must agree for two runs to differ in seed and fold alone."""
    configuration = json.dumps([card.detector.version, card.training.config, card.origin], sort_keys=True)
    return *names(card), *data_versions(card), caveats_of(card), configuration


def newest(cards: Iterable[Card]) -> list[Card]:
    """Return the newest of the runs of each seed and fold, by seed and fold."""
    found = {(card.seed, card.protocol.fold): card for card in sorted(cards, key=lambda card: card.started)}
    return [found[key] for key in sorted(found)]
