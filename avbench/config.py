"""A detector's resolved configuration: preset, task and `--set` overrides become one frozen value with a hash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

from avbench.errors import UserError, unknown
from avbench.settings import Declared, declared, declared_by, made_of, plain
from avbench.types import ClipSpec, DetectorSpec, Pooling, Preset, Range, Setting, Stage, Stream, Task

_STAGE = declared_by(Stage, tuple(f.name for f in fields(Stage) if f.name not in {"name", "samples"}))
# Annotations stay: the network needs them as they are.
_CLIP = declared_by(ClipSpec, tuple(f.name for f in fields(ClipSpec) if f.name != "annotations"))
THREADS = 1
_COUNT = Declared(((int, Range(min=1)),))
# What every detector has beside its own settings. Each is a field of Config.
_COMMON = {
    "eval_batch": _COUNT,
    "threads": _COUNT,
    "deterministic": Declared(((bool, Range()),)),
    "pooling": Declared(choices=get_args(Pooling)),
}


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that a part of a network starts from: a file and its sha256, or "random".

    `needed` says that the preset's recipe starts the part from weights.
    """

    path: Path | None = None
    sha256: str = "random"
    part: str = ""
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a detector is built from and trained with.

    `settings` are what the preset declares, with values resolved: an instance of its dataclass, or a mapping. `threads`
    is how many a sum is shared among, in training and evaluation; a constant unless it is set, so that one command
    means one training on every machine. `deterministic` asks a GPU for kernels that give the same bytes each time.
    `pooling` joins the clips of a video; no training depends on it.
    """

    detector: str
    task: Task
    preset: str = "default"
    clip: ClipSpec = ClipSpec()
    settings: Any = field(default_factory=dict)
    stages: tuple[Stage, ...] = (Stage(),)
    eval_batch: int = 8
    threads: int = THREADS
    deterministic: bool = True
    requires: frozenset[Stream] = frozenset({"video", "audio"})
    pooling: Pooling = "mean"
    weights: Mapping[str, Weights] = field(default_factory=dict)

    @property
    def random_start(self) -> tuple[str, ...]:
        """Return the parts that start at random although the recipe starts them from weights."""
        return tuple(chosen.part for chosen in self.weights.values() if chosen.needed and chosen.path is None)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON and hashing; weights count by content, not by where they lie."""
        values = asdict(self)
        if not self.clip.annotations:  # configurations without them keep the hash they had before these were
            del values["clip"]["annotations"]
        for stage in values["stages"]:
            if stage["drop_last"]:  # so do those whose every batch is whole
                del stage["drop_last"]
        del values["pooling"]
        contents = {name: chosen.sha256 for name, chosen in self.weights.items()}
        values["settings"] = plain(self.settings) | {n: c for n, c in contents.items() if n in plain(self.settings)}
        values["requires"] = sorted(self.requires)
        values["weights"] = contents
        return values


def resolve(
    spec: DetectorSpec,
    task: Task,
    *,
    preset: str | None = None,
    overrides: Iterable[str] = (),
    dataset: str = "",
    demo: bool = False,
) -> Config:
    """Resolve a preset and `key=value` overrides into a Config.

    A stage's field (`epochs=1`) holds for every stage, or for one (`stage2.epochs=1`); `clip.size=112` changes the
    clip, `pooling` how clips become a video's score; other keys are the detector's own settings. Raises UserError for
    what the detector cannot do or does not know.
    """
    if task not in spec.tasks:
        raise UserError(f"{spec.name} cannot do {task}: it does {' and '.join(spec.tasks)}; use --task {spec.tasks[0]}")
    chosen = _preset(spec, preset, demo)
    where = f"{spec.name}, preset {chosen.name}: "
    try:
        own = declared(chosen.settings)
    except (TypeError, NameError) as error:
        raise UserError(f"{where}{error}") from error
    config = Config(
        spec.name,
        task,
        chosen.name,
        chosen.clip,
        plain(chosen.settings),
        chosen.stages,
        chosen.eval_batch,
        requires=spec.requires,
        pooling=spec.pooling,
    )
    if taken := sorted(own.keys() & _COMMON):
        raise UserError(f"{where}{taken[0]} is a setting of all detectors; give that of {spec.name} another name")
    config = _checked(config, own, where)
    for key, value in chosen.for_dataset.get(dataset, {}).items():
        config = _set(config, own, key, value, where)
    for text in overrides:
        config = _set(config, own, *_pair(text), "--set ")
    for switch, brought in chosen.switches.items():
        for key, value in brought.items() if config.settings[switch] else ():
            config = _set(config, own, key, value, where)
    if len(precisions := {stage.precision for stage in config.stages}) > 1:
        raise UserError(f"stages compute in {' and '.join(sorted(precisions))}; use one, with --set precision=32-true")
    if not config.clip.frames and not config.clip.samples and not config.clip.whole:
        raise UserError("a clip without frames and without sound: set clip.frames or clip.audio_samples")
    try:
        return replace(config, settings=made_of(chosen.settings, config.settings))
    except ValueError as error:  # a settings class may check in its __post_init__ what belongs together
        raise UserError(f"{where}{error}") from error


def setting_names(spec: DetectorSpec) -> list[str]:
    """Return the names of all that `--set` may change of a detector: its own settings, its recipe's, the clip's."""
    own = {name for preset in spec.presets for name in plain(preset.settings)}
    return [*sorted(own), *_STAGE, *(f"clip.{name}" for name in _CLIP), *_COMMON]


def threads_of(overrides: Iterable[str]) -> int:
    """Return with how many threads `key=value` overrides have a detector compute, or the greediest member of one."""
    asked = [_pair(text) for text in overrides]
    counts = [_accepted(_COUNT, key, value, "--set ") for key, value in asked if key.rpartition(".")[2] == "threads"]
    return max(counts, default=THREADS)


def changes(config: Config, preset: Preset) -> list[str]:
    """Return as `key=value` the settings and the clip's fields in which a configuration differs from a preset."""
    before = {**plain(preset.settings), **{f"clip.{key}": getattr(preset.clip, key) for key in _CLIP}}
    after = {**plain(config.settings), **{f"clip.{key}": getattr(config.clip, key) for key in _CLIP}}
    return [f"{key}={value}" for key, value in after.items() if key not in before or before[key] != value]


def _set(config: Config, own: Mapping[str, Declared], key: str, value: Setting, where: str) -> Config:
    """Return the configuration, whose settings are plain values still, with one value changed."""
    head, _, tail = key.rpartition(".")
    if key in own:
        return replace(config, settings={**config.settings, key: _accepted(own[key], key, value, where)})
    if key in _COMMON:
        common: Any = {key: _accepted(_COMMON[key], key, value, where)}
        return replace(config, **common)
    if head == "clip" and tail in _CLIP:
        return replace(config, clip=replace(config.clip, **{tail: _accepted(_CLIP[tail], key, value, where)}))
    if tail in _STAGE and head in {"", *(s.name for s in config.stages)}:
        new: Any = {tail: _accepted(_STAGE[tail], key, value, where)}
        return replace(config, stages=tuple(replace(s, **new) if head in {"", s.name} else s for s in config.stages))
    known = [*own, *_STAGE, *(f"clip.{k}" for k in _CLIP), *_COMMON]
    raise unknown(f"setting of {config.detector}", key, known)


def _checked(config: Config, own: Mapping[str, Declared], where: str) -> Config:
    """Return a preset's configuration, each value of which is as it is declared; UserError for one that is not."""

    def accepted(declared: Mapping[str, Declared], values: Mapping[str, Setting], of: str = "") -> dict[str, Any]:
        return {key: _accepted(field, f"{of}{key}", values[key], where) for key, field in declared.items()}

    def value_of(value: Any, declared: Mapping[str, Declared]) -> dict[str, Any]:
        return {key: getattr(value, key) for key in declared}

    return replace(
        config,
        settings=accepted(own, config.settings),
        clip=replace(config.clip, **accepted(_CLIP, value_of(config.clip, _CLIP), "clip.")),
        stages=tuple(replace(s, **accepted(_STAGE, value_of(s, _STAGE), f"{s.name}.")) for s in config.stages),
        eval_batch=_accepted(_COUNT, "eval_batch", config.eval_batch, where),
    )


def learned_label(config: Config, forgery: Any) -> Any:
    """Return the label a detector learns and is selected by, from Forgery values (integer tensor or array).

    Four classes as they are; binary: any forgery, or that of the one stream that the detector requires.
    """
    if config.task == "four_class":
        return forgery
    if config.requires == {"video"}:
        return forgery & 1
    if config.requires == {"audio"}:
        return forgery >> 1
    return (forgery > 0) * 1


def _preset(spec: DetectorSpec, name: str | None, demo: bool) -> Preset:
    if name is None:
        return spec.default_preset(demo=demo)
    for preset in spec.presets:
        if preset.name == name:
            return preset
    raise unknown(f"preset of {spec.name}", name, [p.name for p in spec.presets])


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text!r} is not of the form key=value, for example --set epochs=1")
    return key.strip(), value.strip()


def _accepted(field: Declared, key: str, value: Setting, where: str) -> Any:
    try:
        return field.check(value)
    except ValueError as error:
        raise UserError(f"{where}{key}={value!s:.80}: {error}") from None
