"""`avbench pretrain`: teach a network frame-level truth, such as action units, before a detector uses it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from avbench.cli import selecting
from avbench.cli.starting import by_design
from avbench.cli.terminal import bar, say
from avbench.errors import UserError

if TYPE_CHECKING:
    from avbench.records.card import Card

EXAMPLES = """examples:
  avbench pretrain graphau --dataset demo_faces
  avbench pretrain graphau --dataset disfa --fold 1 --data disfa=/data/DISFA
  avbench pretrain graphau --dataset bp4d --data /databases --set backbone=swin_base --seed 0 1 2
  avbench pretrain graphau --dataset disfa --data /databases --stage mefl --set graphau_weights=stage1.pth
  avbench run --detector fauforensics --protocol within_lavdf --set fau_weights=encoder.safetensors

Repeating a command continues it; a finished one prints its table again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("network", metavar="NETWORK", help="graphau, lip_reader, speech_reader or a plugin's")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="disfa, bp4d, demo_faces, demo_speakers ...")
    parser.add_argument("--fold", type=int, default=1, metavar="K", help="fold of the database's people (default: 1)")
    parser.add_argument("--stage", default="all", metavar="NAME", help="one of the network's stages (default: all)")
    parser.add_argument("--seed", nargs="+", type=int, default=[0], metavar="N", help="one training each (default: 0)")
    parser.add_argument("--data", action="append", default=[], metavar="ROOT|NAME=PATH", help="where databases are")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N videos of each of train, validation, test")
    selecting.add_computing(parser)
    parser.add_argument("--results", type=Path, metavar="DIR", dest="out", help="the same as --out")


def execute(arguments: argparse.Namespace) -> int:
    """Pre-train with every seed asked for and print a table each."""
    from avbench.bench.pretraining.plan import PretrainingRequest
    from avbench.bench.pretraining.run import pretrain
    from avbench.data.databases import read_roots
    from avbench.plugins.registry import installed

    plugins = installed()
    spec = plugins.pretraining(arguments.network)
    if min(arguments.seed) < 0:
        raise UserError(f"--seed {min(arguments.seed)}: seeds are 0 or more")
    if arguments.checkpoint is not None:
        settings = " or ".join(dict.fromkeys(f"--set {w.setting}=FILE" for w in spec.weights)) or "nothing else"
        raise UserError(f"--checkpoint: a pre-training of {spec.name} starts from weights by {settings}")
    cards = []
    for seed in dict.fromkeys(arguments.seed):
        request = PretrainingRequest(
            network=spec.name,
            dataset=arguments.dataset,
            fold=arguments.fold,
            stage=arguments.stage,
            seed=seed,
            roots=read_roots(arguments.data),
            preset=arguments.preset,
            overrides=tuple(arguments.overrides),
            limit=arguments.limit,
            device=arguments.device,
            results=arguments.out,
            fresh=arguments.fresh,
            loading=selecting.loading_of(arguments, plugins),
            mlflow=not arguments.no_mlflow,
            from_scratch=arguments.from_scratch,
        )
        card, folder = pretrain(request, plugins, progress=bar, say=say)
        say("\n" + _table(card, folder))
        cards.append(card)
        assert card.encoder is not None
        say(f"the network for detectors: {folder / card.encoder.file}, sha256 {card.encoder.sha256}")
        say(f"{spec.used_by}\n")
    if line := by_design(cards, plugins):
        say(line)
    return 0


def _table(card: Card, folder: Path) -> str:
    import pandas as pd
    from tabulate import tabulate

    from avbench.records.training import FRAME_SCORES

    scores = pd.read_csv(folder / FRAME_SCORES).round(3)
    spread = scores.apply(lambda row: f"{row['f1']:.3f} [{row['low']:.3f}, {row['high']:.3f}]", axis=1)
    rows = zip(scores["unit"], scores["rate"], spread, scores["majority"], scores["all positive"], strict=True)
    heads = ["unit", "rate", "F1 [95 % over people]", "majority", "all positive"]
    chosen = f"{card.id}: epoch {card.training.chosen_epoch}, by {card.training.selected_on}"
    caveats = f"\ncaveats: {', '.join(card.caveats)}" if card.caveats else ""
    return f"{chosen}\n{tabulate(rows, heads)}{caveats}"
