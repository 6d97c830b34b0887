"""Arguments that several commands share: which protocol, in which variant, on which data, and how it is computed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.errors import UserError

if TYPE_CHECKING:
    from avbench.bench.spec import Computing, RunSpec
    from avbench.data.loading import Loading
    from avbench.plugins.registry import Plugins
    from avbench.protocol import Protocol
    from avbench.types import Task


def add_protocol(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose data and a protocol's variant."""
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="ROOT|NAME=PATH",
        help="the folder that holds LAV-DF/ and FakeAVCeleb_v1.2/, or one database; repeatable (default: demo data)",
    )
    parser.add_argument(
        "--allow-demo",
        action="store_true",
        help="let demo data stand in for one database although --data names real data of another",
    )
    parser.add_argument("--fold", default=None, metavar="K|all", help="identity fold of databases without a split")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N samples of each of train, validation, test")
    parser.add_argument(
        "--placement",
        nargs="+",
        metavar="oracle|sliding",
        default=None,
        help="clip placements to report, the headline first: one clip placed by ground truth, or clips over all of it",
    )
    parser.add_argument("--strict-identity", action="store_true", help="drop test fakes that name a training identity")
    parser.add_argument(
        "--trim-silence", action="store_true", help="drop the leading silence of every video, in training and test"
    )
    parser.add_argument("--balanced", action="store_true", help="as many test videos of each class")
    parser.add_argument(
        "--test-on", choices=("test", "all"), default=None, help="judge every sample of the test database"
    )
    parser.add_argument(
        "--select-on",
        choices=("validation", "test"),
        default=None,
        help="test: choose the checkpoint on the test set, to reproduce published numbers; a caveat of the card",
    )


def add_seeds(parser: argparse.ArgumentParser) -> None:
    """Add the argument that chooses seeds."""
    parser.add_argument(
        "--seed",
        nargs="+",
        type=int,
        default=None,
        metavar="N",
        help="one training each (default: 0 1 2 on demo data, 0 on real data)",
    )


def add_computing(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that configure a detector and say how and where it is computed."""
    parser.add_argument("--preset", metavar="NAME", help="default: demo on demo data, official on real data")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change a setting of the detector or its recipe, or threads=N, how many a training computes with "
        "(default: 1); repeatable",
    )
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="judge these weights instead of training")
    parser.add_argument(
        "--from-scratch",
        action="store_true",
        help="start at random what the preset starts from published weights; a caveat of the card",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0,1 (default: auto)")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="decoding processes (default: by cores)")
    parser.add_argument(
        "--decoder",
        choices=("pyav", "decord", "torchcodec"),
        default=None,
        help="what decodes the pictures; all give the same ones (default: pyav, or what the run was made with)",
    )
    parser.add_argument(
        "--max-errors",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="share of files that may fail, never fewer than three files (default: 0.01)",
    )
    add_bounds(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="results folder (default: results/)")
    parser.add_argument("--fresh", action="store_true", help="judge anew; the training of an earlier command is kept")
    parser.add_argument("--fresh-training", action="store_true", help="train and judge anew")
    parser.add_argument(
        "--retry",
        action="store_true",
        help="try every clip without a score again (default: those whose file was missing or took too much)",
    )
    parser.add_argument(
        "--hash-content",
        action="store_true",
        help="tell media files by their content, which reads them all, in place of size and time of change",
    )
    parser.add_argument("--no-mlflow", action="store_true", help="do not log to MLflow")


def add_bounds(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that bound what one media file may take."""
    parser.add_argument(
        "--file-seconds",
        type=float,
        default=300.0,
        metavar="S",
        help="how long a file may keep decoding processes busy in all, and as long again for each 30 s of film that it "
        "holds; one clip may take a fifth (default: 300)",
    )
    parser.add_argument(
        "--file-memory",
        type=float,
        default=4.0,
        metavar="GIB",
        help="GiB of memory that reading a clip of a file may take, on Linux (default: 4; 0: no bound)",
    )


def folds_of(protocol: Protocol, arguments: argparse.Namespace, plugins: Plugins) -> list[Protocol]:
    """Return a protocol in the variant that was asked for, once a fold where --fold all was given."""
    from avbench.data.databases import read_roots
    from avbench.data.lists import fold_count

    varied = vary(protocol, arguments)
    if arguments.fold != "all":
        return [varied]
    count = fold_count(varied, plugins, read_roots(arguments.data), allow_demo=arguments.allow_demo)
    return [replace(varied, fold=fold) for fold in range(1, count + 1)]


def seeds_of(protocol: Protocol, arguments: argparse.Namespace, plugins: Plugins) -> tuple[int, ...]:
    """Return the seeds that were asked for, each once, or those that are usual on the protocol's data."""
    from avbench.bench.seeds import usual_seeds
    from avbench.cli.terminal import bar
    from avbench.data.databases import read_roots

    if arguments.seed is not None:
        return tuple(dict.fromkeys(arguments.seed))
    if arguments.checkpoint is not None:  # what is trained already has no seed to choose
        return (0,)
    return usual_seeds(protocol, plugins, read_roots(arguments.data), bar, allow_demo=arguments.allow_demo)


def jobs_of(arguments: argparse.Namespace, specs: Sequence[RunSpec], backend: str = "loky") -> int:
    """Return how many runs are computed at a time: as --jobs says, or as many as the machine bears and there are."""
    from avbench.bench.backends import jobs_borne
    from avbench.config import threads_of

    if arguments.jobs is not None:
        return int(arguments.jobs)
    return min(jobs_borne(backend, arguments.device, max(threads_of(spec.overrides) for spec in specs)), len(specs))


def spec_of(
    arguments: argparse.Namespace,
    *,
    detector: str,
    protocol: Protocol,
    task: Task,
    seed: int,
    settings: Sequence[str] = (),
) -> RunSpec:
    """Return what the arguments ask for, with `settings` beside those of --set."""
    from avbench.bench.spec import RunSpec
    from avbench.data.databases import read_roots
    from avbench.media.decoders import PYAV

    return RunSpec(
        detector=detector,
        protocol=protocol,
        task=task,
        seed=seed,
        roots=read_roots(arguments.data),
        preset=arguments.preset,
        overrides=(*settings, *arguments.overrides),
        limit=arguments.limit,
        checkpoint=arguments.checkpoint,
        decoder=arguments.decoder or PYAV,
        from_scratch=arguments.from_scratch,
        hash_content=arguments.hash_content,
        allow_demo=arguments.allow_demo,
    )


def computing_of(arguments: argparse.Namespace, plugins: Plugins, *, group: str = "", jobs: int = 1) -> Computing:
    """Return how the arguments say that runs are computed, so many at a time."""
    from avbench.bench.spec import Computing

    return Computing(
        device=arguments.device,
        results=arguments.out,
        fresh=arguments.fresh,
        fresh_training=arguments.fresh_training,
        retry=arguments.retry,
        loading=loading_of(arguments, plugins, jobs),
        group=group,
        mlflow=not arguments.no_mlflow,
    )


def loading_of(arguments: argparse.Namespace, plugins: Plugins, jobs: int = 1) -> Loading:
    """Return how clips are loaded, by default with a process for each of at most eight cores that a run has."""
    from avbench.bench.spec import loading_with

    return loading_with(
        arguments.workers,
        max_errors=arguments.max_errors,
        file_seconds=arguments.file_seconds,
        file_memory=arguments.file_memory,
        plugins=tuple(plugins.named),
        jobs=jobs,
    )


def vary(protocol: Protocol, arguments: argparse.Namespace) -> Protocol:
    """Return a protocol in the variant that the arguments ask for."""
    from avbench.protocol import varied

    return varied(protocol, variant_of(arguments))


def variant_of(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the fields of a protocol that the arguments change; --fold all changes none, see `folds_of`."""
    if arguments.fold not in (None, "all") and not re.fullmatch("[0-9]{1,9}", arguments.fold):
        raise UserError(f"--fold {arguments.fold:.80}: use a number from 1 on, or all")
    asked = {
        "fold": int(arguments.fold) if arguments.fold not in (None, "all") else None,
        "placements": arguments.placement,
        "strict_identity": arguments.strict_identity,
        "trim_silence": arguments.trim_silence,
        "test_distribution": "balanced" if arguments.balanced else None,
        "test_on": arguments.test_on,
        "select_on": arguments.select_on,
    }
    return {name: value for name, value in asked.items() if value is not None and value is not False}
