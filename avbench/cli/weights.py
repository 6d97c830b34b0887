"""`avbench weights`: what detectors can start from; downloads only when told to."""

from __future__ import annotations

import argparse

from avbench.cli.terminal import bar, say

EXAMPLES = """examples:
  avbench weights list
  avbench weights fetch whisper-base
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=("list", "fetch"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="weights to fetch")


def execute(arguments: argparse.Namespace) -> int:
    """List or fetch."""
    from tabulate import tabulate

    from avbench.errors import UserError, unknown
    from avbench.hashing import sha256
    from avbench.plugins.registry import installed
    from avbench.plugins.weights import cached, fetch
    from avbench.progress import made_with

    networks = [(d.name, d.weights) for d in installed().detectors().values()]
    networks += [(p.name, p.weights) for p in installed().pretrainings().values()]
    known = {w.name: (network, w) for network, weights in networks for w in weights}
    if arguments.action == "list":
        rows = [
            [
                w.name,
                detector,
                w.setting,
                w.title,
                w.licence,
                w.sha256[:12] or "not published",
                "shipped" if w.shipped else "yes" if cached(w) else "no",
                w.url,
            ]
            for detector, w in known.values()
        ]
        say(tabulate(rows, ["name", "for", "setting", "what", "licence", "sha256", "fetched", "from"]))
        return 0
    if not arguments.names:
        raise UserError(f"avbench weights fetch NAME: which? known: {', '.join(sorted(known))}")
    for name in arguments.names:
        if name not in known:
            raise unknown("weights", name, known)
        detector, spec = known[name]
        say(f"{name}: {'ships with its plugin' if spec.shipped else f'downloading {spec.url}'} ({spec.licence})")
        path = fetch(spec, made_with(bar, name))
        say(f"{name}: {path}, sha256 {sha256(path)}; {detector} uses it by --set {spec.setting}={name}")
    return 0
