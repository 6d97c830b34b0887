"""The card of a run, step by step: as it begins, with its training, with what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import msgspec

from avbench.bench.resolving import region_of
from avbench.errors import UserError
from avbench.records.card import Card, now
from avbench.records.card_file import plain
from avbench.records.card_parts import (
    DetectorPart,
    Environment,
    Member,
    ProtocolRecord,
    Request,
    TrainingRecord,
)
from avbench.records.card_upgrade import training
from avbench.records.caveats import Caveat, demo_data_made, limited_to, random_start, test_list_limited_to
from avbench.records.suite import published
from avbench.settings import plain as plain_settings
from avbench.types import Task

if TYPE_CHECKING:
    from avbench.bench.resolving import ResolvedRun
    from avbench.data.lists import Lists
    from avbench.protocol import Protocol
    from avbench.records.measured import Measurements


def begin(
    resolved: ResolvedRun, source: str, device: str, group: str = "", environment: Environment | None = None
) -> Card:
    """Return the card of a run that starts: all that is known before anything is measured."""
    asked, spec, settings, protocol = resolved.spec, resolved.detector, resolved.config, resolved.spec.protocol
    caveats = caveats_of(protocol, resolved.lists, asked.limit, asked.limit_test)
    caveats += [Caveat.BUGS_REPRODUCED] * bool(plain_settings(settings.settings).get("reproduce_bugs"))
    if parts := random_parts(resolved):
        caveats.append(random_start(parts))
    # Published values stand beside whole databases only.
    comparable = not resolved.lists.demo and asked.limit is None and asked.limit_test is None
    reported = published_of(protocol, spec.name, asked.task) if comparable else {}
    config = settings.as_dict() | {f"member {m.detector.name}": m.config.as_dict() for m in resolved.members}
    return Card(
        id=resolved.id,
        started=now(),
        group=group,
        task=asked.task,
        seed=asked.seed,
        detector=DetectorPart(
            name=spec.name,
            title=spec.title or spec.name,
            version=spec.version,
            source=source,
            preset=settings.preset,
            pooling=settings.pooling,
            requires=tuple(sorted(settings.requires)),
            region=region_of(settings.clip),
        ),
        members=members_of(resolved),
        request=Request(
            preset=asked.preset,
            overrides=tuple(asked.overrides),
            limit=asked.limit,
            limit_test=asked.limit_test,
            data={name: str(root.resolve()) for name, root in asked.roots.items()},
            checkpoint=str(asked.checkpoint.resolve()) if asked.checkpoint else None,
            decoder=asked.decoder,
            from_scratch=asked.from_scratch,
            hash_content=asked.hash_content,
        ),
        protocol=ProtocolRecord.of(protocol, resolved.placements),
        data=resolved.lists.describe(),
        training=TrainingRecord(
            config=plain(config), weights={name: chosen.sha256 for name, chosen in settings.weights.items()}
        ),
        reported=dict(reported),
        variant=tuple(caveats),
        caveats=tuple(caveats),
        device=device,
        environment=environment or Environment(),
        made_of=resolved.made_of,
    )


def members_of(resolved: ResolvedRun) -> tuple[Member, ...]:
    """Return what the card of an ensemble says of its members and their runs; nothing for a single detector."""
    return tuple(
        Member(
            detector=member.detector.name,
            title=member.detector.title or member.detector.name,
            version=member.detector.version,
            preset=member.config.preset,
            pooling=member.config.pooling,
            requires=tuple(sorted(member.config.requires)),
            run=member.id,
        )
        for member in resolved.members
    )


def random_parts(resolved: ResolvedRun) -> tuple[str, ...]:
    """Return what starts at random although its recipe starts from weights; of an ensemble, its members' parts."""
    members = (f"{m.detector.name} {part}" for m in resolved.members for part in m.config.random_start)
    return (*resolved.config.random_start, *members)


def caveats_of(protocol: Protocol, lists: Lists, limit: int | None, limit_test: int | None = None) -> list[str]:
    """Return what sets a number apart from one on whole, real databases under the plain protocol."""
    fixed = {
        Caveat.DEMO_DATA: lists.demo,
        Caveat.SELECTED_ON_TEST: protocol.select_on == "test",
        Caveat.EVERY_SAMPLE: protocol.test_on == "all",
        Caveat.STRICT_IDENTITY: protocol.strict_identity,
        Caveat.SILENCE_TRIMMED: protocol.trim_silence,
        Caveat.BALANCED: protocol.test_distribution == "balanced",
    }
    caveats: list[str] = [caveat for caveat, holds in fixed.items() if holds]
    caveats += [demo_data_made(lists.demo_choice)] if lists.demo_choice else []
    caveats += [limited_to(limit)] if limit is not None else []
    return caveats + ([test_list_limited_to(limit_test)] if limit_test is not None else [])


def with_training(card: Card, record: Mapping[str, Any]) -> Card:
    """Return the card with what a training, or the note that given weights carry, says of it.

    Raises UserError for a note that says it in another form.
    """
    known = {f.name for f in fields(TrainingRecord)}
    told = {name: value for name, value in training(record).items() if name in known}
    try:
        return replace(card, training=msgspec.convert({**plain(card.training), **plain(told)}, TrainingRecord))
    except msgspec.ValidationError as error:
        raise UserError(f"{card.id}: what its training or weights say of themselves cannot be read: {error}") from error


def with_measurements(card: Card, found: Measurements) -> Card:
    """Return the card with what was measured; its caveats are those of before and those that the measures give."""
    return replace(
        card,
        metrics=found.metrics,
        confusion=found.confusion,
        counts=found.counts,
        ceilings=found.ceilings,
        blind=found.blind,
        caveats=tuple(sorted({*card.caveats, *found.caveats})),
    )


def published_of(protocol: Protocol, detector: str, task: Task) -> Mapping[str, float]:
    """Return the paper's values by metric, empty where it prints none or the test videos are perturbed."""
    if protocol.perturbations:
        return {}
    return published().get(protocol.name, {}).get(detector, {}).get(task, {})
