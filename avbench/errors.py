"""Errors that a user can mend: shown as one line, without a traceback, with exit code 2."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Say what is wrong, where, and what to do about it, in one line whatever a value that is quoted holds."""

    def __init__(self, message: object) -> None:
        super().__init__(" ".join(str(message).splitlines()))


def shortened(text: str, most: int = 600) -> str:
    """Return a text that may hold anything from a file, cut off where it is too long for one line."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Build the error for a name that nobody registered, with the closest known name."""
    name, names = shortened(name, 80), [shortened(" ".join(one.split()), 60) for one in sorted(known)]
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return UserError(f"no {kind} called {name!r}; {hint}known: {', '.join(names) or 'none'}")


def in_one_line(error: BaseException) -> str:
    """Return an error's class and message, at most 300 characters of it, without a line break."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300] or 'no message'}"
