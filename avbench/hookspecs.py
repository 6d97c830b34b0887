"""Every hook of avbench. A plugin implements any of them with `@hookimpl` and yields frozen dataclasses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

from avbench.types import ClipSpec, DatasetSpec, DetectorSpec, MetricSpec, PerturbationSpec, PretrainingSpec

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from avbench.protocol import Protocol
    from avbench.records.card import Card

hookspec = pluggy.HookspecMarker("avbench")
hookimpl = pluggy.HookimplMarker("avbench")


@hookspec
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield detectors.

    Example::

        @hookimpl
        def avbench_detectors():
            yield DetectorSpec(name="loudness", load=f"{__name__}:Loudness", tasks=("binary",))
    """
    raise AssertionError("a specification is never called")


@hookspec
def avbench_datasets() -> Iterable[DatasetSpec]:
    """Yield datasets. Each gives `within_<name>` and `cross_<other>_to_<name>` protocols without more ado.

    Example::

        @hookimpl
        def avbench_datasets():
            yield DatasetSpec(name="mine", title="Mine", scan="my_package.reader:scan", folders=("Mine",))
    """
    raise AssertionError("a specification is never called")


@hookspec
def avbench_protocols() -> Iterable[Protocol]:
    """Yield protocols whose details differ from their family's.

    Example::

        @hookimpl
        def avbench_protocols():
            yield Protocol(name="within_fakeav_strict", version=1, train="fakeav", test="fakeav",
                           strict_identity=True)
    """
    raise AssertionError("a specification is never called")


@hookspec
def avbench_perturbations() -> Iterable[PerturbationSpec]:
    """Yield perturbations with five levels each; see PerturbationSpec for what the function is given.

    Example::

        def darken(picture, parameter, context):
            return (picture * parameter).astype("uint8")

        @hookimpl
        def avbench_perturbations():
            yield PerturbationSpec(name="darken", title="Darkening", load=f"{__name__}:darken", stream="video",
                                   levels=(0.9, 0.8, 0.7, 0.6, 0.5))
    """
    raise AssertionError("a specification is never called")


@hookspec
def avbench_metrics() -> Iterable[MetricSpec]:
    """Yield metrics; each is computed from the table of one score per video.

    Example::

        def hit_rate(table):
            return float(((table["score"] > 0.5) & (table["forgery"] > 0)).mean())

        @hookimpl
        def avbench_metrics():
            yield MetricSpec(name="hit_rate", title="Hit rate", compute=f"{__name__}:hit_rate", tasks=("binary",))
    """
    raise AssertionError("a specification is never called")


@hookspec
def avbench_pretrainings() -> Iterable[PretrainingSpec]:
    """Yield networks that `avbench pretrain` teaches frame-level truth; see PretrainingSpec for what each must give.

    Example::

        def labels(values, settings):
            return np.where(np.isnan(values), np.nan, values >= 2)

        def loss(network, p, labels):
            known = ~labels.isnan()
            return binary_cross_entropy(p[known], labels[known])

        @hookimpl
        def avbench_pretrainings():
            preset = Preset(clip=ClipSpec(frames=1, size=112, audio_samples=0, annotations=("au",)))
            yield PretrainingSpec(name="smiles", load=f"{__name__}:Smiles", annotation="au", learns="action units",
                                  labels=f"{__name__}:labels", loss=f"{__name__}:loss", presets=(preset,))
    """
    raise AssertionError("a specification is never called")


@hookspec(firstresult=True)
def avbench_decode(path: Path, start: float, spec: ClipSpec) -> Any:
    """Decode the clip of `spec` that begins at `start` seconds, or return None to leave it to the built-in decoder.

    The answer is an avbench.types.Clip: frames (T,H,W,3) uint8 at spec.size, sound (S,) float32 at spec.sample_rate.

    Example::

        @hookimpl
        def avbench_decode(path, start, spec):
            return read_my_format(path, start, spec) if path.suffix == ".mine" else None
    """
    raise AssertionError("a specification is never called")


@hookspec(firstresult=True)
def avbench_face_track(path: Path, frames: np.ndarray, times: np.ndarray) -> np.ndarray | None:
    """Return face boxes (T,4) x0 y0 x1 y1 in pixels for frames (T,H,W,3) uint8 at `times` (T,) seconds, or None.

    Or return 68 landmarks (T,68,2) x y: mouths and faces are then aligned to a mean face, see avbench.media.landmarks.
    A row of nan is a frame without a face: its nearest neighbour's serves; all nan is the reason `no_face`.

    Example::

        @hookimpl
        def avbench_face_track(path, frames, times):
            return np.load(path.with_suffix(".boxes.npy"))[: len(frames)]
    """
    raise AssertionError("a specification is never called")


@hookspec
def avbench_run_started(card: Card, folder: Path) -> None:
    """Observe the start of a run; `card` is its avbench.records.card.Card so far, `folder` the run's.

    Example::

        @hookimpl
        def avbench_run_started(card):
            notify(f"{card.id} has begun")
    """
    raise AssertionError("a specification is never called")


@hookspec
def avbench_epoch_ended(card: Card, epoch: int, values: dict[str, float]) -> None:
    """Observe an epoch of training: `values` holds the losses, the validation metrics and the learning rate.

    Example::

        @hookimpl
        def avbench_epoch_ended(card, epoch, values):
            notify(f"{card.id} epoch {epoch}: {values['loss']:.3f}")
    """
    raise AssertionError("a specification is never called")


@hookspec
def avbench_run_finished(card: Card, folder: Path) -> None:
    """Observe the end of a run: `folder` holds card.json, scores.parquet and figures/.

    Example::

        @hookimpl
        def avbench_run_finished(card, folder):
            shutil.copytree(folder, "/archive/" + card.id)
    """
    raise AssertionError("a specification is never called")


@hookspec
def avbench_run_failed(card: Card, folder: Path) -> None:
    """Observe a run that came to no result: `card.status` is failed or interrupted, and `card.error` says why.

    Example::

        @hookimpl
        def avbench_run_failed(card):
            notify(f"{card.id} {card.status}: {card.error}")
    """
    raise AssertionError("a specification is never called")
