"""A finished run asked for once more, as its card describes it, computed in a folder of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from avbench.bench.spec import RunSpec, of_run
from avbench.errors import UserError
from avbench.plugins.registry import Plugins
from avbench.protocol import complaint
from avbench.records.card import Card
from avbench.records.run import Run
from avbench.records.runs import Runs
from avbench.types import Protocol

FOLDER = "reruns"
REPORT = "comparison.txt"  # ends a rerun
_ORIGIN = re.compile(r"\((?P<kind>file|module) (?P<place>.+)\)")


def named(name: str, runs: Runs) -> Run:
    """Return the run of a card's file, of a folder or of an id; UserError for none and for one that is not finished."""
    found = Run(Card.load(Path(name)), Path(name).parent) if Path(name).is_file() else runs.one(name)
    found.require_finished()
    return found


def asked_again(
    run: Run, plugins: Plugins, roots: Mapping[str, Path] | None = None, checkpoint: Path | None = None
) -> RunSpec:
    """Return the spec of a run as its card describes it; whatever training it comes to will do.

    `roots` and `checkpoint` stand in for places that have moved. Raises UserError where the card does not say how it
    was made, and where plugin, data or given weights are gone.
    """
    card = run.card
    if card.request is None:
        raise UserError(
            f"{card.id} does not say how it was made, as scores of another framework do not; nothing to rerun"
        )
    _require_detector(card, plugins)
    noted = {name: Path(root) for name, root in card.request.data.items()}
    given = dict(roots or {})
    places = given if "" in given else noted | given  # the folder that holds all stands in for all
    for name, root in places.items():
        if not root.exists():
            option = f"--data {name}=PATH" if name else "--data PATH"
            raise UserError(f"{card.id}: its data lay at {root}, which is gone; say where they are with {option}")
    given_weights = checkpoint or (Path(card.request.checkpoint) if card.request.checkpoint else None)
    if checkpoint is not None and card.request.checkpoint is None:
        raise UserError(f"{card.id} was trained, not given weights; leave --checkpoint out")
    if given_weights is not None and not given_weights.is_file():
        raise UserError(f"{card.id}: the weights {given_weights} are gone; say where they are with --checkpoint FILE")
    asked = replace(run, card=replace(card, request=replace(card.request, checkpoint=None)))
    spec = of_run(asked, places, card.request.limit_test)
    return replace(spec, protocol=_protocol(card), checkpoint=given_weights, training="")


def folder_for(run: Run, results: Path) -> Path:
    """Return the results folder of a rerun: that of the one which was interrupted, else a new one.

    Each rerun has a folder of its own, so that it finds neither training nor scores of another.
    """
    below = results / FOLDER / run.id
    numbers = [int(path.name) for path in below.glob("*") if path.name.isdecimal()]
    last = max(numbers, default=0)
    begun = last > 0 and not (below / str(last) / REPORT).is_file()
    return below / str(last if begun else last + 1)


def _require_detector(card: Card, plugins: Plugins) -> None:
    """Raise UserError where nothing registered gives the detector; a card never has a plugin's code run by itself."""
    name = card.detector.name
    if name in plugins.detectors():
        return
    origin = _ORIGIN.search(card.detector.source)
    if origin is None:
        raise UserError(
            f"{card.id}: detector {name} came from {card.detector.source or 'a plugin'}, which is not installed"
        )
    place = origin["place"]
    if origin["kind"] == "file" and not Path(place).is_file():
        raise UserError(f"{card.id}: the plugin file of {name}, {place}, is gone; name it with --plugin FILE.py")
    raise UserError(
        f"{card.id}: detector {name} came from {place}, whose code runs only if named: add --plugin {place}"
    )


def _protocol(card: Card) -> Protocol:
    """Return the protocol as it was asked for; a card notes the placements that it came to, and its digest."""
    noted = card.protocol.protocol()
    if wrong := complaint(noted):
        raise UserError(f"{card.id}: its protocol cannot be followed: {wrong}")
    usual = replace(noted, placements=())
    return usual if usual.digest() == card.protocol.digest else noted
