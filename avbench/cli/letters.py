"""Output on terminals that do not know every letter: cp1252, ascii, names of files that are no UTF-8."""

from __future__ import annotations

import codecs
import io
import sys

PLAIN = "avbench.plain"
# What is written in place of our own marks.
_MARKS = {
    "\N{MIDDLE DOT}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{BALLOT X}": "x",
    "\N{EN DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{DAGGER}": "(b)",
    "\N{DOUBLE DAGGER}": "(t)",
}


def plainly(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for letters that an encoding does not know, as an error handler of codecs does."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    escaped = (_MARKS.get(one) or one.encode("ascii", "backslashreplace").decode("ascii") for one in letters)
    return "".join(escaped), error.end


def write_any_letter() -> None:
    """Have the output streams write letters that they do not know in another way, in place of an error."""
    codecs.register_error(PLAIN, plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN)
