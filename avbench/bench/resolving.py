"""What a run comes to once its data are known: configuration, training, conditions, and the ids of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avbench import config
from avbench.bench.spec import RunSpec
from avbench.config import Config
from avbench.data.lists import Lists, prepare
from avbench.data.loading import Loading
from avbench.data.splits import list_digest
from avbench.engine.plan import TrainingPlan
from avbench.errors import UserError
from avbench.hashing import digest_of, sha256
from avbench.paths import results_folder
from avbench.perturbations.conditions import Condition, choose
from avbench.plugins import weights
from avbench.plugins.registry import Plugins, installed
from avbench.types import ClipSpec, DetectorSpec, Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRun:
    """A run with its data: the detector, its configuration, the training it needs (None for given weights), its id.

    `conditions` are those under which each test clip is judged: None, the clip as it is, and perturbations. `members`
    of an ensemble are runs of their own.
    """

    spec: RunSpec
    detector: DetectorSpec
    config: Config
    lists: Lists
    placements: tuple[Placement, ...]
    conditions: tuple[Condition | None, ...]
    plan: TrainingPlan | None
    id: str
    members: tuple[ResolvedRun, ...] = ()


def lists_of(spec: RunSpec, plugins: Plugins, **telling: Any) -> Lists:
    """Return the lists a run is computed on; `telling` is how `prepare` reports (say, made, progress)."""
    return prepare(
        spec.protocol,
        plugins,
        spec.roots,
        limit=spec.limit,
        limit_test=spec.limit_test,
        seed=spec.seed,
        train=spec.checkpoint is None,
        **telling,
    )


def resolve(spec: RunSpec, plugins: Plugins, lists: Lists, results: Path | None = None) -> ResolvedRun:
    """Resolve settings and weights of a detector that is no ensemble; its training lies below `results`.

    The ids of training and run are hashes of all that shapes them. Raises UserError for settings that the detector does
    not know, weights that are missing, perturbations that it is not fed, and a training that is not the one that `spec`
    names.
    """
    detector = plugins.detector(spec.detector)
    settings = config.resolve(
        detector,
        spec.task,
        preset=spec.preset,
        overrides=spec.overrides,
        dataset=lists.train.spec.name if lists.train else "",
        demo=lists.demo,
    )
    if spec.checkpoint is None:  # else nothing starts
        start = weights.choose(detector, settings, demo=lists.demo, from_scratch=spec.from_scratch)
        settings = replace(settings, weights=start)
    local: tuple[Placement, ...] = ("oracle", "sliding") if lists.test.spec.locally_forged else ("oracle",)
    placements = spec.protocol.placements or local
    asked = choose(spec.protocol.perturbations, spec.protocol.levels, plugins.perturbations())
    conditions = tuple(c for c in asked if c is None or felt(c, settings.clip))
    require_felt(detector.name, asked, conditions)
    plan = _plan(spec, detector, settings, lists, results or results_folder())
    if spec.training and plan is not None and plan.id != spec.training:
        raise UserError(
            f"training {spec.training} belongs to other data or to another version: here it would be {plan.id}; train "
            "again with avbench run, or judge its weights with --detector, --protocol and --checkpoint"
        )
    shaping: dict[str, Any] = {
        "training": plan.id if plan is not None else sha256(spec.checkpoint) if spec.checkpoint else "",
        "config": settings.as_dict(),
        "data_version": lists.test.data_version,
        "faces": region_of(settings.clip),
    }
    if settings.pooling != detector.pooling:
        shaping["pooling"] = settings.pooling
    if any(conditions):
        shaping["conditions"] = [(c.name, c.level, c.parameter) for c in conditions if c]
    return ResolvedRun(
        spec=spec,
        detector=detector,
        config=settings,
        lists=lists,
        placements=placements,
        conditions=conditions,
        plan=plan,
        id=id_of(spec, lists, placements, shaping),
    )


def id_of(spec: RunSpec, lists: Lists, placements: Sequence[Placement], shaping: Mapping[str, Any]) -> str:
    """Return what a run is called: what was asked for in words, and a hash of all that shapes the result.

    Protocol, test list and placements shape every run, `shaping` is what else does.
    """
    every = {
        **Loading(decoder=spec.decoder).shaping,
        "protocol": spec.protocol.digest(),
        "test": list_digest(lists.split.test),
        "placements": list(placements),
    }
    digest = digest_of({**every, **shaping})
    return f"{spec.detector}-{spec.protocol.name}-{spec.task}-s{spec.seed}-{digest[:8]}"


def felt(condition: Condition, clip: ClipSpec) -> bool:
    """Whether a detector that is fed such clips is fed a stream that the condition changes."""
    return (condition.touches("video") and clip.frames > 0) or (condition.touches("audio") and clip.samples > 0)


def require_felt(detector: str, asked: Sequence[Condition | None], conditions: Sequence[Condition | None]) -> None:
    """Raise UserError where a detector feels none of the perturbations that are asked for: its curve would be flat."""
    if any(asked) and not any(conditions):
        names = ", ".join(dict.fromkeys(c.name for c in asked if c is not None))
        other = "sound" if any(c.touches("video") for c in asked if c is not None) else "pictures"
        raise UserError(
            f"{detector} is not fed what {names} change, so that its scores would say nothing about robustness; "
            f"choose others, such as --types {other}"
        )


def _plan(spec: RunSpec, detector: DetectorSpec, settings: Config, lists: Lists, results: Path) -> TrainingPlan | None:
    if lists.train is None:
        return None
    split = lists.split
    about = {
        "detector": detector.name,
        "detector_version": detector.version,
        "task": spec.task,
        "preset": settings.preset,
        "config": settings.as_dict(),
        "seed": spec.seed,
        "selection": spec.protocol.select_on,
        "faces": region_of(settings.clip),
        "trained_on": {
            "dataset": lists.train.spec.name,
            "demo": lists.train.demo,
            "data_version": lists.train.data_version,
            "n": len(split.train),
            "digest": list_digest(split.train),
            "validation_digest": list_digest(split.validation),
        },
    }
    about |= Loading(decoder=spec.decoder).shaping
    if settings.random_start:
        about["random_start"] = list(settings.random_start)
    if spec.protocol.trim_silence:
        about["trim_silence"] = True
    key = f"{detector.name}-{lists.train.spec.name}-{spec.task}-s{spec.seed}-{digest_of(about)[:8]}"
    return TrainingPlan(
        id=key,
        folder=results / "trainings" / key,
        spec=detector,
        config=settings,
        seed=spec.seed,
        train=split.train,
        validation=split.validation,
        about=about,
    )


def region_of(clip: ClipSpec) -> str:
    """Say which part of a picture is seen, and who finds it: a plugin that tracks faces, or nobody."""
    if not clip.frames:
        return "none"
    trackers = [found.plugin_name for found in installed().manager.hook.avbench_face_track.get_hookimpls()]
    if clip.region == "frame":
        return "frame"
    return f"{clip.region}, {'tracked by ' + ', '.join(trackers) if trackers else 'a fixed window'}"
