"""What a run is asked to be, apart from how it is computed."""

from __future__ import annotations

import sys
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from avbench.bench.backends import cores
from avbench.data.loading import Loading
from avbench.errors import UserError, unknown
from avbench.hashing import digest_of
from avbench.media.decoders import PYAV, require_decoder
from avbench.paths import results_folder
from avbench.perturbations.conditions import choose
from avbench.plugins.registry import Plugins
from avbench.protocol import perturbed
from avbench.records.run import Run
from avbench.types import LEVELS, TASKS, Placement, Protocol, Task

MLFLOW = "mlflow"  # the name of the plugin that logs runs there
MAX_WORKERS = 8  # unless more are asked for
MOST_WORKERS = 512
MOST_OF_A_FILE = 1_000_000  # seconds, or GiB
MAX_SEED = 2**32 - 1  # of NumPy's and torch's generators, and of all that are drawn from
PAPER = ("paper",)  # the set of perturbations that the paper sweeps


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One detector under one protocol in one task with one seed: all that shapes the result of a run.

    `detector` is a registered name, `roots` are folders of databases by name (key "": the folder that holds them all),
    `overrides` are `key=value` settings. `limit` bounds the training, validation and test lists, `limit_test` the test
    list alone. `checkpoint` holds the weights to judge in place of a training; `training`, where it is given, is the id
    of the only training that will do. `decoder` decodes the pictures. `from_scratch` starts at random what the preset
    starts from weights. `hash_content` tells media files by their content, in place of size and time of change.
    `allow_demo` lets demo data stand in for one database beside real data of another. Raises UserError for an unknown
    task, a seed or limit out of range, a checkpoint that is not there and a decoder that is not installed.
    """

    detector: str
    protocol: Protocol
    task: Task
    seed: int = 0
    roots: Mapping[str, Path] = field(default_factory=dict)
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    limit: int | None = None
    limit_test: int | None = None
    checkpoint: Path | None = None
    training: str = ""
    decoder: str = PYAV
    from_scratch: bool = False
    hash_content: bool = False
    allow_demo: bool = False

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise unknown("task", self.task, TASKS)
        _require_count("seed", self.seed, least=0, most=MAX_SEED)
        for name in ("limit", "limit_test"):
            if (value := getattr(self, name)) is not None:
                _require_count(name.replace("_", "-"), value, least=1)
        if self.checkpoint is not None and not self.checkpoint.is_file():
            raise UserError(f"--checkpoint {self.checkpoint}: no such file; trainings leave weights.safetensors")
        require_decoder(self.decoder)

    @property
    def fingerprint(self) -> str:
        """Return a hash of everything that is asked for, known before any data are read.

        Equal ones are one run. What a run and its training are called is hashed by `resolve`, once the data are known.
        """
        asked = {f.name: getattr(self, f.name) for f in fields(self)}
        return digest_of(asked | {"protocol": [self.protocol.name, self.protocol.digest()]})

    @property
    def training_group(self) -> Hashable:
        """Return what specs have in common that may need the same training; never finer than a training's id."""
        protocol = self.protocol
        shaping = (protocol.train, protocol.fold, protocol.select_on, protocol.strict_identity and protocol.test)
        return self.detector, self.overrides, self.task, self.seed, shaping


@dataclass(frozen=True, slots=True, kw_only=True)
class Computing:
    """How a run is computed and where it goes; nothing of it changes the scores or the run's id.

    `device` is auto, cpu, cuda, cuda:0 or cuda:0,1; `results` the folder of runs/ and trainings/ (default: see
    `avbench.paths`). `fresh` forgets the run that an earlier call left, `fresh_training` its training too; what was
    computed after `since` (seconds since 1970) is of this call. `retry` tries every clip again that has no score, else
    those are whose reason may have passed. Runs of one `group` are shown together in MLflow, which logs a run unless
    `mlflow` is False.
    """

    device: str = "auto"
    results: Path | None = None
    fresh: bool = False
    fresh_training: bool = False
    retry: bool = False
    since: float = field(default_factory=time.time, compare=False)
    loading: Loading = Loading()
    group: str = ""
    mlflow: bool = True

    @property
    def anew(self) -> bool:
        """Whether a run that an earlier call left is forgotten: a new training makes a new run."""
        return self.fresh or self.fresh_training

    @property
    def results_folder(self) -> Path:
        """Return the folder that holds runs/ and trainings/."""
        return self.results or results_folder()

    @property
    def silenced(self) -> frozenset[str]:
        """Return the names of the plugins that are told nothing of the run."""
        return frozenset() if self.mlflow else frozenset({MLFLOW})


def _require_count(option: str, value: object, *, least: int, most: int = sys.maxsize) -> None:
    """Raise UserError for what is no whole number from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        bounds = f"{least} or more" if most == sys.maxsize else f"{least} to {most}"
        raise UserError(f"--{option} {value!s:.40}: use a whole number, {bounds}")


def loading_with(
    workers: int | None = None,
    *,
    max_errors: float = Loading().max_errors,
    file_seconds: float = Loading().file_seconds,
    file_memory: float = Loading().file_memory,
    plugins: tuple[str, ...] = (),
    jobs: int = 1,
) -> Loading:
    """Return how clips are loaded: by so many processes, by default one for each of at most eight cores.

    `max_errors` is the share of files that may fail, `file_seconds` and `file_memory` (GiB) bound what one may take,
    `plugins` is what the processes register; `jobs` runs share the cores. Raises UserError for a number of processes
    that cannot be, a share outside 0 to 1, and bounds that are none; 0 processes decode in this one.
    """
    if workers is None:
        workers = max(1, min(cores() // jobs, MAX_WORKERS))
    _require_count("workers", workers, least=0, most=MOST_WORKERS)
    if not isinstance(max_errors, int | float) or not 0 <= max_errors <= 1:  # nan is neither
        raise UserError(f"--max-errors {max_errors!s:.40}: use a share of files, 0 to 1")
    for option, bound, least in (("file-seconds", file_seconds, 1), ("file-memory", file_memory, 0)):
        if not isinstance(bound, int | float) or not least <= bound <= MOST_OF_A_FILE:
            raise UserError(f"--{option} {bound!s:.40}: use a number from {least} to {MOST_OF_A_FILE:,}")
    return Loading(workers, file_seconds, file_memory, max_errors, plugins)


def of_run(run: Run, roots: Mapping[str, Path], limit_test: int | None = None) -> RunSpec:
    """Return the spec of a finished run, which needs that run's training and no other.

    `roots` stand in for those that the run was made with, by name; `limit_test` bounds its test list. Raises UserError
    for a run that is not finished, and for a card that does not say how it was made, such as that of imported scores.
    """
    run.require_finished()
    card, asked = run.card, run.card.request
    if asked is None:
        raise UserError(f"{card.id} does not say how it was made; run it again by avbench run")
    return RunSpec(
        detector=card.detector.name,
        protocol=card.protocol.protocol(),
        task=card.benchmark_task(),
        seed=card.seed,
        roots={name: Path(root) for name, root in asked.data.items()} | dict(roots),
        preset=asked.preset,
        overrides=asked.overrides,
        limit=asked.limit,
        limit_test=limit_test,  # the training stays as it was
        checkpoint=Path(asked.checkpoint) if asked.checkpoint else None,
        training=card.training.id,
        decoder=asked.decoder,
        from_scratch=asked.from_scratch,
        hash_content=asked.hash_content,
        allow_demo=True,  # the run was made on them
    )


def swept(
    spec: RunSpec,
    plugins: Plugins,
    *,
    types: Sequence[str] = PAPER,
    levels: Sequence[int] = LEVELS,
    placements: Sequence[Placement] = (),
) -> RunSpec:
    """Return a spec with its test videos perturbed by `types` (names or sets of them) at `levels` 0 to 5.

    `placements` (default: those of the spec) place the clips. Raises UserError for unknown types and levels, and where
    nothing would be perturbed.
    """
    if not any(choose(types, levels, plugins.perturbations())):
        raise UserError("--levels 0 alone perturbs nothing; name at least one level from 1 to 5")
    protocol = replace(spec.protocol, placements=tuple(placements) or spec.protocol.placements)
    return replace(spec, protocol=perturbed(protocol, types, levels))
