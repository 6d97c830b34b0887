"""Who is meant by the columns identity and target: names, the latter several with `;` between them.

A name may hold blanks, but none of `;` `,` `|`: these separate names elsewhere, and a list that is taken for one name
matches nobody, so that nothing is found of the people whom training and test share.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from unicodedata import normalize

SEPARATOR = ";"
_REFUSED = re.compile(r"[,;|]")


def identity_named(cell: str, file: str) -> str:
    """Return the name in the column identity; ValueError for what may be several, unless it is the file's own name."""
    return normalize("NFC", file) if cell == file.strip() else _name(cell, "identity")


def targets_named(cell: str) -> tuple[str, ...]:
    """Return the names in the column target; ValueError for an empty one and for other separators."""
    if not cell.strip():
        return ()
    names = tuple(_name(part, "target") for part in cell.split(SEPARATOR))
    if "" in names:
        raise ValueError(f"target {cell!r} names nobody beside a {SEPARATOR!r}")
    return names


def loosely(name: str) -> str:
    """Return what two spellings of one name have in common: capitals, blanks, - _, zeros that tables add or lose."""
    spelled = re.sub(r"[\s_-]+", "", name).casefold()
    number = re.fullmatch(r"0*([0-9]+)(\.0+)?", spelled)
    return number[1] if number else spelled


def require_matching(targets: tuple[str, ...], identities: Mapping[str, str]) -> None:
    """Raise ValueError for a target that is no identity of the table, but reads like one, or like several.

    `identities` are those of the table by what `loosely` makes of them.
    """
    known = set(identities.values())
    for target in targets:
        if target in known:
            continue
        if (like := identities.get(loosely(target))) is not None:
            raise ValueError(f"target {target!r} is no identity, but {like!r} is; spell both alike")
        if len(target.split()) > 1:
            raise ValueError(
                f"target {target!r} is no identity here; put {SEPARATOR!r} between several, and _ into one name"
            )


def _name(cell: str, column: str) -> str:
    name = normalize("NFC", " ".join(cell.split()))
    if found := _REFUSED.search(name):
        raise ValueError(f"{column} {cell!r} holds {found[0]!r}; names hold none, and {SEPARATOR!r} separates targets")
    return name
