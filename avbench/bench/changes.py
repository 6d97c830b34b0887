"""What changed since an earlier run or training of the same command, told in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from avbench.engine.plan import TrainingPlan
from avbench.errors import UserError
from avbench.records.card import Card
from avbench.records.inputs import InputList, changes
from avbench.records.run import Run
from avbench.records.runs import Runs
from avbench.records.training import FinishedTraining

DATA = " data"  # ends the name of a list among what a run is made of
_ANEW = "a new run starts, the old one stays"


def changed_since(card: Card, lists: Mapping[str, InputList], results: Path) -> str:
    """Say what differs between a run that begins and the newest one of the same command; empty where there is none."""
    beginning = card.id[: card.id.rindex("-") + 1]
    former = Runs(results).newest(lambda one: one.id != card.id and _asks_alike(one, card), beginning=beginning)
    if former is None:
        return ""
    before = former.card
    if not before.made_of:
        return f"run {before.id} is of an earlier version, which did not note data and code it was made of; {_ANEW}"
    told = []
    names = differing(before.made_of, card.made_of)
    if any(name.endswith(DATA) for name in names):
        used = {name: one for name, one in lists.items() if f"{name}{DATA}" in card.made_of}
        what = _data(before, used, results)
        told.append(f"data of {card.protocol.name} changed since run {before.id}{f': {what}' if what else ''}")
    if others := [_named(name, before.made_of, card.made_of) for name in names if not name.endswith(DATA)]:
        told.append(f"{', '.join(others)} changed since run {before.id}")
    return f"{'; '.join(told)}; {_ANEW}" if told else ""


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the names of what is not the same in both."""
    return [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]


def data_changed(before: Run, after: Run, names: Sequence[str]) -> str:
    """Say how lists of two runs differ, by name, from what is kept of them; empty where that is not there."""
    found = [
        {name: InputList.load(run.results_folder, run.card.made_of.get(f"{name}{DATA}", "")) for name in names}
        for run in (before, after)
    ]
    kept = [{name: one for name, one in lists.items() if one is not None} for lists in found]
    return changes(*kept) if all(kept) and kept[0].keys() == kept[1].keys() else ""


def moved_on(results: Path, training: str, plan: TrainingPlan) -> str:
    """Say why a training is not the one that is planned."""
    found: FinishedTraining | None = None
    with suppress(UserError):  # one that cannot be read tells nothing
        found = FinishedTraining.load(results / "trainings" / training)
    before = found.about.get("made_of") if found is not None else None
    names = differing(before, plan.about["made_of"]) if isinstance(before, Mapping) else []
    why = f" (changed: {', '.join(names)})" if names else ""
    return f"belongs to other data or to another version{why}: here it would be {plan.id}"


def _asks_alike(one: Card, other: Card) -> bool:
    """Whether two cards are of the same command, wherever the data lie."""
    asked = [replace(card.request, data={}) if card.request is not None else None for card in (one, other)]
    alike = asked[0] == asked[1]  # both None: scores of another framework
    protocols = one.protocol.digest == other.protocol.digest and one.protocol.placements == other.protocol.placements
    return alike and protocols and one.is_demo == other.is_demo


def _data(before: Card, lists: Mapping[str, InputList], results: Path) -> str:
    """Say how the lists differ from those of a former run; empty where those were not kept."""
    digests = {name: before.made_of.get(f"{name}{DATA}", "") for name in lists}
    former = {name: InputList.load(results, digest) for name, digest in digests.items() if digest}
    known = {name: one for name, one in former.items() if one is not None}
    if len(known) < len(former) or not known:
        return ""
    return changes(known, lists)


def _named(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    if name == "avbench":
        return f"avbench ({before.get(name, '?')}, now {after.get(name, '?')})"
    return name
