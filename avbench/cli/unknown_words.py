"""What to say of words that a command does not know: most are settings of the detector, which --set changes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from avbench.errors import UserError

if TYPE_CHECKING:
    from avbench.plugins.registry import Plugins
    from avbench.types import DetectorSpec


def not_understood(
    words: Sequence[str], command: str, arguments: argparse.Namespace, options: Iterable[str]
) -> UserError:
    """Return the error about words that are left over; `options` are those of the command."""
    told, settings, guessed, own = [], [], False, sorted(options)
    known = _settings(arguments) if hasattr(arguments, "overrides") else {}
    for word, key, value in _pairs(words):
        if owner := known.get(key) or known.get(key.rpartition(".")[2]):
            settings.append(f"--set {key}={value or 'VALUE'}")
            told.append(f"{word} is a setting of {owner}")
            continue
        near = get_close_matches(word, own, n=1, cutoff=0.6) or [
            f"--set {name}={value or 'VALUE'}" for name in get_close_matches(key, known, n=1, cutoff=0.6)
        ]
        told.append(f"{word} is nothing that avbench {command} knows{f', did you mean {near[0]}?' if near else ''}")
        guessed = guessed or bool(near)
    use = [f"use {' '.join(settings)}"] if settings else []
    look = [] if settings or guessed else [f"see avbench {command} --help"]
    return UserError("; ".join([*told, *use, *look]))


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (word, name of a setting that it may mean, its value) of the words of options, and of others alone."""
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.partition("=")
        if not name.startswith("-"):
            yield name if equals else word, name, value
            continue
        if not equals and waiting and not waiting[0].startswith("--"):
            value = waiting.pop(0)
        key = name.lstrip("-").replace("-", "_")
        yield name, key, value or ("true" if not equals else "")


def _settings(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the settings that --set may change, each with whose it is; of all detectors where none is named."""
    from avbench.config import setting_names
    from avbench.plugins.registry import installed

    plugins = installed()
    return {name: spec.name for spec in reversed(_asked(arguments, plugins)) for name in setting_names(spec)}


def _asked(arguments: argparse.Namespace, plugins: Plugins) -> list[DetectorSpec]:
    known = {name: spec.network for name, spec in plugins.pretrainings().items()} | plugins.detectors()
    given = getattr(arguments, "detector", None) or getattr(arguments, "network", None) or []
    named = [known[name] for name in ([given] if isinstance(given, str) else given) if name in known]
    specs = named or list(known.values())
    return [known[name] for spec in specs for name in (spec.members or (spec.name,)) if name in known]
