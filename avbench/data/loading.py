"""Batches of clips from worker processes, in order, whatever a broken file does to the process that opens it.

When a worker dies or takes too long over a clip, it is killed and replaced, and the samples of that batch are loaded
one at a time, each in a process of its own, which tells the culprit from the others. A file that takes too long there
too, or in all, is not opened again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, groupby
from math import inf, nan
from pathlib import Path
from typing import TypeAlias

from avbench.data.batches import collate, load_clips
from avbench.data.blame import blamed
from avbench.data.file_times import CLIP, FileTimes
from avbench.data.memory import bounded
from avbench.data.requests import ClipRequest
from avbench.data.workers import Fault, Setup, Worker, begin_file
from avbench.errors import UserError
from avbench.media.decoders import PYAV, require_decoder
from avbench.media.sound import level_of
from avbench.types import Change, Clip, ClipBatch, ClipSpec, MediaError, Reason, Stream

log = logging.getLogger(__name__)
Requests: TypeAlias = tuple[ClipRequest, ...]
LoadClips: TypeAlias = Callable[[Requests], list[Clip | MediaError]]
Apart: TypeAlias = Callable[[Requests], "list[Clip | Failure]"]

# Batches that each worker has been asked for, the one it is loading included.
AHEAD = 2


@dataclass(frozen=True, slots=True)
class Loading:
    """How clips are loaded: worker processes, what a file may take, files that may fail, plugins named by hand.

    `file_seconds` bounds the time that a file takes (see FileTimes), `file_memory` the GiB that reading a clip takes; 0
    is no bound of memory. `decoder` decodes the pictures. Raises UserError where it is not installed.
    """

    workers: int = 2
    file_seconds: float = 300.0
    file_memory: float = 4.0
    max_errors: float = 0.01
    plugins: tuple[str, ...] = ()
    decoder: str = PYAV

    def __post_init__(self) -> None:
        require_decoder(self.decoder)

    @property
    def time_limit(self) -> float:
        """Return the seconds that one clip of a file may take."""
        return CLIP * self.file_seconds

    @property
    def shaping(self) -> dict[str, str]:
        """Return what the ids of trainings and runs owe to this: the decoder, where it is not PyAV."""
        return {} if self.decoder == PYAV else {"decoder": self.decoder}

    def allowed(self, samples: int) -> int:
        """Return how many of `samples` files may fail: the given share, and never fewer than three."""
        return max(3, int(self.max_errors * samples))


@dataclass(frozen=True, slots=True)
class Failure:
    """A clip that could not be loaded, and why; `fault` is what went wrong where that was no fault of its file."""

    request: ClipRequest
    reason: Reason
    message: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class LoadedBatch:
    """The clips of a batch that could be loaded, in the given order, and those that could not.

    `starts` and `ends` are where the loaded clips lie, in seconds; `batch` is None where nothing could be loaded.
    `changes` says how strongly each was perturbed, `frozen` which share of its pictures is frozen, `levels` how loud
    its sound is in dB, and `mixes` how loud beside its loudest channel (nan without any). `same_video` and `same_audio`
    are, for each clip, the first of the batch that holds the same frames or the same sound: a perturbation leaves one
    of them alone. `spent` are the seconds that each file took, of a batch that a worker loaded as a whole.
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
    spent: tuple[tuple[Path, float], ...] = ()


def load_batches(
    batches: Iterable[Sequence[ClipRequest]],
    spec: ClipSpec,
    requires: frozenset[Stream],
    *,
    workers: int,
    time_limit: float = 60.0,
    memory: float = 4.0,
    files: FileTimes | None = None,
    setup: Setup | None = None,
    decoder: str = PYAV,
) -> Generator[LoadedBatch, None, None]:
    """Yield each of `batches` loaded, in order; `batches` is consumed as the workers need it and may be endless.

    A clip, under all conditions that are asked for together, may take `time_limit` seconds and `memory` GiB, and so it
    may where it is tried again; a file at fault fails with `decoder_crash`, `decoder_timeout` or `out_of_memory`.
    `files` notes how long each took and which are not opened again. What is loaded depends neither on `workers` nor on
    faults. With 0 workers all is loaded in this process: simple to debug, but nothing protects it from a decoder that
    crashes or hangs, or takes all memory. `setup` runs first in every worker and registers plugins there (workers are
    forked on Linux and spawned elsewhere). `decoder` decodes the pictures. Closing the generator ends the workers.

    Raises RuntimeError if `setup` fails in a worker, UserError where a plugin does that is asked for a clip.
    """
    load = partial(load_clips, spec=spec, requires=requires, decoder=decoder)
    if workers == 0:
        yield from (_load(tuple(requests), load, 0.0) for requests in batches)
        return
    files = FileTimes(inf) if files is None else files
    crew = [Worker(partial(_load, load=load, memory=memory), time_limit, setup) for _ in range(workers)]
    apart = partial(_load_group, load=load, memory=memory)
    turns: deque[tuple[Worker, Requests]] = deque()  # whose batch comes next
    try:
        for worker, requests in zip(cycle(crew), map(tuple, batches), strict=False):
            worker.ask(_to_be_opened(requests, files))
            turns.append((worker, requests))
            if len(turns) == workers * AHEAD:
                yield _answer(*turns.popleft(), apart, files)
        while turns:
            yield _answer(*turns.popleft(), apart, files)
    finally:
        for worker in crew:
            worker.stop()


def _to_be_opened(requests: Requests, files: FileTimes) -> Requests:
    return tuple(request for request in requests if request.sample.path not in files.given_up)


def _answer(worker: Worker, requests: Requests, apart: Apart, files: FileTimes) -> LoadedBatch:
    """Return the batch that a worker owes, by loading its samples one at a time if the worker fails over it."""
    try:
        loaded = _own_small_tensors(worker.answer())
        for path, seconds in loaded.spent:
            files.count(path, seconds)
    except Fault as fault:
        asked: Requests = worker.restart(partial(_to_be_opened, files=files))
        log.warning("%s; its %d clips are loaded one at a time", fault, len(asked))
        loaded = _assemble(asked, [o for group in _groups(asked) for o in _load_apart(group, apart, worker, files)])
    opened = {r.sample.path for r in loaded.requests} | {f.request.sample.path for f in loaded.failures}
    lost = [_given_up(request, files) for request in requests if request.sample.path not in opened]
    return replace(loaded, failures=(*loaded.failures, *lost)) if lost else loaded


def _given_up(request: ClipRequest, files: FileTimes) -> Failure:
    error = files.given_up[request.sample.path]
    return Failure(request, error.reason, str(error))


def _groups(requests: Requests) -> list[Requests]:
    """Return neighbouring requests for the same clip together: they differ in their condition alone."""
    return [tuple(group) for _, group in groupby(requests, key=lambda request: request.place)]


def _load_apart(requests: Requests, load: Apart, worker: Worker, files: FileTimes) -> list[Clip | Failure]:
    """Load the clips of one place in a process of their own."""
    path = requests[0].sample.path
    if path in files.given_up:
        return [_given_up(request, files) for request in requests]
    apart = worker.fresh(load)
    started = time.monotonic()
    apart.ask(requests)
    try:
        outcomes: list[Clip | Failure] = apart.answer()
        files.count(path, time.monotonic() - started)
        return outcomes
    except Fault as fault:
        late = fault.reason == Reason.DECODER_TIMEOUT
        error = MediaError(fault.reason, f"{path}: {fault}" + late * "; allow more with --file-seconds")
        if late:
            files.give_up(path, error)
        return [Failure(request, error.reason, str(error)) for request in requests]
    finally:
        apart.stop()


def _load(requests: Requests, load: LoadClips, memory: float) -> LoadedBatch:
    outcomes: list[Clip | Failure] = []
    spent: list[tuple[Path, float]] = []
    for group in _groups(requests):
        begin_file()
        started = time.monotonic()
        outcomes += _load_group(group, load, memory)
        spent.append((group[0].sample.path, time.monotonic() - started))
    return replace(_assemble(requests, outcomes), spent=tuple(spent))


def _load_group(requests: Requests, load: LoadClips, memory: float) -> list[Clip | Failure]:
    path = requests[0].sample.path
    try:
        with bounded(memory):
            clips = load(requests)
    except UserError:  # of a plugin: no file's
        raise
    except Exception as error:  # of a plugin, or of a library over a broken file: it costs this clip only
        log.debug("%s", path, exc_info=True)
        found, fault = blamed(error, path)
        return [Failure(request, found.reason, str(found), fault) for request in requests]
    return [
        _failure(request, clip) if isinstance(clip, MediaError) else clip
        for request, clip in zip(requests, clips, strict=True)
    ]


def _failure(request: ClipRequest, error: MediaError) -> Failure:
    found, fault = blamed(error, request.sample.path)
    return Failure(request, found.reason, str(found), fault)


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
