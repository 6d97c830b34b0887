"""Perturbations at levels 0 to 5: which conditions are asked for, what each is given, and its randomness.

A condition changes a video as a whole, before any crop or resize. Randomness is a function of (video id, type, level,
frame index), so that to perturb the frames of a clip is to perturb the whole video and to cut the clip from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avbench.errors import UserError, unknown
from avbench.hashing import stable_hash
from avbench.plugins.registry import pick
from avbench.references import load_object
from avbench.types import LEVELS, Context, PerturbationSpec, Stream

if TYPE_CHECKING:
    import av

    from avbench.media.frames import Picture
    from avbench.media.sound import Sound

PAPER = "paper"
# Sets of types beside those that the types themselves name.
BY_STREAM: Mapping[str, Stream] = {"pictures": "video", "sound": "audio"}


@dataclass(frozen=True, slots=True)
class Condition:
    """A perturbation at one of its levels 1 to 5; the video as it is is None. `voices` are files it may mix in."""

    spec: PerturbationSpec
    level: int
    voices: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """Return the type's name."""
        return self.spec.name

    @property
    def parameter(self) -> float:
        """Return the type's parameter at this level."""
        return self.spec.levels[self.level - 1]

    def touches(self, stream: Stream) -> bool:
        """Whether this stream changes; the other one stays as it is, bit for bit."""
        return self.spec.stream in (stream, "both")


def choose(
    types: Iterable[str], levels: Iterable[int], known: Mapping[str, PerturbationSpec]
) -> tuple[Condition | None, ...]:
    """Return the conditions of types (or sets of types) and levels: the clean one first, then by type and level.

    Raises UserError for an unknown type (with the closest name), for a level that is none, and for a missing encoder.
    """
    wanted = sorted(set(levels))
    if wrong := [level for level in wanted if level not in LEVELS]:
        raise UserError(f"level {wrong[0]}: levels are 0 (the video as it is) to 5 (the strongest)")
    chosen = list(dict.fromkeys(spec for name in types for spec in _of_name(name, known)))
    for spec in chosen:
        _require_encoders(spec)
    return (None, *(Condition(spec, level) for spec in chosen for level in wanted if level))


def sets_of(known: Mapping[str, PerturbationSpec]) -> dict[str, list[PerturbationSpec]]:
    """Return the named sets of types: each type's own, those of a stream, and all."""
    general = [spec for spec in known.values() if not spec.by_name_alone]
    sets = {name: [spec for spec in general if spec.stream == stream] for name, stream in BY_STREAM.items()}
    for spec in known.values():
        for name in spec.sets:
            sets.setdefault(name, []).append(spec)
    return {**sets, "all": general}


def _of_name(name: str, known: Mapping[str, PerturbationSpec]) -> Sequence[PerturbationSpec]:
    sets = sets_of(known)
    if name not in known and name not in sets:
        raise unknown("perturbation", name, [*known, *sets])
    return sets[name] if name not in known else [pick("perturbation", name, dict(known))]


def _require_encoders(spec: PerturbationSpec) -> None:
    for name in spec.encoders:
        if not encoder_is_there(name):
            raise UserError(
                f"{spec.name} needs the encoder {name}, which this PyAV was built without; "
                "install PyAV's own wheels (pip install av), or leave this type out with --types"
            )


@cache
def encoder_is_there(name: str) -> bool:
    """Whether PyAV can encode by the codec of that name."""
    import av

    try:
        av.codec.Codec(name, "w")
    except (ValueError, av.FFmpegError):
        return False
    return True


def perturb_picture(condition: Condition, video: str, index: int, picture: Picture) -> tuple[Picture, Context]:
    """Return the picture (H,W,3) uint8 of a video's frame `index` in a condition, and what was noted."""
    context = Context(_random(condition, video, index))
    changed = _function(condition.spec.load, condition.name)(picture, condition.parameter, context)
    _require_like(condition, changed, picture)
    return changed, context


def perturb_frames(
    condition: Condition, video: str, frames: Iterable[av.VideoFrame], context: Context | None = None
) -> Iterator[av.VideoFrame]:
    """Yield all frames of a video in a condition that needs the whole stream, with the times they had."""
    context = context or frames_context(condition, video)
    times: list[tuple[Any, Any]] = []

    def noted() -> Iterator[av.VideoFrame]:
        for frame in frames:
            times.append((frame.pts, frame.time_base))
            yield frame

    count = 0
    for frame in _function(condition.spec.load, condition.name)(noted(), condition.parameter, context):
        if count >= len(times) or frame.pts * frame.time_base != times[count][0] * times[count][1]:
            raise ValueError(f"{condition.name} changed the time of frame {count}")
        count += 1
        yield frame
    if count != len(times):
        raise ValueError(f"{condition.name} gave {count} frames for {len(times)}")


def frames_context(condition: Condition, video: str) -> Context:
    """Return the context of a condition that sees a video's frames as a stream."""
    return Context(_random(condition, video, "frames"))


def perturb_sound(
    condition: Condition, video: str, sound: Sound, rate: int, voices: Sequence[Sound] = ()
) -> tuple[Sound, Context]:
    """Return the whole sound (S,) float32 of a video in a condition, and what was noted."""
    context = Context(_random(condition, video, "sound"), rate, tuple(voices))
    load = condition.spec.load_sound if condition.spec.stream == "both" else condition.spec.load
    changed = _function(load, condition.name)(sound, condition.parameter, context)
    _require_like(condition, changed, sound)
    return changed, context


def _random(condition: Condition, *key: object) -> np.random.Generator:
    video, *rest = key
    seed = stable_hash(video, condition.name, condition.level, *rest)
    return np.random.Generator(np.random.SFC64(seed))  # the quickest of NumPy's for the many numbers of a picture


@cache
def _function(reference: str, name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = load_object(reference, f"perturbation {name}")
    return function


def _require_like(condition: Condition, changed: Any, given: np.ndarray[Any, Any]) -> None:
    if not isinstance(changed, np.ndarray) or changed.shape != given.shape or changed.dtype != given.dtype:
        got = f"{changed.dtype} {changed.shape}" if isinstance(changed, np.ndarray) else type(changed).__name__
        raise TypeError(f"{condition.name} must return {given.dtype} {given.shape}, not {got}")
