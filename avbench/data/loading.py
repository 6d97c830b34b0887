"""Batches of clips from worker processes, in order, whatever a broken file does to the process that opens it.

When a worker dies or takes too long over a batch, it is killed and replaced, and the samples of that batch are loaded
one at a time, each in a process of its own, which tells the culprit from the others.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, groupby
from math import nan
from typing import TypeAlias

from avbench.data.batches import collate, load_clips
from avbench.data.requests import ClipRequest
from avbench.data.workers import Fault, Setup, Worker
from avbench.media.decoders import PYAV, require_decoder
from avbench.media.sound import level_of
from avbench.types import Change, Clip, ClipBatch, ClipSpec, MediaError, Reason, Stream

log = logging.getLogger(__name__)
Requests: TypeAlias = tuple[ClipRequest, ...]
LoadClips: TypeAlias = Callable[[Requests], list[Clip | MediaError]]

# Batches that each worker has been asked for, the one it is loading included.
AHEAD = 2


@dataclass(frozen=True, slots=True)
class Loading:
    """How clips are loaded: worker processes, seconds a batch may take, files that may fail, plugins named by hand.

    `decoder` decodes the pictures. Raises UserError where it is not installed.
    """

    workers: int = 2
    time_limit: float = 60.0
    max_errors: float = 0.01
    plugins: tuple[str, ...] = ()
    decoder: str = PYAV

    def __post_init__(self) -> None:
        require_decoder(self.decoder)

    @property
    def shaping(self) -> dict[str, str]:
        """Return what the ids of trainings and runs owe to this: the decoder, where it is not PyAV."""
        return {} if self.decoder == PYAV else {"decoder": self.decoder}

    def allowed(self, samples: int) -> int:
        """Return how many of `samples` files may fail: the given share, and never fewer than three."""
        return max(3, int(self.max_errors * samples))


@dataclass(frozen=True, slots=True)
class Failure:
    """A clip that could not be loaded, and why."""

    request: ClipRequest
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class LoadedBatch:
    """The clips of a batch that could be loaded, in the given order, and those that could not.

    `starts` and `ends` are where the loaded clips lie, in seconds; `batch` is None where nothing could be loaded.
    `changes` says how strongly each was perturbed, `frozen` which share of its pictures is frozen, `levels` how loud
    its sound is in dB, and `mixes` how loud beside its loudest channel (nan without any). `same_video` and `same_audio`
    are, for each clip, the first of the batch that holds the same frames or the same sound: a perturbation leaves one
    of them alone.
    """

    requests: Requests
    batch: ClipBatch | None
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    failures: tuple[Failure, ...]
    changes: tuple[Change | None, ...]
    same_video: tuple[int, ...]
    same_audio: tuple[int, ...]
    frozen: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    mixes: tuple[float, ...] = ()


def load_batches(
    batches: Iterable[Sequence[ClipRequest]],
    spec: ClipSpec,
    requires: frozenset[Stream],
    *,
    workers: int,
    time_limit: float = 60.0,
    setup: Setup | None = None,
    decoder: str = PYAV,
) -> Generator[LoadedBatch, None, None]:
    """Yield each of `batches` loaded, in order; `batches` is consumed as the workers need it and may be endless.

    A batch may take `time_limit` seconds, and so may each of its samples where they are retried; a sample at fault
    fails with `decoder_crash` or `decoder_timeout`. What is loaded depends neither on `workers` nor on faults. With 0
    workers all is loaded in this process: simple to debug, but nothing protects it from a decoder that crashes or
    hangs. `setup` runs first in every worker and registers plugins there (workers are forked on Linux and spawned
    elsewhere). `decoder` decodes the pictures. Closing the generator ends the workers.

    Raises RuntimeError if `setup` fails in a worker.
    """
    load = partial(load_clips, spec=spec, requires=requires, decoder=decoder)
    if workers == 0:
        yield from (_load(tuple(requests), load) for requests in batches)
        return
    crew = [Worker(partial(_load, load=load), time_limit, setup) for _ in range(workers)]
    turns: deque[Worker] = deque()  # whose batch comes next
    try:
        for worker, requests in zip(cycle(crew), batches, strict=False):
            worker.ask(tuple(requests))
            turns.append(worker)
            if len(turns) == workers * AHEAD:
                yield _answer(turns.popleft(), load)
        while turns:
            yield _answer(turns.popleft(), load)
    finally:
        for worker in crew:
            worker.stop()


def _answer(worker: Worker, load: LoadClips) -> LoadedBatch:
    """Return the batch that a worker owes, by loading its samples one at a time if the worker fails over it."""
    try:
        return _own_small_tensors(worker.answer())
    except Fault as fault:
        requests: Requests = worker.restart()
        log.warning("%s; its %d clips are loaded one at a time", fault, len(requests))
        return _assemble(requests, [o for group in _groups(requests) for o in _load_apart(group, load, worker)])


def _groups(requests: Requests) -> list[Requests]:
    """Return neighbouring requests for the same clip together: they differ in their condition alone."""
    return [tuple(group) for _, group in groupby(requests, key=lambda request: request.place)]


def _load_apart(requests: Requests, load: LoadClips, worker: Worker) -> list[Clip | Failure]:
    """Load the clips of one place in a process of their own."""
    apart = worker.fresh(partial(_load_group, load=load))
    apart.ask(requests)
    try:
        outcomes: list[Clip | Failure] = apart.answer()
        return outcomes
    except Fault as fault:
        return [Failure(request, fault.reason, f"{request.sample.path}: {fault}") for request in requests]
    finally:
        apart.stop()


def _load(requests: Requests, load: LoadClips) -> LoadedBatch:
    return _assemble(requests, [outcome for group in _groups(requests) for outcome in _load_group(group, load)])


def _load_group(requests: Requests, load: LoadClips) -> list[Clip | Failure]:
    try:
        clips = load(requests)
    except MediaError as error:
        clips = [error] * len(requests)
    except Exception as error:  # of a plugin, or of a library over a broken file: it costs this clip only
        log.debug("%s", requests[0].sample.path, exc_info=True)
        message = f"{requests[0].sample.path}: {type(error).__name__}: {error}"
        clips = [MediaError(Reason.UNREADABLE, message)] * len(requests)
    return [
        Failure(request, clip.reason, str(clip)) if isinstance(clip, MediaError) else clip
        for request, clip in zip(requests, clips, strict=True)
    ]


def _assemble(requests: Requests, outcomes: Sequence[Clip | Failure]) -> LoadedBatch:
    pairs = zip(requests, outcomes, strict=True)
    loaded = [(request, outcome) for request, outcome in pairs if isinstance(outcome, Clip)]
    return LoadedBatch(
        requests=tuple(request for request, _ in loaded),
        batch=collate(loaded) if loaded else None,
        starts=tuple(clip.start for _, clip in loaded),
        ends=tuple(clip.end for _, clip in loaded),
        failures=tuple(outcome for outcome in outcomes if isinstance(outcome, Failure)),
        changes=tuple(clip.change for _, clip in loaded),
        same_video=_first_alike([id(clip.frames) for _, clip in loaded]),
        same_audio=_first_alike([id(clip.sound) for _, clip in loaded]),
        frozen=tuple(clip.frozen if clip.has_video else nan for _, clip in loaded),
        mixes=tuple(clip.mix_db if clip.has_audio else nan for _, clip in loaded),
        levels=tuple(level_of(clip.sound[: clip.valid_samples]) for _, clip in loaded),
    )


def _first_alike(values: Sequence[int]) -> tuple[int, ...]:
    first: dict[int, int] = {}
    return tuple(first.setdefault(value, row) for row, value in enumerate(values))


def _own_small_tensors(loaded: LoadedBatch) -> LoadedBatch:
    """Copy all tensors but the video out of shared memory, where each holds a file descriptor as long as it lives."""
    batch = loaded.batch
    if batch is None:
        return loaded
    return replace(loaded, batch=batch.each(lambda tensor: tensor if tensor is batch.video else tensor.clone()))
