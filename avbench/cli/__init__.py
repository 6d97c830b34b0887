"""The command line: one file a command, nothing heavy imported before the command is known.

In: the words of a command. Out: printed lines and tables, an exit code. May import: every wing.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from avbench.bench.interruption import Interrupted, ending_in_order, exit_code
from avbench.cli.ending import without_tracebacks
from avbench.cli.letters import write_any_letter
from avbench.cli.unknown_words import not_understood
from avbench.errors import UserError
from avbench.own_line import of_the_system, unexpected

COMMANDS = {
    "run": "train a detector and judge it under a protocol",
    "perturb": "sweep perturbations of the test videos over levels 0 to 5",
    "matrix": "many detectors under many protocols, or the tables of the paper",
    "ls": "list detectors, datasets, protocols, metrics and perturbations",
    "check": "check that a plugin keeps its contract",
    "compare": "compare two runs on the videos that both scored",
    "report": "show finished runs again: terminal, Markdown, HTML, MLflow",
    "analyse": "draw what a run's detector sees: action units over time, features, attention",
    "audit": "look for leaks, shortcuts and imbalance in a database or protocol",
    "data": "make the demo data, or check a database's files",
    "weights": "list or fetch published weights",
    "export-list": "write a protocol's test list for another framework",
    "evaluate": "judge scores that another framework made",
    "pretrain": "teach a network frame-level truth, such as action units, before detectors use it",
    "new": "write a new plugin from a template",
}
EXAMPLES = """examples:
  avbench run --detector fauforensics --protocol cross_lavdf_to_fakeav
  avbench run --detector fauforensics --protocol within_fakeav --data /databases --seed 0 1 2
  avbench perturb
  avbench ls detectors
  avbench new detector mine && avbench check --plugin mine.py mine
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; exit code 0, 1 for a failed check or a bug, 2 for what the user can mend, 128 + n for signal n."""
    # Threads that wait for each other must sleep, not spin: beside decoding processes spinning costs up to sixfold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if argv is None else argv)
    write_any_letter()
    shown = "--traceback" in words
    try:
        parser = _parser(words)
        arguments, unknown = parser.parse_known_args(words)
        logging.basicConfig(
            format="%(levelname)s: %(message)s", level=logging.INFO if arguments.verbose else logging.WARNING
        )
        with without_tracebacks(shown=shown):
            code = _execute(arguments, unknown)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a closed pipe is caught
        return code
    except UserError as error:
        if shown:
            raise
        print(f"avbench: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder that cannot be written, a file that is gone
        if shown:
            raise
        print(f"avbench: error: {of_the_system(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"avbench: interrupted{_by(error)}; the same command continues", file=sys.stderr)
        return exit_code(error)
    except Exception as error:
        if shown:
            raise
        print(f"avbench: error: {unexpected(error)}", file=sys.stderr)
        return 1


def _execute(arguments: argparse.Namespace, unknown: list[str]) -> int:
    if arguments.plugin:
        from avbench.plugins.registry import register_named

        register_named(arguments.plugin)
    if unknown:
        raise not_understood(unknown, arguments.called, arguments, arguments.options)
    with ending_in_order():
        return int(arguments.execute(arguments) or 0)


def _by(error: KeyboardInterrupt) -> str:
    return f", {error}" if isinstance(error, Interrupted) else ""


def _parser(words: list[str]) -> argparse.ArgumentParser:
    from avbench import __version__

    parser = argparse.ArgumentParser(
        prog="avbench",
        description=__doc_title(),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"avbench {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    others = {} if chosen in COMMANDS else _further_commands()
    for name, help_text in {
        **COMMANDS,
        **{n: f"from {p.dist.name}" if p.dist else "" for n, p in others.items()},
    }.items():
        sub = commands.add_parser(name, help=help_text, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name != chosen:
            continue
        if name in others:
            module = others[name].load()
        else:
            module = importlib.import_module(f"avbench.cli.{name.replace('-', '_')}")
        sub.description, sub.epilog = help_text, getattr(module, "EXAMPLES", None)
        module.configure(sub)
        sub.add_argument("--plugin", action="append", default=[], metavar="FILE.py|MODULE", help="a plugin to load too")
        sub.add_argument("--verbose", "-v", action="store_true", help="say more")
        sub.add_argument("--traceback", action="store_true", help="show where an error came from")
        options = [option for action in sub._actions for option in action.option_strings]
        sub.set_defaults(execute=module.execute, called=name, options=options)
    return parser


def __doc_title() -> str:
    return "A benchmark for audio-visual deepfake detectors: any detector, any dataset, one honest protocol."


def _further_commands() -> dict[str, importlib.metadata.EntryPoint]:
    """Return commands that other distributions give, by name, without loading them."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group="avbench.commands")}
