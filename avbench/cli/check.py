"""`avbench check`: does a plugin keep its contract, and does a detector learn?"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from avbench.cli.terminal import bar, say
from avbench.errors import UserError

if TYPE_CHECKING:
    from avbench.bench.contract import Result
    from avbench.plugins.registry import Plugins
    from avbench.types import DetectorSpec, Protocol

EXAMPLES = """examples:
  avbench check fauforensics
  avbench check --plugin mine.py mine
  avbench check fauforensics --learns
  avbench check --plugin mine.py mine --learns --protocol within_lavdf --seed 0 1 2
  avbench check lavdf --data /databases
  avbench check auc gaussian_blur within_lavdf protocols/mine.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="detectors, datasets, metrics, perturbations, protocols (or a protocol's FILE.yaml)",
    )
    parser.add_argument("--preset", help="preset of a detector (default: its smallest)")
    parser.add_argument("--data", action="append", default=[], metavar="ROOT|NAME=PATH", help="where databases are")
    learning = parser.add_argument_group("does a detector learn?")
    learning.add_argument(
        "--learns", action="store_true", help="train detectors too, on demo data: a test AUC at chance breaks a promise"
    )
    learning.add_argument(
        "--protocol", nargs="+", default=[], metavar="NAME", help="what to learn (default: within each demo database)"
    )
    learning.add_argument("--seed", nargs="+", type=int, default=[], metavar="N", help="one training each (default: 0)")
    learning.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0,1 (default: auto)")
    learning.add_argument("--workers", type=int, metavar="N", help="decoding processes (default: by cores)")
    learning.add_argument("--out", type=Path, metavar="DIR", help="keep the runs here and take up those that are here")


def execute(arguments: argparse.Namespace) -> int:
    """Check each name; exit code 1 where a promise is broken."""
    from avbench.plugins.registry import installed

    plugins, broken = installed(), 0
    given = [f"--{name}" for name in ("protocol", "seed", "out") if getattr(arguments, name)]
    if given and not arguments.learns:
        raise UserError(f"{' and '.join(given)}: what a detector is to learn; add --learns")
    if arguments.learns:
        for name in arguments.names:
            plugins.detector(name)  # nothing else learns
    for name in arguments.names:
        for kind, results in _checks(name, arguments, plugins):
            say(f"{kind} {name}:")
            for result in results:
                broken += not result.kept
                detail = f": {result.detail}" if result.detail else ""
                say(f"  {'ok    ' if result.kept else 'BROKEN'} {result.promise}{detail}")
    say(f"{broken} promises broken" if broken else "all promises kept")
    return 1 if broken else 0


def _checks(name: str, arguments: argparse.Namespace, plugins: Plugins) -> Iterator[tuple[str, Iterable[Result]]]:
    """Yield the kind and the results of everything that is called so; UserError where nothing is."""
    from avbench.bench import contract
    from avbench.data.databases import locate, read_roots
    from avbench.plugins.registry import unregistered

    detectors, datasets, metrics = plugins.detectors(), plugins.datasets(), plugins.metrics()
    perturbations, protocols = plugins.perturbations(), _protocols(name, plugins)
    if name in detectors and detectors[name].members:
        yield "ensemble", contract.check_ensemble(detectors[name], detectors)
    elif name in detectors:
        yield "detector", contract.check_detector(detectors[name], arguments.preset)
    if arguments.learns:
        yield "trained", _learning(detectors[name], arguments, plugins)
    if name in datasets:
        yield "dataset", contract.check_dataset(locate(datasets[name], read_roots(arguments.data), datasets))
    if name in metrics:
        yield "metric", contract.check_metric(metrics[name])
    if name in perturbations:
        yield "perturbation", contract.check_perturbation(perturbations[name], perturbations)
    if name in protocols:
        yield "protocol", contract.check_protocol(protocols[name], datasets, perturbations)
    known = [*detectors, *datasets, *metrics, *perturbations, *protocols]
    if name not in known:
        raise unregistered("detector, dataset, metric, perturbation or protocol", name, known)


def _learning(spec: DetectorSpec, arguments: argparse.Namespace, plugins: Plugins) -> Iterator[Result]:
    """Train a detector; in a scratch folder unless one is named, since a plugin's code is not in a run's hash."""
    from avbench.bench.contract import Lesson, check_learning
    from avbench.bench.spec import Computing, loading_with
    from avbench.data.databases import read_roots

    lesson = Lesson(
        protocols=tuple(arguments.protocol),
        seeds=tuple(arguments.seed) or (0,),
        preset=arguments.preset,
        roots=read_roots(arguments.data),
    )
    with TemporaryDirectory(prefix="avbench-check-") as scratch:
        computing = Computing(
            device=arguments.device,
            results=arguments.out or Path(scratch),
            loading=loading_with(arguments.workers, plugins=tuple(plugins.named)),
            mlflow=False,
        )
        yield from check_learning(spec, plugins, lesson, computing=computing, progress=bar)


def _protocols(name: str, plugins: Plugins) -> dict[str, Protocol]:
    """Return the protocols by name, or that of a file by the file's."""
    from avbench.protocol import SUFFIXES

    if name.endswith(SUFFIXES):
        return {name: plugins.protocol(name)}
    return plugins.protocols()
