"""An ensemble as a scorer: its members are ordinary runs, computed or found again, and their scores become its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

from avbench.bench import resolving
from avbench.bench.possible import require_possible
from avbench.bench.resolving import ResolvedRun
from avbench.bench.scoring import Work
from avbench.bench.spec import Computing, RunSpec
from avbench.config import Config
from avbench.data.lists import Lists
from avbench.engine.selection import quality
from avbench.errors import UserError, unknown
from avbench.metrics.combining import RULES, Scored, by_rule, combined
from avbench.perturbations.conditions import Condition, choose
from avbench.plugins.registry import Plugins
from avbench.records.card import Card
from avbench.records.card_parts import Member, MemberTraining
from avbench.records.caveats import Caveat
from avbench.records.training import VALIDATION, FinishedTraining
from avbench.settings import plain
from avbench.types import ClipSpec, DetectorSpec, Protocol

COMBINE = "combine"
_KEPT = tuple(f.name for f in fields(MemberTraining))


class EnsembleScorer:
    """Runs the members of an ensemble or finds their runs, and combines the scores of each video."""

    def __init__(self, spec: RunSpec, plugins: Plugins, computing: Computing) -> None:
        require_members(plugins.detector(spec.detector), plugins.detectors(), spec)
        for member in members_of(spec, plugins):
            require_possible(member, plugins, computing)
        self.spec, self.plugins = spec, plugins
        group = computing.group or f"{spec.detector}-{spec.protocol.name}"  # which its members join
        self.computing = replace(computing, group=group)

    def resolve(self, lists: Lists) -> ResolvedRun:
        """Resolve the members' runs; the id is a hash of theirs and of the rule."""
        return resolve(self.spec, self.plugins, lists, self.computing.results_folder)

    def score(self, resolved: ResolvedRun, work: Work) -> tuple[Card, pd.DataFrame]:
        """Return the card with the runs that the scores came from, and the combined scores."""
        card, scored, members, bugs = work.card, list[Scored](), list[Member](), False
        for number, (member, note) in enumerate(zip(resolved.members, card.members, strict=True), 1):
            work.say(f"member {number} of {len(resolved.members)} of {self.spec.detector}: {member.spec.detector}")
            run = work.run(member.spec)
            scored.append(Scored(run.scores, member.config.requires, member.config.pooling))
            about = MemberTraining(**{name: getattr(run.card.training, name) for name in _KEPT})
            members.append(replace(note, training=about, scores_sha256=run.card.scores_sha256))
            bugs = bugs or Caveat.BUGS_REPRODUCED in run.card.caveats
        parameters = sum(one.training.parameters or 0 for one in members if one.training is not None)
        card = replace(
            card,
            members=tuple(members),
            caveats=(*card.caveats, *([Caveat.BUGS_REPRODUCED] if bugs else [])),
            training=replace(card.training, threshold=_threshold(resolved), parameters=parameters),
        )
        return card, combined(scored, str(resolved.config.settings[COMBINE]))


def require_members(spec: DetectorSpec, known: Mapping[str, DetectorSpec], asked: RunSpec | None = None) -> None:
    """Raise UserError for members that are missing or ensembles themselves, and for a run that no ensemble can do."""
    made_of = f"{spec.name} is an ensemble of {' and '.join(spec.members)}"
    for name in spec.members:
        if name not in known:
            raise UserError(f"{made_of}: {unknown('detector', name, known)}; install its plugin or give it by --plugin")
        if known[name].members:
            raise UserError(f"{made_of}: {name} is an ensemble too; name its members {', '.join(known[name].members)}")
    if len(set(spec.members)) < len(spec.members):
        raise UserError(f"{made_of}: each member once; give a variant of a detector a name of its own")
    if asked is not None and asked.task not in spec.tasks:
        raise UserError(f"{spec.name} cannot do {asked.task}: an ensemble does binary; use --task binary")
    if asked is not None and asked.checkpoint is not None:
        raise UserError(f"{made_of} and has no weights of its own; judge --checkpoint with a member as --detector")


def settings_of(spec: DetectorSpec, overrides: Sequence[str]) -> tuple[str, dict[str, tuple[str, ...]]]:
    """Return the rule that combines scores, and each member's own `key=value` settings.

    `combine=max` is the ensemble's, `rawgat_st.epochs=3` that member's, any other key every member's. A member's key
    `preset` chooses its preset.
    """
    rule = str(plain(spec.presets[0].settings).get(COMBINE, "mean"))
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


def members_of(spec: RunSpec, plugins: Plugins) -> list[RunSpec]:
    """Return the runs of an ensemble's members, each with its own settings and preset, under the same protocol."""
    detector = plugins.detector(spec.detector)
    _, overrides = settings_of(detector, spec.overrides)
    members = []
    for name in detector.members:
        own = [text.partition("=")[2].strip() for text in overrides[name] if text.startswith("preset=")]
        others = tuple(text for text in overrides[name] if not text.startswith("preset="))
        preset = own[-1] if own else spec.preset
        members.append(replace(spec, detector=name, overrides=others, preset=preset, training=""))
    return members


def resolve(spec: RunSpec, plugins: Plugins, lists: Lists, results: Path | None = None) -> ResolvedRun:
    """Resolve the members' runs; the id is a hash of theirs and of the rule."""
    detector = plugins.detector(spec.detector)
    rule, _ = settings_of(detector, spec.overrides)
    asked = choose(spec.protocol.perturbations, spec.protocol.levels, plugins.perturbations())
    unperturbed = replace(spec.protocol, perturbations=(), levels=())
    members: list[ResolvedRun] = []
    for member in members_of(spec, plugins):
        clip = resolving.resolve(replace(member, protocol=unperturbed), plugins, lists, results).config.clip
        member = replace(member, protocol=_felt_by(clip, spec.protocol, asked))
        members.append(resolving.resolve(member, plugins, lists, results))
    conditions = tuple(c for c in asked if c is None or any(c in member.conditions for member in members))
    resolving.require_felt(detector.name, asked, conditions)
    presets = {member.config.preset for member in members}
    settings = Config(
        detector.name,
        spec.task,
        presets.pop() if len(presets) == 1 else "of each",
        settings={COMBINE: rule},
        stages=(),
        threads=max(member.config.threads for member in members),
        requires=frozenset().union(*(member.config.requires for member in members)),
        pooling=detector.pooling,
    )
    placements = members[0].placements
    shaping = {"members": [member.id for member in members], "combine": rule, "version": detector.version}
    return ResolvedRun(
        spec=spec,
        detector=detector,
        config=settings,
        lists=lists,
        placements=placements,
        conditions=conditions,
        plan=None,
        id=resolving.id_of(spec, placements, shaping),
        made_of={name: found for member in members for name, found in member.made_of.items()},
        members=tuple(members),
    )


def _felt_by(clip: ClipSpec, protocol: Protocol, asked: Sequence[Condition | None]) -> Protocol:
    """Return the protocol without the perturbations of streams that a member is not fed."""
    felt = {c.name: resolving.felt(c, clip) for c in asked if c is not None}
    if all(felt.values()):
        return protocol  # as it is, so that a sweep of the member alone is found again
    names = tuple(name for name, is_felt in felt.items() if is_felt)
    return replace(protocol, perturbations=names, levels=protocol.levels if names else ())


def _threshold(resolved: ResolvedRun) -> float | None:
    """Return the best threshold on the validation clips that every member scored; None where one kept no scores."""
    tables = []
    for member in resolved.members:
        path = member.plan.folder / VALIDATION if member.plan is not None else None
        record = FinishedTraining.load(path.parent) if path is not None else None
        if path is None or record is None or not path.is_file():
            return None
        record.require_unchanged(path)
        tables.append(pd.read_csv(path, dtype={"id": str}).set_index("id"))
    common = tables[0].index[[all(name in table.index for table in tables) for name in tables[0].index]]
    if common.empty:
        return None
    p_N = by_rule(str(resolved.config.settings[COMBINE]), [table.loc[common] for table in tables])
    fake = (tables[0].loc[common, "forgery"].to_numpy(np.int64) > 0).astype(np.int64)
    return quality(fake, p_N, np.zeros((len(p_N), 4)), "binary")[1]
