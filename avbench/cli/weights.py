"""`avbench weights`: what detectors start from, what of it is here, and what a file is; downloads when told to."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.cli.terminal import bar, say
from avbench.errors import UserError, unknown

if TYPE_CHECKING:
    from avbench.config import Config
    from avbench.plugins.registry import Plugins
    from avbench.plugins.weights import Start
    from avbench.types import DetectorSpec, WeightSpec

EXAMPLES = """examples:
  avbench weights
  avbench weights --for fauforensics --preset paper
  avbench weights fetch --for fauforensics
  avbench weights fetch whisper-base
  avbench weights check FILE --for fauforensics
  avbench weights list

Presets are those of real data unless --preset names one. Nothing is downloaded but by fetch.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=("needs", "list", "fetch", "check"),
        default="needs",
        help="needs (default): what each detector needs and what is here; list: every file that is known; "
        "fetch: download; check: what a file is and what it fits",
    )
    parser.add_argument("names", nargs="*", metavar="NAME|FILE", help="weights to fetch, or the file to check")
    parser.add_argument("--for", dest="network", metavar="NAME", help="a detector, an ensemble or a pre-training")
    parser.add_argument("--preset", metavar="NAME", help="default: that of real data")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="as of avbench run"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Show, list, fetch or check."""
    from avbench.plugins.registry import installed

    plugins = installed()
    if arguments.network is None and (arguments.preset or arguments.overrides):
        raise UserError("--preset and --set: of which network? name it by --for")
    if arguments.names and arguments.action in ("needs", "list"):
        raise UserError(f"avbench weights {arguments.action} takes no names; fetch them, or see --for NAME")
    if arguments.action == "list":
        return _list(_published(_networks(arguments, plugins)))
    if arguments.action == "check":
        return _check(arguments, plugins)
    if arguments.action == "fetch":
        if bool(arguments.names) == bool(arguments.network):
            raise UserError("avbench weights fetch: name weights (see avbench weights list), or --for DETECTOR")
        return _fetch_named(arguments.names, plugins) if arguments.names else _fetch_needed(arguments, plugins)
    return _needs(arguments, plugins)


def _networks(arguments: argparse.Namespace, plugins: Plugins) -> list[DetectorSpec]:
    """Return what has weights: everything installed, or what is asked for, the members in place of an ensemble."""
    from avbench.plugins.registry import unregistered

    detectors = plugins.detectors()
    others = {name: spec.network for name, spec in plugins.pretrainings().items()}
    if arguments.network is None:
        return [spec for spec in (*detectors.values(), *others.values()) if not spec.members]
    known = others | detectors
    if arguments.network not in known:
        raise unregistered("detector or pre-training", arguments.network, known)
    spec = known[arguments.network]
    if spec.members and arguments.overrides:
        raise UserError(f"--set: {spec.name} is made of {' and '.join(spec.members)}; name one of them by --for")
    return [plugins.detector(name) for name in spec.members] if spec.members else [spec]


def _config(spec: DetectorSpec, arguments: argparse.Namespace) -> Config:
    from avbench.config import resolve

    preset = arguments.preset if len(spec.presets) > 1 else None
    return resolve(spec, spec.tasks[0], preset=preset, overrides=arguments.overrides)


def _published(networks: Iterable[DetectorSpec]) -> dict[str, tuple[list[str], WeightSpec]]:
    """Return published weights by name, each with the networks that can start from them."""
    found: dict[str, tuple[list[str], WeightSpec]] = {}
    for spec in networks:
        for weights in spec.weights:
            found.setdefault(weights.name, ([], weights))[0].append(f"{spec.name} {weights.setting}")
    return found


def _list(known: dict[str, tuple[list[str], WeightSpec]]) -> int:
    from tabulate import tabulate

    from avbench.plugins.weight_files import cached

    rows = [
        [
            weights.name,
            "\n".join(users),
            weights.title,
            weights.licence,
            weights.sha256[:16] or "not published",
            "shipped" if weights.shipped else "here" if cached(weights) else "no",
            weights.url,
        ]
        for users, weights in known.values()
    ]
    say(tabulate(rows, ["name", "of setting", "what", "licence", "sha256", "here", "from"]))
    return 0


def _needs(arguments: argparse.Namespace, plugins: Plugins) -> int:
    """Show what each network needs, which file it would start from, and what is missing."""
    from tabulate import tabulate

    from avbench.plugins.weights import starts

    rows = []
    for spec in _networks(arguments, plugins):
        config = _config(spec, arguments)
        parts = starts(spec, config)
        shown = f"{spec.name}, {config.preset}"
        rows += [[shown, *row] for row in map(_row, parts)] or [[shown, "-", "nothing: trains from scratch", ""]]
    say(tabulate(rows, ["network, preset", "part", "needs", "found"]))
    if any(row[3].startswith("missing") for row in rows):
        say("\navbench weights fetch --for NAME gets what is missing, or says how; --from-scratch does without")
    return 0


def _row(start: Start) -> list[str]:
    from avbench.hashing import sha256
    from avbench.plugins.weight_files import recorded

    if not start.needed:
        return [start.part, "nothing: random by design", ""]
    needs = "\nor ".join(weights.name for weights in start.candidates) or f"--set {start.setting}=FILE"
    if start.value == "random":
        return [start.part, "nothing: random, as asked for", "random"]
    if start.found is None:
        return [start.part, needs, "missing"]
    path, _ = start.found
    return [start.part, needs, f"{path}\nsha256 {recorded(path) or sha256(path)}"]


def _fetch_named(names: Sequence[str], plugins: Plugins) -> int:
    from avbench.plugins.weight_files import fetch

    nobody = argparse.Namespace(network=None)
    known = _published(_networks(nobody, plugins))
    for name in names:
        if name not in known:
            raise unknown("weights", name, known)
    for name in names:
        users, weights = known[name]
        if weights.shipped:
            say(f"{name} ships with its plugin: {fetch(weights)}")
            continue
        _download(weights)
        say(f"{name}: for {', '.join(users)}")
    return 0


def _fetch_needed(arguments: argparse.Namespace, plugins: Plugins) -> int:
    """Show all that is needed with sizes and licences, download what can be; 1 where something stays missing."""
    from tabulate import tabulate

    from avbench.plugins.weight_files import size_of
    from avbench.plugins.weights import starts

    missing: list[Start] = []
    rows = []
    for spec in _networks(arguments, plugins):
        for start in starts(spec, _config(spec, arguments)):
            if not start.needed or start.value == "random":
                continue
            missing += [start] if start.found is None else []
            here = start.found[1] if start.found is not None else None
            for number, weights in enumerate(start.candidates):
                size = size_of(weights)
                state = "here" if here is weights else "" if start.found is None else "not needed"
                by_hand = "" if weights.scripted else ", by hand"
                rows.append(
                    [
                        spec.name,
                        start.part,
                        ("or " if number else "") + weights.name + by_hand,
                        f"{size / 2**20:,.1f} MiB" if size else "unknown",
                        weights.licence,
                        state,
                    ]
                )
            if not start.candidates:
                rows.append([spec.name, start.part, f"none published fits: --set {start.setting}=FILE", "", "", ""])
    if not rows:
        say(f"{arguments.network} needs no published weights")
        return 0
    say(tabulate(rows, ["network", "part", "weights", "size", "licence", "state"]) + "\n")
    failed = False
    for start in missing:
        scripted = [weights for weights in start.candidates if weights.scripted]
        if scripted and any(map(_downloaded, scripted)):
            continue
        failed = True
        if not scripted:
            say(f"{start.part}, {' or '.join(w.name for w in start.candidates) or 'no published weights'}:")
            for line in _by_hand(start):
                say(f"  {line}")
    return int(failed)


def _by_hand(start: Start) -> Iterator[str]:
    from avbench.plugins.weight_files import for_the_hand

    if not start.candidates:
        yield f"give a file by --set {start.setting}=FILE"
    for number, weights in enumerate(start.candidates):
        for line in for_the_hand(weights):
            yield ("or " if number and line.startswith(weights.name) else "") + line


def _downloaded(weights: WeightSpec) -> bool:
    """Download weights, or say why that failed: what else is needed is still to be fetched."""
    try:
        _download(weights)
    except UserError as error:
        say(f"failed: {error}")
        return False
    return True


def _download(weights: WeightSpec) -> None:
    from avbench.hashing import sha256
    from avbench.plugins.weight_files import fetch, for_the_hand
    from avbench.progress import made_with

    if not weights.scripted:
        raise UserError(" ".join(for_the_hand(weights)))
    say(f"{weights.name}: downloading {weights.url} ({weights.licence})")
    path = fetch(weights, made_with(bar, weights.name))
    say(f"{weights.name}: {path}, sha256 {sha256(path)}")


def _check(arguments: argparse.Namespace, plugins: Plugins) -> int:
    """Say what each file is, and which part of the network it fits; 1 where it fits none."""
    from avbench.bench.weight_check import content, known_as, trials

    if arguments.network is None or not arguments.names:
        raise UserError("avbench weights check FILE --for NAME: which file, and of which detector?")
    everything = argparse.Namespace(network=None)
    published = {w.name: w for _, w in _published(_networks(everything, plugins)).values()}
    fits = True
    for name in arguments.names:
        path = Path(name)
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        sha, same = known_as(path, tuple(published.values()))
        known = ", ".join(f"{w.name} ({w.title})" for w in same) or "none whose sha256 is known"
        say(f"{path}: {path.stat().st_size:,} bytes, sha256 {sha}, {content(path)}")
        say(f"published weights with that sha256: {known}")
        found = False
        for spec in _networks(arguments, plugins):
            config = _config(spec, arguments)
            say(f"{spec.name}, preset {config.preset}:")
            for trial in trials(path, spec, config.preset, tuple(arguments.overrides)):
                say(f"  {trial.way}: {'no, ' + trial.complaint if trial.complaint else 'fits'}")
                found = found or not trial.complaint
        fits = fits and found
    return 0 if fits else 1
