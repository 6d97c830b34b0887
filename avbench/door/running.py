"""Runs, sweeps of perturbations, and many runs at once, from Python."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avbench.bench.matrix import Outcome, fitting, run_matrix
from avbench.bench.run import run as compute
from avbench.bench.seeds import usual_seeds
from avbench.bench.spec import PAPER, Computing, RunSpec, loading_with, of_run, swept
from avbench.data.lists import Say
from avbench.door.asking import Asked, Data, detector_named, overrides_of, protocol_of, roots_of
from avbench.door.reading import run_of
from avbench.errors import UserError, unknown
from avbench.media.decoders import PYAV
from avbench.plugins.registry import installed
from avbench.progress import Progress, silent
from avbench.protocol import placement_called
from avbench.records.run import Run
from avbench.types import LEVELS, TASKS, Placement, Protocol, Setting, Task

log = logging.getLogger("avbench")


def run(
    detector: Asked,
    protocol: str | Path | Protocol,
    *,
    task: Task | None = None,
    seed: int = 0,
    data: Data = None,
    settings: Mapping[str, Setting] | None = None,
    preset: str | None = None,
    variant: Mapping[str, Any] | None = None,
    limit: int | None = None,
    checkpoint: str | Path | None = None,
    decoder: str = PYAV,
    from_scratch: bool = False,
    hash_content: bool = False,
    allow_demo: bool = False,
    device: str = "auto",
    workers: int | None = None,
    max_errors: float = 0.01,
    file_seconds: float = 300.0,
    file_memory: float = 4.0,
    results: str | Path | None = None,
    fresh: bool = False,
    fresh_training: bool = False,
    retry: bool = False,
    mlflow: bool = True,
    group: str = "",
    say: Say = log.info,
    progress: Progress = silent,
) -> Run:
    """Train a detector, judge it under a protocol, and return the run, as `avbench run` does.

    A call that was made before returns the run that is finished, or continues one that was interrupted. One task and
    one seed make one run; several are several calls, which share what they can. Example, on rendered demo data:

        >>> import avbench
        >>> run = avbench.run("fauforensics", "within_fakeav", task="binary", settings={"epochs": 1})
        >>> run.metrics.query("metric == 'auc'")[["placement", "granularity", "value", "low", "high", "n"]]
        >>> run.scores[["id", "forgery", "score", "reason"]]

    Args:
        detector: The name of a registered detector, see `avbench ls detectors`; or a `DetectorSpec`; or a subclass of
            `Detector`. The latter two are registered for this process. A class gets the spec of `spec_of`: its name in
            small letters (`MyNet` is `my_net`), both tasks, the default preset, and as version a hash of its source.
            Part of the training's id is also the code of its file, and of the files of yours that this one imports:
            whatever was changed there is trained anew; in a notebook, that is the class alone. Processes that decode
            do not need it; those of `matrix(jobs=2)` import it anew.
        protocol: A name, see `avbench ls protocols`; a `Protocol`; or the path of its YAML file.
        task: "binary" or "four_class" (default: the first that the detector does).
        seed: Of weights, order and augmentation; 0 or more. One, also on demo data, where `avbench run` takes three.
        data: The folder that holds the databases; or the folder of each by its name, {"lavdf": PATH}. Default: demo
            data, whose runs say so.
        settings: Settings of the detector and of its recipe by name, such as {"epochs": 5, "clip.size": 112}; or of all
            detectors: {"threads": 8}.
        preset: Of the detector (default: "demo" on demo data where there is one, else the official one).
        variant: Fields of the protocol to change: placements, fold, select_on, strict_identity, test_on,
            test_distribution, trim_silence.
        limit: At most so many samples of each of training, validation and test list, drawn by seed.
        checkpoint: A file of weights to judge in place of a training.
        decoder: Of the pictures: pyav, decord or torchcodec.
        from_scratch: Start at random what the preset starts from published weights; the card tells.
        hash_content: Tell media files by their content, in place of size and time of change.
        allow_demo: Let demo data stand in for one database although `data` names real data of another.
        device: auto, cpu, cuda, cuda:0 or cuda:0,1.
        workers: Processes that decode (default: one a core, at most 8); 0 decodes in this one.
        max_errors: The share of files that may fail.
        file_seconds: How long a file may keep decoding processes busy in all, and as long again for each 30 s of film
            that it holds; one clip may take a fifth.
        file_memory: GiB that reading a clip of a file may take, on Linux; 0 is no bound.
        results: The folder of runs/ and trainings/ (default: $AVBENCH_RESULTS or results).
        fresh: Judge anew; the training that an earlier call left is kept.
        fresh_training: Train and judge anew.
        retry: Try every clip without a score again; else those whose file was missing or took too much.
        mlflow: Whether the run is logged to MLflow; AVBENCH_MLFLOW=off in the environment switches that off for all.
        group: What MLflow shows the run under.
        say: Called with each line of news (default: the logger "avbench").
        progress: Shows how far the work is, see `avbench.progress` (default: silent).

    Returns:
        The finished run: `card`, `folder`, and the tables `scores`, `metrics` and `confusion`.

    Raises:
        UserError: For whatever the caller can mend, in one line: an unknown name with the closest one, data that are
            not there, published weights that are not, identities shared by training and test, too many files that
            cannot be read.
    """
    plugins = installed()
    name = detector_named(detector, plugins)
    spec = RunSpec(
        detector=name,
        protocol=protocol_of(protocol, plugins, variant),
        task=task or plugins.detector(name).tasks[0],
        seed=seed,
        roots=roots_of(data),
        preset=preset,
        overrides=overrides_of(settings),
        limit=limit,
        checkpoint=Path(checkpoint) if checkpoint is not None else None,
        decoder=decoder,
        from_scratch=from_scratch,
        hash_content=hash_content,
        allow_demo=allow_demo,
    )
    computing = Computing(
        device=device,
        results=Path(results) if results is not None else None,
        fresh=fresh,
        fresh_training=fresh_training,
        retry=retry,
        loading=loading_with(
            workers,
            max_errors=max_errors,
            file_seconds=file_seconds,
            file_memory=file_memory,
            plugins=tuple(plugins.named),
        ),
        group=group,
        mlflow=mlflow,
    )
    return compute(spec, plugins, computing=computing, progress=progress, say=say)


def perturb(
    run: Run | str | Path,
    *,
    types: Sequence[str] = PAPER,
    levels: Sequence[int] = LEVELS,
    placements: Sequence[Placement] = (),
    data: Data = None,
    limit: int | None = None,
    device: str = "auto",
    workers: int | None = None,
    max_errors: float = 0.01,
    file_seconds: float = 300.0,
    file_memory: float = 4.0,
    results: str | Path | None = None,
    fresh: bool = False,
    fresh_training: bool = False,
    retry: bool = False,
    mlflow: bool = True,
    say: Say = log.info,
    progress: Progress = silent,
) -> Run:
    """Judge a finished run's detector again as its test videos are perturbed, as `avbench perturb --run` does.

    The training of the run is used again. The new run's `scores` have a row for each clip and condition, with
    `perturbation` and `level`; its `metrics` are of the videos as they are, and `card.perturbations` tells what became
    of them. Example:

        >>> swept = avbench.perturb(run, types=["jpeg", "white_noise"], levels=[0, 3, 5])
        >>> swept.scores.groupby(["perturbation", "level"])["score"].mean()

    Args:
        run: A finished run, its folder, its id or the beginning of one.
        types: Names of perturbations or sets of them, see `avbench ls perturbations`.
        levels: 0 (the video as it is) to 5 (the strongest).
        placements: "oracle", "sliding" or both (default: those of the run).
        data: Where the data lie now (default: where they were).
        limit: At most so many test videos.
        device: As of `run`, like everything below.
        workers: Processes that decode.
        max_errors: The share of files that may fail.
        file_seconds: How long a file may keep decoding processes busy in all, and as long again for each 30 s of film
            that it holds; one clip may take a fifth.
        file_memory: GiB that reading a clip of a file may take, on Linux; 0 is no bound.
        results: The folder of runs/ and trainings/ (default: that of the run).
        fresh: Judge anew; the training that an earlier call left is kept.
        fresh_training: Train and judge anew.
        retry: Try every clip without a score again; else those whose file was missing or took too much.
        mlflow: Whether the run is logged to MLflow.
        say: Called with each line of news.
        progress: Shows how far the work is.

    Raises:
        UserError: For a run that is not finished or does not say how it was made, for unknown types and levels, and
            where data or plugin are not those of the training any more.
    """
    plugins = installed()
    found = run_of(run, results)
    spec = swept(
        of_run(found, roots_of(data), limit),
        plugins,
        types=types,
        levels=levels,
        placements=[placement_called(name) for name in placements],
    )
    computing = Computing(
        device=device,
        results=Path(results) if results is not None else found.results_folder,
        fresh=fresh,
        fresh_training=fresh_training,
        retry=retry,
        loading=loading_with(
            workers,
            max_errors=max_errors,
            file_seconds=file_seconds,
            file_memory=file_memory,
            plugins=tuple(plugins.named),
        ),
        mlflow=mlflow,
    )
    return compute(spec, plugins, computing=computing, progress=progress, say=say)


def matrix(
    detectors: Sequence[Asked],
    protocols: Sequence[str | Path | Protocol],
    *,
    tasks: Sequence[Task] | None = None,
    seeds: Sequence[int] | None = None,
    data: Data = None,
    settings: Mapping[str, Setting] | None = None,
    preset: str | None = None,
    variant: Mapping[str, Any] | None = None,
    limit: int | None = None,
    jobs: int = 1,
    backend: str = "loky",
    slurm: Mapping[str, str | int] | None = None,
    decoder: str = PYAV,
    from_scratch: bool = False,
    hash_content: bool = False,
    allow_demo: bool = False,
    device: str = "auto",
    workers: int | None = None,
    max_errors: float = 0.01,
    file_seconds: float = 300.0,
    file_memory: float = 4.0,
    results: str | Path | None = None,
    fresh: bool = False,
    fresh_training: bool = False,
    retry: bool = False,
    mlflow: bool = True,
    progress: Progress = silent,
) -> list[Outcome]:
    """Run every detector under every protocol in every task with every seed, as `avbench matrix` does.

    What several need is trained once, what is finished is found again, and what fails stops nothing else. Example:

        >>> outcomes = avbench.matrix(["fauforensics", "chance"], ["within_fakeav"], tasks=["binary"], seeds=[0, 1])
        >>> [outcome.run.metrics for outcome in outcomes if outcome.run is not None]
        >>> [(outcome.spec.detector, outcome.reason) for outcome in outcomes if outcome.run is None]

    Args:
        detectors: As of `run`. Those of `jobs` processes must be importable there: no class of the running program.
        protocols: As of `run`.
        tasks: "binary", "four_class" or both (default: all that a detector does).
        seeds: One training each (default: 0, 1 and 2 on demo data, 0 on real data).
        data: As of `run`, like all that is not listed here.
        settings: Of every detector.
        preset: Of every detector that has several.
        variant: Of every protocol.
        limit: At most so many samples of each list.
        jobs: How many runs are computed at a time, each by a process of its own; 1 computes in this one.
        backend: loky; or ray, dask or slurm, on a cluster.
        slurm: What each job of Slurm asks for, such as {"partition": "gpu", "time": 600}.
        decoder: Of the pictures: pyav, decord or torchcodec.
        from_scratch: Start at random what the presets start from published weights; the cards tell.
        hash_content: As of `run`.
        allow_demo: As of `run`.
        device: As of `run`; with several jobs and GPUs, auto deals them out.
        workers: Processes that decode, of each run.
        max_errors: The share of files that may fail.
        file_seconds: How long a file may keep decoding processes busy in all, and as long again for each 30 s of film
            that it holds; one clip may take a fifth.
        file_memory: GiB that reading a clip of a file may take, on Linux; 0 is no bound.
        results: The folder of runs/ and trainings/.
        fresh: Judge anew; the training that an earlier call left is kept.
        fresh_training: Train and judge anew.
        retry: Try every clip without a score again; else those whose file was missing or took too much.
        mlflow: Whether the runs are logged to MLflow, by this process.
        progress: Shows how far the work is, with one job.

    Returns:
        What became of each, in the order in which they ended: `outcome.run`, or None and the `outcome.reason` why.

    Raises:
        UserError: For unknown names, a backend that is not there, and where there is nothing to compute.
    """
    plugins = installed()
    if strange := [task for task in tasks or () if task not in TASKS]:
        raise unknown("task", strange[0], TASKS)
    names = list(dict.fromkeys(detector_named(detector, plugins) for detector in detectors))
    found = [protocol_of(protocol, plugins, variant) for protocol in protocols]
    usual = {
        one.name: usual_seeds(one, plugins, roots_of(data), progress, allow_demo=allow_demo)
        for one in (found if seeds is None else ())
    }
    specs = [
        RunSpec(
            detector=name,
            protocol=protocol,
            task=task,
            seed=seed,
            roots=roots_of(data),
            preset=preset,
            overrides=overrides_of(settings),
            limit=limit,
            decoder=decoder,
            from_scratch=from_scratch,
            hash_content=hash_content,
            allow_demo=allow_demo,
        )
        for name in names
        for protocol in found
        for task in plugins.detector(name).tasks
        if tasks is None or task in tasks
        for seed in (usual[protocol.name] if seeds is None else dict.fromkeys(seeds))
    ]
    if not specs:
        raise UserError("nothing to compute: none of these detectors does that task; see avbench ls detectors")
    computing = Computing(
        device=device,
        results=Path(results) if results is not None else None,
        fresh=fresh,
        fresh_training=fresh_training,
        retry=retry,
        loading=loading_with(
            workers,
            max_errors=max_errors,
            file_seconds=file_seconds,
            file_memory=file_memory,
            plugins=tuple(plugins.named),
        ),
        group="matrix-" + "-".join([*names, *(protocol.name for protocol in found)]),
        mlflow=mlflow,
    )
    chosen = {spec.fingerprint: spec for spec in (fitting(one, plugins) for one in specs)}
    return run_matrix(
        list(chosen.values()),
        plugins,
        computing=computing,
        jobs=jobs,
        backend=backend,
        slurm=slurm,
        progress=progress,
    )
