"""Hashes that are the same on every machine: of a key, of a value, of a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20


def stable_hash(*key: object) -> int:
    """Return a 63-bit number that is a function of the key alone, on every machine and Python."""
    text = "\x1f".join(map(str, key))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def digest_of(value: Any) -> str:
    """Return the sha256 of a value's canonical JSON, in hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def sha256(path: Path, *, at_block: Callable[[], None] = lambda: None) -> str:
    """Return the sha256 of a file, in hex; `at_block` is called at each MiB of it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            at_block()
    return digest.hexdigest()
