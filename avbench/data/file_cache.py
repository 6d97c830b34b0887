"""What was measured of files, kept by path, size and time of change: a file that did not change is not read again."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from avbench.paths import cache_folder

log = logging.getLogger(__name__)
Measured = dict[str, Any]
_TABLE = """create table if not exists measured (path text, kind text, bytes integer, changed integer, value text,
primary key (path, kind))"""


class FileCache:
    """Values of one kind of measurement; `kind` names it with its version, so that a new version measures anew.

    A cache that cannot be opened or written is a warning: everything is then measured each time.
    """

    def __init__(self, kind: str, place: Path | None = None) -> None:
        self.kind = kind
        self._base: sqlite3.Connection | None = None
        path = place or cache_folder() / "files.sqlite"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=60.0)
            self._base.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            self._give_up(path, error)

    def find(self, paths: Iterable[Path]) -> dict[Path, Measured]:
        """Return what is known of those of `paths` that are still the files that were measured."""
        found: dict[Path, Measured] = {}
        for path in paths:
            stamp = _stamp(path)
            if self._base is None or stamp is None:
                continue
            row = self._base.execute(
                "select bytes, changed, value from measured where path = ? and kind = ?", (_key(path), self.kind)
            ).fetchone()
            if row is not None and tuple(row[:2]) == stamp:
                found[path] = json.loads(row[2])
        return found

    def keep(self, values: Mapping[Path, Measured]) -> None:
        """Note what was measured; of a file that is gone, nothing."""
        stamped = ((path, _stamp(path), value) for path, value in values.items())
        rows = [(_key(path), self.kind, *stamp, json.dumps(value)) for path, stamp, value in stamped if stamp]
        if self._base is None or not rows:
            return
        try:
            with self._base:
                self._base.executemany("insert or replace into measured values (?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            self._give_up("the cache of measured files", error)

    def close(self) -> None:
        """Close the file."""
        if self._base is not None:
            self._base.close()

    def _give_up(self, where: object, error: Exception) -> None:
        log.warning("%s: %s; files are measured without a cache", where, error)
        self._base = None


def _key(path: Path) -> str:
    return str(path.absolute())


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    # A file that was changed and given its old time has another time of status change; on Windows that is its birth.
    return about.st_size, about.st_mtime_ns if os.name == "nt" else about.st_ctime_ns
