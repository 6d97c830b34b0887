"""`avbench run --from CARD`: a run computed again as its card describes it, and whether it came out the same."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from avbench.cli import selecting
from avbench.cli.terminal import bar, say
from avbench.errors import UserError
from avbench.paths import atomic_write, results_folder
from avbench.records.run import SCORES

if TYPE_CHECKING:
    from avbench.plugins.registry import Plugins

# What the card says by itself: option by the name of its argument.
_SAID_BY_CARD = {
    "detector": "--detector",
    "protocol": "--protocol",
    "task": "--task",
    "seed": "--seed",
    "jobs": "--jobs",
    "fold": "--fold",
    "limit": "--limit",
    "placement": "--placement",
    "strict_identity": "--strict-identity",
    "trim_silence": "--trim-silence",
    "balanced": "--balanced",
    "test_on": "--test-on",
    "select_on": "--select-on",
    "preset": "--preset",
    "overrides": "--set",
    "from_scratch": "--from-scratch",
    "decoder": "--decoder",
    "hash_content": "--hash-content",
    "fresh": "--fresh",
    "fresh_training": "--fresh-training",
    "retry": "--retry",
}


def rerun(arguments: argparse.Namespace, plugins: Plugins) -> int:
    """Compute a card's run again, training included, in a folder of its own; 0 where it came out the same, else 1."""
    from avbench.bench import again
    from avbench.bench.run import run
    from avbench.data.databases import read_roots
    from avbench.records.runs import Runs
    from avbench.report.sameness import sameness

    if given := [option for name, option in _SAID_BY_CARD.items() if getattr(arguments, name) not in (None, False, [])]:
        raise UserError(f"{given[0]}: with --from the card says that, and all is computed anew; leave it out")
    found = again.named(arguments.card, Runs(arguments.out or results_folder()))
    spec = again.asked_again(found, plugins, read_roots(arguments.data), arguments.checkpoint)
    if (found.folder / SCORES).is_file():
        _ = found.scores  # refused at once where they are not what was measured
    home = found.results_folder if found.folder.resolve().parent.name == "runs" else results_folder()
    folder = again.folder_for(found, arguments.out or home)
    computing = selecting.computing_of(arguments, plugins)
    device = "cpu" if arguments.device == "auto" and found.card.device.startswith("CPU") else arguments.device
    # As many files may fail as there are: those of the card did, and of others the comparison tells.
    loading = replace(computing.loading, max_errors=1.0)
    computing = replace(computing, results=folder, device=device, loading=loading, mlflow=False)
    say(f"computing {found.id} again, in {folder}")
    done = run(spec, plugins, computing=computing, progress=bar, say=say)
    verdict = sameness(found, done)
    say(f"\n{found.id} {verdict}")
    with atomic_write(folder / again.REPORT) as temporary:
        temporary.write_text(f"{found.id} {verdict}\n", "utf-8")
    say(f"\nthis comparison and the run: {folder}")
    return 0 if verdict.same else 1
