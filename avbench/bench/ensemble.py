"""An ensemble as a cell: its members are ordinary cells, run or found again, and their scores become its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from avbench.bench import cell as cells
from avbench.bench.cell import Cell, Resolved
from avbench.config import Config
from avbench.data.lists import Lists, Say
from avbench.data.splits import list_digest
from avbench.engine.selection import quality
from avbench.errors import UserError, unknown
from avbench.hashing import digest_of
from avbench.metrics.combining import RULES, Scored, combined
from avbench.perturb.conditions import Condition, choose
from avbench.plugins.registry import Plugins
from avbench.protocol import Protocol
from avbench.records import scores
from avbench.records.training import VALIDATION
from avbench.types import ClipSpec, DetectorSpec

COMBINE = "combine"
RunMember = Callable[[Cell], tuple[dict[str, Any], Path]]


def require_members(spec: DetectorSpec, known: Mapping[str, DetectorSpec], cell: Cell | None = None) -> None:
    """Raise UserError for members that are missing or ensembles themselves, and for a cell that no ensemble can do."""
    made_of = f"{spec.name} is an ensemble of {' and '.join(spec.members)}"
    for name in spec.members:
        if name not in known:
            raise UserError(f"{made_of}: {unknown('detector', name, known)}; install its plugin or give it by --plugin")
        if known[name].members:
            raise UserError(f"{made_of}: {name} is an ensemble too; name its members {', '.join(known[name].members)}")
    if len(set(spec.members)) < len(spec.members):
        raise UserError(f"{made_of}: each member once; give a variant of a detector a name of its own")
    if cell is not None and cell.task not in spec.tasks:
        raise UserError(f"{spec.name} cannot do {cell.task}: an ensemble does binary; use --task binary")
    if cell is not None and cell.checkpoint is not None:
        raise UserError(f"{made_of} and has no weights of its own; judge --checkpoint with a member as --detector")


def settings_of(spec: DetectorSpec, overrides: Sequence[str]) -> tuple[str, dict[str, tuple[str, ...]]]:
    """Return the rule that combines scores, and each member's own `key=value` settings.

    `combine=max` is the ensemble's, `rawgat_st.epochs=3` that member's, any other key every member's. A member's key
    `preset` chooses its preset.
    """
    rule = str(spec.presets[0].settings.get(COMBINE, "mean"))
    given: dict[str, list[str]] = {name: [] for name in spec.members}
    for text in overrides:
        key, _, value = text.partition("=")
        member, dot, rest = key.strip().partition(".")
        if key.strip() == COMBINE:
            rule = value.strip()
        elif dot and member in given:
            given[member].append(f"{rest}={value}")
        else:
            for own in given.values():
                own.append(text)
    if rule not in RULES:
        raise unknown(f"value of {COMBINE}", rule, RULES)
    return rule, {name: tuple(own) for name, own in given.items()}


def members_of(cell: Cell, plugins: Plugins) -> list[Cell]:
    """Return the cells of an ensemble's members, each with its own settings and preset, under the same protocol."""
    spec = plugins.detector(cell.detector)
    _, overrides = settings_of(spec, cell.overrides)
    members = []
    for name in spec.members:
        own = [text.partition("=")[2].strip() for text in overrides[name] if text.startswith("preset=")]
        others = tuple(text for text in overrides[name] if not text.startswith("preset="))
        members.append(
            replace(cell, detector=name, overrides=others, preset=own[-1] if own else cell.preset, training="")
        )
    return members


def resolve(cell: Cell, plugins: Plugins, lists: Lists) -> Resolved:
    """Resolve the members' cells; the id is a hash of theirs and of the rule."""
    spec = plugins.detector(cell.detector)
    rule, _ = settings_of(spec, cell.overrides)
    asked = choose(cell.protocol.perturbations, cell.protocol.levels, plugins.perturbations())
    plain = replace(cell.protocol, perturbations=(), levels=())
    members: list[tuple[Cell, Resolved]] = []
    for member in members_of(cell, plugins):
        clip = cells.resolve(replace(member, protocol=plain), plugins, lists).config.clip
        member = replace(member, protocol=_felt_by(clip, cell.protocol, asked))
        members.append((member, cells.resolve(member, plugins, lists)))
    conditions = tuple(c for c in asked if c is None or any(c in resolved.conditions for _, resolved in members))
    cells.require_felt(spec.name, asked, conditions)
    configs = [resolved.config for _, resolved in members]
    presets = {config.preset for config in configs}
    settings = Config(
        spec.name,
        cell.task,
        presets.pop() if len(presets) == 1 else "of each",
        settings={COMBINE: rule},
        stages=(),
        requires=frozenset().union(*(config.requires for config in configs)),
    )
    placements = members[0][1].placements
    shaping = {
        "members": [resolved.id for _, resolved in members],
        "combine": rule,
        "version": spec.version,
        "protocol": cell.protocol.digest(),
        "test": list_digest(lists.split.test),
        "placements": list(placements),
    }
    name = f"{cell.detector}-{cell.protocol.name}-{cell.task}-s{cell.seed}-{digest_of(shaping)[:8]}"
    return Resolved(spec, settings, lists, placements, conditions, None, name, tuple(members))


def _felt_by(clip: ClipSpec, protocol: Protocol, asked: Sequence[Condition | None]) -> Protocol:
    """Return the protocol without the perturbations of streams that a member is not fed."""
    felt = {c.name: cells.felt(c, clip) for c in asked if c is not None}
    if all(felt.values()):
        return protocol  # as it is, so that a sweep of the member alone is found again
    names = tuple(name for name, is_felt in felt.items() if is_felt)
    return replace(protocol, perturbations=names, levels=protocol.levels if names else ())


def score(resolved: Resolved, card: dict[str, Any], run: RunMember, say: Say) -> pd.DataFrame:
    """Run the members or find their runs; return the ensemble's scores and note in the card what they came from."""
    scored: list[Scored] = []
    for number, ((cell, member), note) in enumerate(zip(resolved.members, card["members"], strict=True), 1):
        say(f"member {number} of {len(resolved.members)} of {resolved.spec.name}: {cell.detector}")
        theirs, folder = run(cell)
        table, _ = scores.read(folder / "scores.parquet")
        scored.append(Scored(table, member.config.requires, member.spec.pooling))
        training = theirs["training"]
        kept = ("id", "chosen_epoch", "selected_on", "parameters", "seconds", "weights")
        note["training"] = {name: training.get(name) for name in kept}
        card["marks"] += [mark for mark in ("published bugs reproduced",) if mark in theirs["marks"]]
    card["training"]["threshold"] = _threshold(resolved)
    card["training"]["parameters"] = sum(note["training"]["parameters"] or 0 for note in card["members"])
    return combined(scored, str(resolved.config.settings[COMBINE]))


def _threshold(resolved: Resolved) -> float | None:
    """Return the best threshold on the validation clips that every member scored; None where one kept no scores."""
    tables = []
    for _, member in resolved.members:
        path = member.plan.folder / VALIDATION if member.plan is not None else None
        if path is None or not path.is_file():
            return None
        tables.append(pd.read_csv(path, dtype={"id": str}).set_index("id"))
    common = tables[0].index[[all(name in table.index for table in tables) for name in tables[0].index]]
    if common.empty:
        return None
    p_NM = np.stack([table.loc[common, "score"].to_numpy(np.float64) for table in tables], axis=1)
    p_N = RULES[str(resolved.config.settings[COMBINE])](p_NM)
    fake = (tables[0].loc[common, "forgery"].to_numpy(np.int64) > 0).astype(np.int64)
    return quality(fake, p_N, np.zeros((len(p_N), 4)), "binary")[1]
