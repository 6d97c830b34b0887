"""What a run comes to once its data are known: configuration, training, conditions, and the ids of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avbench import __version__, config
from avbench.bench.changes import DATA, moved_on
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
from avbench.plugins.code import detector_code, hook_code
from avbench.plugins.registry import Plugins, installed
from avbench.types import ClipSpec, DetectorSpec, Placement

GIVEN = "given weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRun:
    """A run with its data: the detector, its configuration, the training it needs (None for given weights), its id.

    `conditions` are those under which each test clip is judged: None, the clip as it is, and perturbations. `made_of`
    names what may change between two calls that ask for the same, each with its hash or version: data, code, weights.
    `members` of an ensemble are runs of their own.
    """

    spec: RunSpec
    detector: DetectorSpec
    config: Config
    lists: Lists
    placements: tuple[Placement, ...]
    conditions: tuple[Condition | None, ...]
    plan: TrainingPlan | None
    id: str
    made_of: Mapping[str, str]
    members: tuple[ResolvedRun, ...] = ()

    def made_by(self, weights: str) -> str:
        """Return a hash of all that scores are made of but the videos, with weights whose file has this sha256."""
        made_of = {name: found for name, found in self.made_of.items() if not name.endswith(DATA)}
        shaping = [weights, made_of, self.config.as_dict(), region_of(self.config.clip)]
        return digest_of([*shaping, self.detector.version, Loading(decoder=self.spec.decoder).shaping])


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
        files="content" if spec.hash_content else "stat",
        allow_demo=spec.allow_demo,
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
    results = results or results_folder()
    made_of = {**code_of(plugins, detector, settings.clip), **data_of(lists), **weights_of(settings, spec)}
    plan = _plan(spec, detector, settings, lists, results, made_of)
    if spec.training and plan is not None and plan.id != spec.training:
        raise UserError(
            f"training {spec.training} {moved_on(results, spec.training, plan)}; train again with avbench run, or "
            "judge its weights with --detector, --protocol and --checkpoint"
        )
    made_of |= plugins_of(plugins, "avbench_metrics", *(["avbench_perturbations"] if any(conditions) else []))
    shaping: dict[str, Any] = {
        "training": plan.id if plan is not None else "",
        "detector_version": detector.version,
        "config": settings.as_dict(),
        "data_version": lists.test.data_version,
        "faces": region_of(settings.clip),
        "made_of": made_of,
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
        id=id_of(spec, placements, shaping),
        made_of=made_of,
    )


def id_of(spec: RunSpec, placements: Sequence[Placement], shaping: Mapping[str, Any]) -> str:
    """Return what a run is called: what was asked for in words, and a hash of all that shapes the result.

    Protocol and placements shape every run, `shaping` is what else does, the data among it.
    """
    every = {
        **Loading(decoder=spec.decoder).shaping,
        "protocol": spec.protocol.digest(),
        "placements": list(placements),
    }
    digest = digest_of({**every, **shaping})
    return f"{words_of(spec)}{digest[:8]}"


def words_of(spec: RunSpec) -> str:
    """Return how the id of a run begins: with what was asked for, in words."""
    return f"{spec.detector}-{spec.protocol.name}-{spec.task}-s{spec.seed}-"


def data_of(lists: Lists) -> dict[str, str]:
    """Return the hashes of the lists that a run needs, by what they are called."""
    return {f"{part}{DATA}": one.digest for part, one in lists.inputs.items() if one.rows}


def code_of(plugins: Plugins, detector: DetectorSpec, clip: ClipSpec) -> dict[str, str]:
    """Return the hashes of the code that makes scores: of the detector, of what decodes and tracks, of avbench."""
    hooks = ["avbench_decode", *(["avbench_face_track"] if clip.region != "frame" else [])]
    hooks += ["avbench_datasets"] if clip.annotations else []  # whose plugins read them
    return {
        f"code of {detector.name}": detector_code(plugins, detector),
        **plugins_of(plugins, *hooks),
        "avbench": __version__,
    }


def plugins_of(plugins: Plugins, *hooks: str) -> dict[str, str]:
    """Return the hashes of the plugins that implement some hooks; those of avbench itself count by its version."""
    return {f"code of {name}": code for name, code in hook_code(plugins, *hooks).items()}


def weights_of(settings: Config, spec: RunSpec) -> dict[str, str]:
    """Return the sha256 of the files of weights that a run starts from or is given."""
    found = {f"weights for {name}": one.sha256 for name, one in settings.weights.items() if one.path is not None}
    return found | ({GIVEN: sha256(spec.checkpoint)} if spec.checkpoint is not None else {})


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


def _plan(
    spec: RunSpec, detector: DetectorSpec, settings: Config, lists: Lists, results: Path, made_of: Mapping[str, str]
) -> TrainingPlan | None:
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
            "inputs": lists.inputs["train"].digest,
            "validation_inputs": lists.inputs["validation"].digest,
        },
        "made_of": {name: found for name, found in made_of.items() if name != "test data"},
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
