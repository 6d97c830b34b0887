"""A detector's own methods as the engine calls them: what they raise, or give that is nothing of the kind, is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from avbench.detector import Detector
from avbench.errors import UserError
from avbench.own_line import PluginError, blaming, place_of, told
from avbench.types import CLASSES, Output

if TYPE_CHECKING:
    from avbench.types import ClipBatch

# What PyTorch says where its error has no class of its own.
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "_STATUS_ALLOC_FAILED")


@contextmanager
def calling(
    detector: Any, what: str, batch: ClipBatch | None = None, setting: tuple[str, int] | None = None
) -> Iterator[None]:
    """Turn what a detector's method raises into a PluginError that names its line and the batch it was given.

    In place of a detector that is not built yet, what makes it is given. `setting` is the one, with its value, that
    says how many clips are on the device at a time: it is named where memory runs out.
    """
    named = isinstance(detector, Detector)
    kind = type(detector) if named else detector
    called = f"{detector.config.detector}: {what}" if named else what
    try:
        with blaming(called, kind, lambda: described(batch)):
            yield
    except UserError as error:
        cause = error.__cause__
        if cause is None or not is_out_of_memory(cause):
            raise
        raise PluginError(
            f"out of memory: {told(cause, called, kind, described(batch))}; {_smaller(setting)}"
        ) from cause


def described(batch: ClipBatch | None) -> str:
    """Return a batch in words: batch: video (3,25,3,112,112) uint8, audio (3,16000) float32; nothing of none."""
    if batch is None:
        return ""
    return f"batch: video {shape(batch.video)}, audio {shape(batch.audio)}"


def shape(value: Any) -> str:
    """Return what a value is in words: (4,2) float32 of a tensor, else its class."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"({','.join(map(str, value.shape))}) {str(value.dtype).removeprefix('torch.')}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or here."""
    text = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in _NO_MEMORY)
    )


def require_kind(detector: Detector, output: Any, batch: ClipBatch) -> None:
    """Raise PluginError where forward gives no Output, or one that the usual loss cannot be made of."""
    if not isinstance(output, Output):
        raise _gave(detector, "forward", f"{shape(output)}, not an avbench.types.Output", batch)
    if type(detector).loss is Detector.loss:
        require_scores(detector, output, batch)


def require_scores(detector: Detector, output: Any, batch: ClipBatch, what: str = "forward") -> None:
    """Raise PluginError where a detector does not say of each clip of a batch, once, how likely a forgery is."""
    clips, classes = len(batch), CLASSES[detector.config.task]
    if not isinstance(output, Output):
        wrong = f"{shape(output)}, not an avbench.types.Output"
    elif output.score is not None:
        wrong = _wrong(output.score, (clips,), "score")
    elif output.logits is not None:
        wrong = _wrong(output.logits, (clips, classes), f"{detector.config.task} logits")
    else:
        wrong = "an Output without logits and without a score"
    for name in ("p_video", "p_audio"):
        if not wrong and (branch := getattr(output, name)) is not None:
            one_each = isinstance(branch, Tensor) and branch.shape[:1] == (clips,) and branch.numel() == clips
            wrong = "" if one_each else _wrong(branch, (clips,), name)
    if wrong:
        raise _gave(detector, what, wrong, batch)


def require_losses(detector: Detector, losses: Any, batch: ClipBatch) -> dict[str, Tensor]:
    """Return a detector's losses; PluginError where they are no scalars by name, one of them "loss"."""
    if not isinstance(losses, Mapping) or "loss" not in losses:
        gave = f"{{{', '.join(map(repr, losses))}}}" if isinstance(losses, Mapping) else shape(losses)
        raise _gave(detector, "loss", f'{gave}, not scalars by name, the one to minimise called "loss"', batch)
    for name, value in losses.items():
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise _gave(detector, "loss", f"{name!r} as {shape(value)}, not a scalar tensor", batch)
    return dict(losses)


def _wrong(found: Any, wanted: tuple[int, ...], what: str) -> str:
    if isinstance(found, Tensor) and tuple(found.shape) == wanted:
        return ""
    return f"{what} as {shape(found)}, not ({','.join(map(str, wanted))}{',' * (len(wanted) == 1)})"


def _gave(detector: Detector, what: str, wrong: str, batch: ClipBatch) -> PluginError:
    """Return the error about a method that gave something else; its line is where the method begins."""
    return PluginError(f"{detector.config.detector}: {what}{where_of(detector, what)} gave {wrong}; {described(batch)}")


def where_of(detector: Detector, what: str) -> str:
    """Return " at file:line" of where a detector's own method begins; nothing of one that it has from avbench."""
    place = place_of(getattr(type(detector), what, None))
    return f" at {place}" if place else ""


def _smaller(setting: tuple[str, int] | None) -> str:
    """Say what takes less memory."""
    other = "a smaller --preset, shorter clips (--set clip.frames=N) or another --device"
    if setting is None or setting[1] <= 1:
        return f"use {other}"
    name, value = setting
    return f"use --set {name}={max(1, value // 2)} (it is {value}), {other}"
