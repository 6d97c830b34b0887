"""Looks into a file of weights before anything loads it: one that would run code when it is unpickled is refused."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from avbench.errors import UserError

# What tensors, arrays and plain values are made of. Loaders allow fewer of these; none allows more.
_TRUSTED = ("torch", "numpy", "collections", "_codecs")
_PLAIN = {f"builtins {name}" for name in ("set", "frozenset", "bytearray", "complex", "slice", "range")}
_FIRST = 5  # pickles of torch's old format: a number, a version, the machine, the object, the names of its storages
_MOST = 64 * 2**20  # bytes of a pickle: it describes tensors, whose numbers lie elsewhere


def require_safe(path: Path, setting: str) -> None:
    """Raise UserError for a file of pickles that name anything but tensors and plain values; others pass unread."""
    try:
        foreign = next((name for name in _named(path) if not _is_trusted(name)), None)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:  # encrypted, unknown compression
        raise UserError(f"{setting} = {path}: cannot be read: {error}") from error
    except ValueError as error:  # of pickletools, which checks as it goes
        raise UserError(f"{setting} = {path}: a damaged pickle: {error}") from error
    if foreign is not None:
        raise UserError(
            f"{setting} = {path}: it names {foreign[:80]!r} beside tensors, which could run code and is not loaded; "
            "save the weights alone, from a source you trust, as .safetensors"
        )


def _named(path: Path) -> Iterator[str]:
    """Yield what the pickles of a file name, as "module name"."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename.endswith((".pkl", ".pickle")):
                    if member.file_size > _MOST:
                        raise UserError(f"{path}: {member.filename} has {member.file_size:,} bytes; tensors need fewer")
                    with archive.open(member) as stream:
                        yield from _globals(stream)
        return
    with path.open("rb") as file:
        first = file.read(1)
        file.seek(0)
        if first != b"\x80":  # with which protocol 2 begins; older ones are told by being read to their end
            try:
                yield from [*_globals(file)]
            except ValueError:
                return
            return
        for _ in range(_FIRST):
            yield from _globals(file)
            if file.read(1) != b"\x80":
                return
            file.seek(-1, 1)


def _globals(stream: IO[bytes]) -> Iterator[str]:
    """Yield what one pickle names, without running it."""
    recent: list[str] = []  # texts pushed one after the other; STACK_GLOBAL takes the last two
    for code, argument, _ in pickletools.genops(stream):
        if code.name in ("GLOBAL", "INST"):
            yield str(argument)
        elif code.name == "STACK_GLOBAL":
            yield " ".join(recent[-2:]) if len(recent) > 1 else "what cannot be told"
        elif code.name.startswith("EXT"):
            yield "what a number stands for"
        if "UNICODE" in code.name or "STRING" in code.name:
            recent.append(str(argument))
        elif code.name not in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            recent = []


def _is_trusted(name: str) -> bool:
    module, _, _ = name.partition(" ")
    return name in _PLAIN or module.partition(".")[0] in _TRUSTED
