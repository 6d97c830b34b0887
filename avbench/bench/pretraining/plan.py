"""What a pre-training is asked for, and what that comes to once the data are known: lists of people, labels, a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from avbench import __version__
from avbench.bench.pretraining.measuring import FrameLabels, place
from avbench.bench.spec import MLFLOW
from avbench.config import Config, Weights, resolve
from avbench.data import databases, splits
from avbench.data.annotations import read as read_series
from avbench.data.databases import Database
from avbench.data.inputs import by_stat, inputs_of, of_demo
from avbench.data.lengths import probe_files
from avbench.data.loading import Loading
from avbench.engine.devices import device_named
from avbench.engine.plan import TrainingPlan
from avbench.errors import UserError
from avbench.hashing import digest_of
from avbench.paths import results_folder
from avbench.plugins import weights
from avbench.plugins.code import hook_code, module_code
from avbench.plugins.registry import Plugins
from avbench.progress import Progress, made_with, silent
from avbench.references import load_object
from avbench.settings import made_of, plain
from avbench.types import AnnotationSpec, Forgery, MediaError, MediaInfo, PretrainingSpec, Sample

FOLDER = "pretrainings"
ALL_STAGES = ("all", "both")  # words for every stage of the preset


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainingRequest:
    """Which network is pre-trained on which data, and how; `stage` is the name of one, or "all"."""

    network: str
    dataset: str
    fold: int = 1
    stage: str = "all"
    seed: int = 0
    roots: Mapping[str, Path] = field(default_factory=dict)
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    limit: int | None = None
    device: str = "auto"
    results: Path | None = None
    fresh: bool = False
    loading: Loading = Loading()
    mlflow: bool = True
    from_scratch: bool = False

    @property
    def silenced(self) -> frozenset[str]:
        """Return the names of the plugins that are told nothing."""
        return frozenset() if self.mlflow else frozenset({MLFLOW})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPretraining:
    """A request with its data: lists of people apart, what is measured, how often each label holds, the training."""

    request: PretrainingRequest
    spec: PretrainingSpec
    base: Database
    parts: splits.Split
    measured: FrameLabels
    rates: tuple[float, ...]
    plan: TrainingPlan


def resolve_pretraining(
    request: PretrainingRequest, plugins: Plugins, progress: Progress = silent
) -> ResolvedPretraining:
    """Find the data, split them, and plan the training.

    Raises UserError for a network, database, stage or setting that there is not, and for weights that are missing.
    """
    device_named(request.device)
    spec = plugins.pretraining(request.network)
    data = plugins.dataset(request.dataset)
    demo = databases.will_be_demo(data, request.roots, plugins.datasets())
    config = _config(spec, request, data.name, demo=demo)  # a typo is told before data are made
    base, annotation = locate(request, plugins, progress)
    parts = split(spec, base, request)
    rates = rates_of(spec, config, parts.train, annotation)
    measured = FrameLabels(annotation.columns, load_object(spec.loss, f"pre-training {spec.name}"))
    config = _decided(spec, config, annotation, rates)
    start = weights.choose(spec.network, config, demo=base.demo, from_scratch=request.from_scratch)
    start |= _untaught(spec, request, config, start, demo=base.demo)
    plan = plan_of(
        spec,
        request,
        base,
        parts,
        replace(config, weights=start),
        measured,
        made_of=_made_of(spec, base, parts, plugins),
    )
    return ResolvedPretraining(
        request=request, spec=spec, base=base, parts=parts, measured=measured, rates=rates, plan=plan
    )


def locate(
    request: PretrainingRequest, plugins: Plugins, progress: Progress = silent
) -> tuple[Database, AnnotationSpec]:
    """Return the database and the annotation that the network learns; UserError for one that has none."""
    network, spec = plugins.pretraining(request.network), plugins.dataset(request.dataset)
    found = [annotation for annotation in spec.annotations if annotation.name == network.annotation]
    if not found:
        able = [
            name
            for name, other in plugins.datasets().items()
            if any(annotation.name == network.annotation for annotation in other.annotations)
        ]
        choice = f"choose {', '.join(sorted(able))}" if able else "no installed dataset has them"
        raise UserError(f"--dataset {request.dataset}: it has no {network.learns}; {choice}")
    made = made_with(progress, "make demo data")
    return databases.locate(spec, request.roots, plugins.datasets(), made), found[0]


def split(spec: PretrainingSpec, base: Database, request: PretrainingRequest) -> splits.Split:
    """Return training, validation and test videos of different people, forged ones left out."""
    samples = base.samples()
    official = None
    if base.spec.train_identities:
        official = load_object(base.spec.train_identities, f"dataset {base.spec.name}")(base.root, request.fold)
    parts = splits.split(samples, fold=request.fold, train_identities=official)
    if parts.fold is None and request.fold != 1:
        raise UserError(f"--fold {request.fold}: {base.title} has its own split and no folds; leave --fold out")
    train, validation, test = (_usable(spec, base, name, getattr(parts, name), request) for name in splits.PARTS)
    return replace(parts, train=train, validation=validation, test=test)


def _usable(
    spec: PretrainingSpec, base: Database, part: str, samples: Sequence[Sample], request: PretrainingRequest
) -> tuple[Sample, ...]:
    """Return the real videos that have what is learnt, each with its length."""
    real = [
        sample
        for sample in samples
        if sample.forgery is Forgery.RARV and any(name == spec.annotation for name, _ in sample.annotations)
    ]
    if not real:
        raise UserError(f"{base.title}: no {part} video with {spec.learns} at {base.root}")
    chosen = splits.limit(real, request.limit, request.seed) if request.limit else real
    files = probe_files(sample.path for sample in chosen if sample.duration is None)
    return tuple(_measured(sample, files.get(sample.path)) for sample in chosen)


def _measured(sample: Sample, info: MediaInfo | MediaError | None) -> Sample:
    if info is None:
        return sample
    if isinstance(info, MediaError):
        raise UserError(f"{info}; mend the file or leave it out of the database") from info
    return replace(sample, fps=info.fps, frames=info.frames)


def rates_of(
    spec: PretrainingSpec, config: Config, samples: Sequence[Sample], annotation: AnnotationSpec
) -> tuple[float, ...]:
    """Return how often each label holds in the known frames of these videos."""
    labels_of = load_object(spec.labels, f"pre-training {spec.name}")
    holds, known = np.zeros(len(annotation.columns)), np.zeros(len(annotation.columns))
    for sample in samples:
        values = read_series(annotation.read, dict(sample.annotations)[spec.annotation]).values
        labels = np.asarray(labels_of(values, config.settings))
        holds += (labels == 1).sum(axis=0)
        known += np.isfinite(labels).sum(axis=0)
    return tuple(float(rate) for rate in holds / np.maximum(known, 1))


def plan_of(
    spec: PretrainingSpec,
    request: PretrainingRequest,
    base: Database,
    parts: splits.Split,
    config: Config,
    measured: FrameLabels,
    *,
    made_of: Mapping[str, str],
) -> TrainingPlan:
    """Return the plan of the training; its id is a hash of configuration, lists, fold, seed, data and code."""
    about = {
        "network": spec.name,
        "version": spec.version,
        "preset": config.preset,
        "config": config.as_dict(),
        "seed": request.seed,
        "trained_on": {
            "dataset": base.spec.name,
            "demo": base.demo,
            **({"data_version": base.data_version} if base.data_version else {}),
            "fold": parts.fold,
            "n": len(parts.train),
            "digest": splits.list_digest(parts.train),
            "validation_digest": splits.list_digest(parts.validation),
        },
        "made_of": dict(made_of),
        **request.loading.shaping,
    }
    if config.random_start:
        about["random_start"] = list(config.random_start)
    fold = f"-f{parts.fold}" if parts.fold is not None else ""
    key = f"{spec.name}-{base.spec.name}{fold}-s{request.seed}-{digest_of(about)[:8]}"
    return TrainingPlan(
        id=key,
        folder=(request.results or results_folder()) / FOLDER / key,
        spec=spec.network,
        config=config,
        seed=request.seed,
        train=parts.train,
        validation=parts.validation,
        about=about,
        place=place,
        selection=measured.selection,
    )


def _made_of(spec: PretrainingSpec, base: Database, parts: splits.Split, plugins: Plugins) -> dict[str, str]:
    """Return the hashes of the data, of the code of network and database, and the version of avbench."""
    stamp = of_demo(base.data_version, base.made_at) if base.demo else by_stat
    data = {f"{part} data": inputs_of(getattr(parts, part), stamp).digest for part in splits.PARTS}
    code = {f"code of {spec.name}": module_code(spec.load.partition(":")[0])}
    others = hook_code(plugins, "avbench_decode", "avbench_face_track", "avbench_datasets")
    return {**data, **code, **{f"code of {name}": one for name, one in others.items()}, "avbench": __version__}


def _config(spec: PretrainingSpec, request: PretrainingRequest, dataset: str, *, demo: bool) -> Config:
    """Return the settings that were asked for; what the database decides is not known yet."""
    for text in request.overrides:
        if text.partition("=")[0].strip() in spec.decided:
            raise UserError(f"--set {text}: this is what the database has, it cannot be set")
    config = resolve(
        spec.network,
        "binary",
        preset=request.preset,
        overrides=request.overrides,
        dataset=dataset,
        demo=demo,
    )
    return _stages(config, request.stage)


def _decided(spec: PretrainingSpec, config: Config, annotation: AnnotationSpec, rates: tuple[float, ...]) -> Config:
    """Return the configuration with the settings that the database decides."""
    if not spec.settings:
        return config
    decide = load_object(spec.settings, f"pre-training {spec.name}")
    decided = decide(config.settings, annotation.columns, rates)
    return replace(config, settings=made_of(config.settings, {**plain(config.settings), **decided}))


def _untaught(
    spec: PretrainingSpec, request: PretrainingRequest, config: Config, start: Mapping[str, Weights], *, demo: bool
) -> dict[str, Weights]:
    """Return what a later stage alone lacks of the stages before: nothing, or random weights where those will do."""
    stages = next(preset.stages for preset in spec.presets if preset.name == config.preset)
    given = start.get(spec.continues)
    if not spec.continues or config.stages[0].name == stages[0].name or (given is not None and given.path is not None):
        return {}
    if not (demo or request.from_scratch):
        raise UserError(
            f"--stage {request.stage} goes on from what {stages[0].name} taught: give its file by --set "
            f"{spec.continues}=FILE, or start at random by --from-scratch, which the card tells"
        )
    part = next(weights.starts for weights in spec.weights if weights.setting == spec.continues)
    return {spec.continues: Weights(part=part, needed=True)}


def _stages(config: Config, asked: str) -> Config:
    """Return the configuration with the stages that were asked for."""
    names = [stage.name for stage in config.stages]
    if asked in ALL_STAGES:
        return config
    if asked not in names:
        raise UserError(f"--stage {asked}: use {', '.join(names)} or all")
    return replace(config, stages=tuple(stage for stage in config.stages if stage.name == asked))
