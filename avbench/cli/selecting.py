"""Arguments that several commands share: which protocol, in which variant, on which data, and how it is computed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.errors import UserError

if TYPE_CHECKING:
    from avbench.bench.cell import Cell
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
        help="test: choose the checkpoint on the test set, to reproduce published numbers; marks the card",
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
        help="change a setting of the detector or its recipe; repeatable",
    )
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="judge these weights instead of training")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0,1 (default: auto)")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="decoding processes (default: by cores)")
    parser.add_argument(
        "--max-errors",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="share of files that may fail, never fewer than three files (default: 0.01)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="results folder (default: results/)")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier such command left")
    parser.add_argument("--no-mlflow", action="store_true", help="do not log to MLflow")


def check_computing(arguments: argparse.Namespace) -> None:
    """Raise UserError for values that nothing can be computed with."""
    if arguments.checkpoint is not None and not arguments.checkpoint.is_file():
        raise UserError(f"--checkpoint {arguments.checkpoint}: no such file; trainings leave weights.safetensors")
    if min(arguments.seed) < 0:
        raise UserError(f"--seed {min(arguments.seed)}: seeds are 0 or more")
    if arguments.workers is not None and arguments.workers < 0:
        raise UserError(f"--workers {arguments.workers}: use 0 (decode in this process) or more")


def folds_of(protocol: Protocol, arguments: argparse.Namespace, plugins: Plugins) -> list[Protocol]:
    """Return a protocol in the variant that was asked for, once a fold where --fold all was given."""
    from avbench.data.databases import read_roots
    from avbench.data.lists import fold_count

    varied = vary(protocol, arguments)
    if arguments.fold != "all":
        return [varied]
    count = fold_count(varied, plugins, read_roots(arguments.data))
    return [replace(varied, fold=fold) for fold in range(1, count + 1)]


def cell_of(
    arguments: argparse.Namespace,
    plugins: Plugins,
    detector: str,
    protocol: Protocol,
    task: Task,
    seed: int,
    settings: Sequence[str] = (),
) -> Cell:
    """Return a cell computed as the arguments say, with `settings` beside those of --set."""
    from avbench.bench.cell import Cell
    from avbench.data.databases import read_roots

    return Cell(
        detector,
        protocol,
        task,
        seed,
        read_roots(arguments.data),
        arguments.preset,
        (*settings, *arguments.overrides),
        arguments.limit,
        arguments.device,
        arguments.out,
        arguments.fresh,
        arguments.checkpoint,
        loading_of(arguments, plugins),
    )


def loading_of(arguments: argparse.Namespace, plugins: Plugins) -> Loading:
    """Return how clips are loaded, by default with a process for each of at most eight cores."""
    from avbench.data.loading import Loading

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = arguments.workers if arguments.workers is not None else max(1, min(cores, 8))
    return Loading(workers, max_errors=arguments.max_errors, plugins=tuple(plugins.named))


def find_protocol(name: str, plugins: Plugins) -> Protocol:
    """Return a protocol by name."""
    from avbench.plugins.registry import pick
    from avbench.protocol import Protocol, known

    declared = plugins.collect("avbench_protocols", Protocol)
    return pick("protocol", name, known(plugins.datasets(), declared.values()))


def vary(protocol: Protocol, arguments: argparse.Namespace) -> Protocol:
    """Apply the command line's variant of a protocol."""
    from avbench.protocol import placement_called

    changes: dict[str, object] = {}
    if arguments.fold not in (None, "all"):
        if not arguments.fold.isdigit():
            raise UserError(f"--fold {arguments.fold}: use a number or all")
        changes["fold"] = int(arguments.fold)
    if arguments.placement:
        changes["placements"] = tuple(dict.fromkeys(map(placement_called, arguments.placement)))
    if arguments.strict_identity:
        changes["strict_identity"] = True
    if arguments.trim_silence:
        changes["trim_silence"] = True
    if arguments.balanced:
        changes["test_distribution"] = "balanced"
    if arguments.test_on:
        changes["test_on"] = arguments.test_on
    if arguments.select_on:
        changes["select_on"] = arguments.select_on
    return replace(protocol, **changes)  # type: ignore[arg-type]


def run_folders(names: list[str], runs: Path) -> list[Path]:
    """Return the folders of the named runs (ids, beginnings of ids, folders), or of all there are."""
    there = sorted(path.parent for path in runs.glob("*/card.json"))
    if not there and not names:
        raise UserError(f"no run in {runs}; avbench run makes one")
    folders: list[Path] = []
    for name in names:
        matching = (
            [Path(name)] if (Path(name) / "card.json").is_file() else [p for p in there if p.name.startswith(name)]
        )
        if not matching:
            raise UserError(f"no run called {name!r} in {runs}; avbench report lists those there are")
        folders += matching
    return folders or there
