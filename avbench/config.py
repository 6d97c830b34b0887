"""A detector's resolved configuration: preset, task and `--set` overrides become one frozen value with a hash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from avbench.errors import UserError, unknown
from avbench.types import ClipSpec, DetectorSpec, Preset, Setting, Stage, Stream, Task

_STAGE_KEYS = tuple(f.name for f in fields(Stage) if f.name not in {"name", "samples"})
_CLIP_KEYS = tuple(f.name for f in fields(ClipSpec) if f.name != "annotations")  # which the network needs as they are
_REGIONS = ("frame", "face", "mouth")
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that a training starts from: a file and its sha256, or "random"."""

    path: Path | None = None
    sha256: str = "random"


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a detector is built from and trained with."""

    detector: str
    task: Task
    preset: str = "default"
    clip: ClipSpec = ClipSpec()
    settings: Mapping[str, Setting] = field(default_factory=dict)
    stages: tuple[Stage, ...] = (Stage(),)
    eval_batch: int = 8
    requires: frozenset[Stream] = frozenset({"video", "audio"})
    weights: Mapping[str, Weights] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON and hashing; weights count by content, not by where they lie."""
        plain = asdict(self)
        if not self.clip.annotations:  # configurations without them keep the hash they had before these were
            del plain["clip"]["annotations"]
        plain["requires"] = sorted(self.requires)
        plain["weights"] = {name: chosen.sha256 for name, chosen in self.weights.items()}
        return plain


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
    clip; other keys are the detector's own settings. Raises UserError for what the detector cannot do or does not know.
    """
    if task not in spec.tasks:
        raise UserError(f"{spec.name} cannot do {task}: it does {' and '.join(spec.tasks)}; use --task {spec.tasks[0]}")
    chosen = _preset(spec, preset, demo)
    config = Config(
        spec.name,
        task,
        chosen.name,
        chosen.clip,
        dict(chosen.settings),
        chosen.stages,
        chosen.eval_batch,
        spec.requires,
    )
    given = [*chosen.for_dataset.get(dataset, {}).items(), *(_pair(text) for text in overrides)]
    for key, value in given:
        config = _set(config, key, value)
    for switch, brought in chosen.switches.items():
        for key, value in brought.items() if config.settings[switch] else ():
            config = _set(config, key, value)
    _validate(config.stages, config.eval_batch)
    _validate_clip(config.clip)
    return config


def _set(config: Config, key: str, value: Setting) -> Config:
    """Return the configuration with one value changed."""
    head, _, tail = key.rpartition(".")
    if key in config.settings:
        return replace(config, settings={**config.settings, key: _typed(key, config.settings[key], value)})
    if key == "eval_batch":
        return replace(config, eval_batch=_typed(key, config.eval_batch, value))
    if head == "clip" and tail in _CLIP_KEYS:
        return replace(config, clip=replace(config.clip, **{tail: _typed(key, getattr(config.clip, tail), value)}))
    if tail in _STAGE_KEYS and head in {"", *(s.name for s in config.stages)}:
        stages = (
            replace(s, **{tail: _typed(key, getattr(s, tail), value)}) if head in {"", s.name} else s
            for s in config.stages
        )
        return replace(config, stages=tuple(stages))
    known = [*config.settings, *_STAGE_KEYS, *(f"clip.{k}" for k in _CLIP_KEYS), "eval_batch"]
    raise unknown(f"setting of {config.detector}", key, known)


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


def _typed(key: str, default: Setting, value: Setting) -> Any:
    """Read a text as the type that the default has."""
    if not isinstance(value, str) or (isinstance(default, str) and default is not None):
        return value
    word = value.lower()
    try:
        if word in {"none", "null", ""}:
            return None
        if isinstance(default, bool):
            if word in _TRUE | _FALSE:
                return word in _TRUE
            raise ValueError(word)
        if isinstance(default, int):
            return int(value)
        if isinstance(default, float):
            return float(value)
        return int(value) if value.lstrip("-").isdigit() else float(value)
    except ValueError:
        kind = type(default).__name__ if default is not None else "number"
        raise UserError(f"--set {key}={value}: expected a value of type {kind}") from None


def _validate(stages: Sequence[Stage], eval_batch: int) -> None:
    positive = {"eval_batch": eval_batch}
    for stage in stages:
        if stage.epochs < 0:
            raise UserError(f"--set epochs={stage.epochs}: must be at least 0 (nothing is trained)")
        positive |= {"batch": stage.batch, "accumulate": stage.accumulate}
        positive |= {"micro_batch": 1 if stage.micro_batch is None else stage.micro_batch}
        for name, value in positive.items():
            if value < 1:
                raise UserError(f"--set {name}={value}: must be at least 1")
    if len(precisions := {stage.precision for stage in stages}) > 1:
        raise UserError(f"stages compute in {' and '.join(sorted(precisions))}; use one, with --set precision=32-true")


def _validate_clip(clip: ClipSpec) -> None:
    least = {"frames": 0, "audio_samples": 0, "size": 1, "hop": 1, "sample_rate": 1, "min_frames": 0}
    for name, lowest in least.items():
        value = getattr(clip, name)
        if value is not None and value < lowest:
            raise UserError(f"--set clip.{name}={value}: must be at least {lowest}")
    if not clip.fps > 0:
        raise UserError(f"--set clip.fps={clip.fps:g}: must be above 0")
    if not clip.frames and not clip.samples and not clip.whole:
        raise UserError("a clip without frames and without sound: set clip.frames or clip.audio_samples")
    if clip.region not in _REGIONS:
        raise unknown("value of clip.region", clip.region, _REGIONS)
