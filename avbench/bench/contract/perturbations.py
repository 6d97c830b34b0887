"""What a perturbation promises, checked on a made-up scene and sound: same shape, seeds alone, levels that grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avbench.bench.contract.results import Result, judged
from avbench.media.geometry import Upright
from avbench.perturbations.conditions import Condition, choose, perturb_frames, perturb_picture, perturb_sound
from avbench.types import LEVELS, PerturbationSpec, Stream

HEIGHT, WIDTH = 288, 352
FRAMES = 12
VIDEO = "a video.mp4"
RATES = (16_000, 44_100)
LOUDEST = 1.0
WINDOW = 512  # samples
_STREAMS: Mapping[str, tuple[Stream, ...]] = {"video": ("video",), "audio": ("audio",), "both": ("video", "audio")}


@dataclass(frozen=True, slots=True)
class _Trial:
    """What a perturbation made of one stream: `given` is what it was given, `changed` that at each of its levels."""

    stream: Stream
    conditions: list[Condition]
    given: list[NDArray[Any]]
    changed: list[list[NDArray[Any]]] = field(default_factory=list)


def check_perturbation(spec: PerturbationSpec, known: Mapping[str, PerturbationSpec]) -> Iterator[Result]:
    """Check a perturbation in each stream it changes; `known` are all there are."""
    chosen: list[Condition] = []
    yield judged("has level 0, which changes nothing, and five more", lambda: _choose(spec, known, chosen))
    yield judged("its levels go one way", lambda: _wavering(spec))
    for stream in _STREAMS.get(spec.stream, ()) if chosen else ():
        trial = _Trial(stream, chosen, _given(stream))
        for promise, complain in _PROMISES.items():
            yield (result := judged(f"{stream}: {promise}", partial(complain, trial)))
            if not result.kept and not trial.changed:  # it cannot be computed
                break


def _choose(spec: PerturbationSpec, known: Mapping[str, PerturbationSpec], chosen: list[Condition]) -> str:
    if spec.stream not in _STREAMS:
        return f"stream {spec.stream!r} is none of {', '.join(_STREAMS)}"
    if spec.stream == "both" and not spec.load_sound:
        return "of both streams, load_sound must name the function for sound"
    if len(spec.levels) != len(LEVELS) - 1 or not np.isfinite(spec.levels).all():
        return f"levels must be five numbers, not {spec.levels}"
    clean, *others = choose([spec.name], LEVELS, known)
    chosen += [condition for condition in others if condition is not None]
    return "" if clean is None and len(chosen) == len(LEVELS) - 1 else "its name chooses other perturbations too"


def _wavering(spec: PerturbationSpec) -> str:
    steps = np.diff(spec.levels)
    return "" if (steps > 0).all() or (steps < 0).all() else f"{spec.levels} neither rise nor fall"


def pictures() -> list[NDArray[np.uint8]]:
    """Return a scene of moving texture, edges and noise, (H,W,3) uint8 each."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    grain = random.normal(0, 6, (HEIGHT, WIDTH, 3))
    scene = []
    for k in range(FRAMES):
        waves = 60 * np.sin((x + 3 * k) / 9) * np.cos(y / 7)
        base = np.stack([x * 200 / WIDTH + waves, y * 200 / HEIGHT + waves, 128 + waves], axis=2)
        base[80:160, 100 + 4 * k : 180 + 4 * k] = (200, 120, 90)
        scene.append(np.clip(base + grain, 0, 255).astype(np.uint8))
    return scene


def sound(rate: int, seed: int = 0) -> NDArray[np.float32]:
    """Return two seconds like speech at a rate: a buzz in syllables over some breath, (S,) float32."""
    random = np.random.default_rng(seed)
    time = np.arange(2 * rate) / rate
    pitch = 110 + 15 * seed + 20 * np.sin(2 * np.pi * 1.3 * time)
    buzz = sum(np.sin(2 * np.pi * k * np.cumsum(pitch) / rate) / k for k in range(1, 30))
    loud = 0.1 * buzz * np.abs(np.sin(2 * np.pi * 2.3 * time)) + 0.01 * random.standard_normal(len(time))
    return np.clip(loud, -LOUDEST, LOUDEST).astype(np.float32)


def _given(stream: Stream) -> list[NDArray[Any]]:
    return [*pictures()] if stream == "video" else [sound(rate) for rate in RATES]


def _changed(condition: Condition, stream: Stream, given: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return each picture of the scene, or each sound, in a condition."""
    if stream == "audio":
        voices = [[sound(rate, seed) for seed in range(1, 1 + condition.spec.voices)] for rate in RATES]
        made = (perturb_sound(condition, VIDEO, *each) for each in zip(given, RATES, voices, strict=True))
        return [changed for changed, _ in made]
    if condition.spec.whole_stream:
        upright = Upright()
        return [upright(frame) for frame in perturb_frames(condition, VIDEO, _frames(given))]
    return [perturb_picture(condition, VIDEO, k, picture)[0] for k, picture in enumerate(given)]


def _frames(given: list[NDArray[Any]]) -> Iterator[av.VideoFrame]:
    for number, picture in enumerate(given):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base, frame.duration = number, Fraction(1, 25), 1
        yield frame


def _misshapen(trial: _Trial) -> str:
    """Have every level changed; what has another shape, type or time is refused where runs refuse it."""
    made = [_changed(condition, trial.stream, trial.given) for condition in trial.conditions]
    if trial.stream == "audio" and not all(np.isfinite(one).all() for changed in made for one in changed):
        return "it gives sound that is not finite"
    trial.changed.extend(made)
    return ""


def _careless(trial: _Trial) -> str:
    same = all(np.array_equal(one, other) for one, other in zip(trial.given, _given(trial.stream), strict=True))
    return "" if same else "it changes what it is given in place; work on a copy"


def _moody(trial: _Trial) -> str:
    """Compare with a second time, and one picture with itself among the others."""
    given, condition, first = trial.given, trial.conditions[-1], trial.changed[-1]
    second = _changed(condition, trial.stream, given)
    if not all(np.array_equal(one, other) for one, other in zip(first, second, strict=True)):
        return "a second time it gives something else; draw from context.random alone"
    if trial.stream == "video" and not condition.spec.whole_stream:
        alone = perturb_picture(condition, VIDEO, FRAMES - 2, given[-2])[0]
        if not np.array_equal(alone, first[-2]):
            return "a picture's change depends on the pictures before it; ask for whole_stream"
    return ""


def _idle(trial: _Trial) -> str:
    for condition, changed in zip(trial.conditions, trial.changed, strict=True):
        if not _error(changed, trial.given):
            return f"level {condition.level} changes nothing"
    return ""


def _weaker(trial: _Trial) -> str:
    measure = _error if trial.stream == "video" else _spectral_distance
    first, last = measure(trial.changed[0], trial.given), measure(trial.changed[-1], trial.given)
    return "" if last > 0.9 * first else f"level 5 changes less ({last:.3g}) than level 1 ({first:.3g})"


def _error(changed: list[NDArray[Any]], given: list[NDArray[Any]]) -> float:
    """Return the mean squared error."""
    pairs = zip(changed, given, strict=True)
    return float(np.mean([np.mean((one.astype(np.float64) - other) ** 2) for one, other in pairs]))


def _spectral_distance(changed: list[NDArray[Any]], given: list[NDArray[Any]]) -> float:
    """Return the mean difference of short-time log spectra, in which echoes and delays count less than noise."""
    pairs = zip(changed, given, strict=True)
    return float(np.mean([np.abs(_log_spectra(one) - _log_spectra(other)).mean() for one, other in pairs]))


def _log_spectra(whole: NDArray[Any]) -> NDArray[np.float64]:
    blocks = whole[: len(whole) // WINDOW * WINDOW].reshape(-1, WINDOW) * np.hanning(WINDOW)
    return np.log(np.abs(np.fft.rfft(blocks, axis=1)) + 1e-3)


_PROMISES: dict[str, Callable[[_Trial], str]] = {
    "keeps shape, type and times": _misshapen,
    "leaves what it is given as it is": _careless,
    "depends on video, type, level and frame alone": _moody,
    "changes something at each level": _idle,
    "changes more at level 5 than at level 1": _weaker,
}
