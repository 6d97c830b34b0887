"""Holds a database's files to its folder, and finds them as the disk spells them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from unicodedata import category, normalize

from avbench.errors import UserError
from avbench.types import Sample

LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes, as most file systems have it
_UNWRITABLE = {"Cc", "Cs"}  # control characters, and what stands for bytes that are no text


def below(samples: Iterable[Sample], root: Path) -> Iterator[Sample]:
    """Yield samples with the paths that their files have on disk, and names of people in one spelling (NFC).

    The disk may write an accented letter as one sign where metadata write it as two, or the reverse. Links are the
    user's and are followed; `links_out` tells where they lead. Raises UserError for an id or a path that no table and
    no file system can hold, and for a path that leaves the folder `root` (the folder of a file `root`).
    """
    top = folder_of(root)
    tops = {top: None, os.path.realpath(top): None}  # a reader may have resolved a root that is a link
    listings: dict[str, dict[str, str]] = {}

    def on_disk(path: Path, of: str) -> Path:
        _require_possible(str(path), of)
        own = next((one for one in tops if _is_below(os.path.abspath(path), one)), None)
        if own is None:
            raise UserError(f"{of!r}: its file {str(path)!r} lies outside {top}; correct the metadata")
        if str(path).isascii() or os.path.lexists(path):
            return path
        return Path(_spelled(os.path.abspath(path), own, listings))

    for sample in samples:
        _require_possible(sample.id, sample.id)
        yield replace(
            sample,
            path=on_disk(sample.path, sample.id),
            annotations=tuple((name, on_disk(path, sample.id)) for name, path in sample.annotations),
            identity=normalize("NFC", sample.identity),
            cluster=normalize("NFC", sample.cluster),
            other_identities=tuple(normalize("NFC", name) for name in sample.other_identities),
        )


def folder_of(root: Path) -> str:
    """Return the absolute folder that a database's files lie in: its root, or where the file that lists them is."""
    return os.path.abspath(root if root.is_dir() else root.parent)


def links_out(samples: Iterable[Sample], root: Path) -> list[str]:
    """Return the ids of samples whose file is reached over a link that leaves the database's folder."""
    top = os.path.realpath(folder_of(root))
    real_folders: dict[Path, str] = {}
    found = []
    for sample in samples:
        folder = sample.path.parent
        if folder not in real_folders:
            real_folders[folder] = os.path.realpath(folder)
        file = os.path.realpath(os.path.join(real_folders[folder], sample.path.name))
        if not _is_below(file, top):
            found.append(sample.id)
    return found


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)


def _require_possible(text: str, of: str) -> None:
    if not (text.isascii() and text.isprintable()):
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise UserError(f"file name {_shown(of)} is not UTF-8; rename it, for example with convmv -t utf8")
        if any(category(letter) in _UNWRITABLE for letter in text):
            raise UserError(f"file name {_shown(of)} holds a line break, NUL or another control character; rename it")
    if len(text) * 4 > LONGEST_NAME and (
        len(text.encode()) > LONGEST_PATH or max(len(part.encode()) for part in text.split("/")) > LONGEST_NAME
    ):
        raise UserError(
            f"file name {_shown(of)} is too long: a name has at most {LONGEST_NAME} bytes, a path {LONGEST_PATH}"
        )


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 80 else f"{name[:77]}...")


def _spelled(path: str, top: str, listings: dict[str, dict[str, str]]) -> str:
    """Return a path as the disk has it, its accents composed or not; unchanged where nothing on disk is its like."""
    found = top
    for part in os.path.relpath(path, top).split(os.sep):
        if found not in listings:
            try:
                names = os.listdir(found)
            except OSError:
                return path
            # A spelling that is there itself comes last, and wins.
            listings[found] = {normalize("NFC", name): name for name in names} | {name: name for name in names}
        name = listings[found].get(part) or listings[found].get(normalize("NFC", part))
        if name is None:
            return path
        found = os.path.join(found, name)
    return found
