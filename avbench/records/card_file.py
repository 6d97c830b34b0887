"""card.json as a file: read with its format checked, older formats upgraded; written whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from avbench.errors import UserError, in_one_line
from avbench.paths import atomic_write
from avbench.records.card_upgrade import from_format_1

NAME = "card.json"
FORMAT = 2


def read(path: Path) -> dict[str, Any]:
    """Return the values of a card in today's format, from its file or the folder that holds it.

    Raises UserError where there is none, where it cannot be read, and for a newer format than this version knows.
    """
    file = path / NAME if path.is_dir() else path
    try:
        values = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no run here (no {NAME}); avbench report lists the runs there are") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: not a card: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{file}: not a card: it holds no object")
    found = values.get("format", 1)
    if type(found) is not int or found < 1:
        raise UserError(f"{file}: not a card: its format is {found!r}")
    if found > FORMAT:
        raise UserError(f"{file}: a card of format {found}, this version reads up to {FORMAT}; update avbench")
    try:
        return from_format_1(values) | {"format": FORMAT} if found == 1 else values
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file}: not a card of format {found}: {in_one_line(error)}") from error


def write(card: Any, folder: Path) -> None:
    """Write a card into `folder`/card.json, whole or not at all."""
    text = json.dumps(plain(card), indent=2, allow_nan=False)
    with atomic_write(folder / NAME) as temporary:
        temporary.write_text(text + "\n", "utf-8")


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: dataclasses as objects, tuples as lists, numbers that are not finite as None.

    Of a measured value the note is left out where it says nothing.
    """
    encoded = msgspec.json.encode(value, enc_hook=_other)
    return _without_empty_notes(msgspec.json.decode(encoded))


def _other(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def _without_empty_notes(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_empty_notes(v) for k, v in value.items() if not (k == "note" and v == "")}
    return [_without_empty_notes(v) for v in value] if isinstance(value, list) else value
