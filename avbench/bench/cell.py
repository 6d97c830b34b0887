"""A cell of the benchmark: what was asked for, and what that comes to once the data are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from avbench import config
from avbench.config import Config
from avbench.data.lists import Lists, prepare
from avbench.data.loading import Loading
from avbench.data.splits import list_digest
from avbench.engine.plan import TrainingPlan
from avbench.errors import UserError
from avbench.hashing import digest_of, sha256
from avbench.paths import results_folder
from avbench.perturb.conditions import Condition, choose
from avbench.plugins import weights
from avbench.plugins.registry import Plugins, installed
from avbench.protocol import Protocol
from avbench.types import FORMER_PLACEMENTS, ClipSpec, DetectorSpec, Placement, Task


@dataclass(frozen=True, slots=True)
class Cell:
    """One detector under one protocol in one task with one seed, and how to compute it.

    `limit` bounds the training, validation and test lists, `limit_test` the test list alone. `training`, where it is
    given, is the id of the only training that will do.
    """

    detector: str
    protocol: Protocol
    task: Task
    seed: int = 0
    roots: Mapping[str, Path] = field(default_factory=dict)
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    limit: int | None = None
    device: str = "auto"
    results: Path | None = None
    fresh: bool = False
    checkpoint: Path | None = None
    loading: Loading = Loading()
    group: str = ""
    limit_test: int | None = None
    training: str = ""

    @property
    def results_folder(self) -> Path:
        """Return the folder that holds runs/ and trainings/."""
        return self.results or results_folder()


def lists_of(cell: Cell, plugins: Plugins, **telling: Any) -> Lists:
    """Return the lists a cell is computed on; `telling` is how `prepare` reports (say, made, progress)."""
    return prepare(
        cell.protocol,
        plugins,
        cell.roots,
        limit=cell.limit,
        limit_test=cell.limit_test,
        seed=cell.seed,
        train=cell.checkpoint is None,
        **telling,
    )


def of_card(card: Mapping[str, Any], roots: Mapping[str, Path], limit_test: int | None = None) -> Cell:
    """Return the cell of a finished run, which needs that run's training and no other.

    `roots` stand in for those that the run was made with, by name; `limit_test` bounds its test list. Raises UserError
    for a card that does not say how it was made, such as that of imported scores.
    """
    asked = card.get("asked")
    if asked is None:
        raise UserError(f"{card['id']} does not say how it was made; run it again by avbench run")
    known = {f.name for f in fields(Protocol)}
    noted = {name: value for name, value in card["protocol"].items() if name in known}
    noted |= {name: tuple(noted.get(name, ())) for name in ("placements", "perturbations", "levels")}
    noted["placements"] = tuple(FORMER_PLACEMENTS.get(name, name) for name in noted["placements"])
    return Cell(
        card["detector"]["name"],
        Protocol(**noted),
        card["task"],
        card["seed"],
        {name: Path(root) for name, root in asked["data"].items()} | dict(roots),
        asked["preset"],
        tuple(asked["overrides"]),
        asked["limit"],
        checkpoint=Path(asked["checkpoint"]) if asked["checkpoint"] else None,
        limit_test=limit_test,  # the training stays as it was
        training=card["training"].get("id", ""),
    )


@dataclass(frozen=True, slots=True)
class Resolved:
    """A cell with its data: the detector, its configuration, the training it needs (None for given weights), its id.

    `conditions` are those under which each test clip is judged: None, the clip as it is, and perturbations. `members`
    of an ensemble are cells of their own, with what they come to.
    """

    spec: DetectorSpec
    config: Config
    lists: Lists
    placements: tuple[Placement, ...]
    conditions: tuple[Condition | None, ...]
    plan: TrainingPlan | None
    id: str
    members: tuple[tuple[Cell, Resolved], ...] = ()


def resolve(cell: Cell, plugins: Plugins, lists: Lists) -> Resolved:
    """Resolve settings and weights; the ids of training and run are hashes of all that shapes them."""
    spec = plugins.detector(cell.detector)
    settings = config.resolve(
        spec,
        cell.task,
        preset=cell.preset,
        overrides=cell.overrides,
        dataset=lists.train.spec.name if lists.train else "",
        demo=lists.demo,
    )
    settings = replace(settings, weights=weights.choose(spec, settings.settings))
    local: tuple[Placement, ...] = ("oracle", "sliding") if lists.test.spec.locally_forged else ("oracle",)
    placements = cell.protocol.placements or local
    protocol = cell.protocol
    asked = choose(protocol.perturbations, protocol.levels, plugins.perturbations())
    conditions = tuple(c for c in asked if c is None or felt(c, settings.clip))
    require_felt(spec.name, asked, conditions)
    plan = _plan(cell, spec, settings, lists)
    if cell.training and plan is not None and plan.id != cell.training:
        raise UserError(
            f"training {cell.training} belongs to other data or to another version: here it would be {plan.id}; train "
            "again with avbench run, or judge its weights with --detector, --protocol and --checkpoint"
        )
    shaping: dict[str, Any] = {
        "training": plan.id if plan is not None else sha256(cell.checkpoint) if cell.checkpoint else "",
        "config": settings.as_dict(),
        "protocol": cell.protocol.digest(),
        "test": list_digest(lists.split.test),
        "placements": list(placements),
        "data_version": lists.test.data_version,
        "faces": region_of(settings.clip),
    }
    if any(conditions):
        shaping["conditions"] = [(c.name, c.level, c.parameter) for c in conditions if c]
    name = f"{cell.detector}-{cell.protocol.name}-{cell.task}-s{cell.seed}-{digest_of(shaping)[:8]}"
    return Resolved(spec, settings, lists, placements, conditions, plan, name)


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


def _plan(cell: Cell, spec: DetectorSpec, settings: Config, lists: Lists) -> TrainingPlan | None:
    if lists.train is None:
        return None
    split = lists.split
    about = {
        "detector": spec.name,
        "detector_version": spec.version,
        "task": cell.task,
        "preset": settings.preset,
        "config": settings.as_dict(),
        "seed": cell.seed,
        "selection": cell.protocol.select_on,
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
    if cell.protocol.trim_silence:
        about["trim_silence"] = True
    key = f"{spec.name}-{lists.train.spec.name}-{cell.task}-s{cell.seed}-{digest_of(about)[:8]}"
    folder = cell.results_folder / "trainings" / key
    return TrainingPlan(
        id=key,
        folder=folder,
        spec=spec,
        config=settings,
        seed=cell.seed,
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
