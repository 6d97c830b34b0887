"""MLflow's store that is one SQLite file: made whole under a lock, brought up to date, set aside where it is broken."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from avbench.errors import UserError, in_one_line

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

log = logging.getLogger(__name__)

FILE, ARTIFACTS = "mlflow.db", "mlflow-artifacts"
LOCK_SECONDS = 300  # longer than a busy machine needs to make a store
_BESIDE = ("-journal", "-wal", "-shm")  # what SQLite keeps next to a database
_CORRUPT = {1, 11, 26}  # SQLite's error, corrupt, not a database; all others are of the system or of a lock
_VERSION = "alembic_version"  # the table that says in which state the others are
_AGAIN = "avbench report --to-mlflow logs the finished runs again"


class Broken(Exception):
    """Say what is wrong with a store in which nothing can be logged."""


def uri_of(path: Path) -> str:
    """Return what MLflow calls a store that is a file; UserError for a path that it would cut off."""
    if "?" in str(path):
        raise UserError(f"{path}: MLflow cannot open a path with a question mark; rename the folder")
    return f"sqlite:///{path}"


def file_of(uri: str) -> Path | None:
    """Return the file that a store's address names, None for a server and what else is no file."""
    name = uri.removeprefix("sqlite:///")
    return Path(name) if name != uri and name and "?" not in name and not name.startswith((":", "file:")) else None


def make_ready(path: Path, artifacts: Path | None = None) -> None:
    """Make sure that `path` is a whole store of the MLflow that is installed.

    One that is missing is made under another name and renamed. One of an earlier MLflow is brought up to date in a
    copy. One that is broken (half made, corrupt, empty) is set aside with a warning, and a new one made. Links to
    `artifacts` follow the folder, wherever it was moved. Raises UserError for a store of a later MLflow, for a database
    of another program, and where another process holds the lock for too long.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        if not path.exists():
            _make(path, artifacts)
        else:
            try:
                _require_whole(path, artifacts)
            except Broken as fault:
                aside = _set_aside(path)
                log.warning("%s is %s: set aside as %s; a new one takes its place, %s", path, fault, aside.name, _AGAIN)
                _make(path, artifacts)
        if artifacts is not None:
            _relink(path, artifacts)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout  # slow to import

    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise UserError(f"{path}: another process has been making it for {LOCK_SECONDS} s; end that one") from error


def _require_whole(path: Path, artifacts: Path | None) -> None:
    """Raise Broken unless the store is whole; one of an earlier MLflow is brought up to date."""
    revision = _revision(path)
    if revision == _scripts().get_current_head():
        _require_tables(path)
    elif revision in {one.revision for one in _scripts().walk_revisions()}:
        _upgrade(path, artifacts)
    else:
        raise UserError(
            f"{path} is of another version of MLflow, at {revision}: install that version, or move the file away"
        )


def _revision(path: Path) -> str:
    """Return which state of MLflow's tables a store says it is in; Broken where it is corrupt or says none."""
    if not path.stat().st_size:
        raise Broken("empty")
    with _read(path) as database:
        (sound,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        if sound != "ok":
            raise Broken(f"corrupt ({' '.join(str(sound).split())[:100]})")
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and not tables & {_VERSION, "experiments"}:
            raise UserError(f"{path} is a database of another program; move it away")
        found = database.execute("SELECT version_num FROM alembic_version").fetchall() if _VERSION in tables else []
    if len(found) != 1 or not isinstance(found[0][0], str):
        raise Broken("half made")
    return found[0][0]


def _require_tables(path: Path) -> None:
    """Raise Broken unless all of MLflow's tables and columns are there."""
    import mlflow.store.db.utils  # noqa: F401  # it knows every table
    from mlflow.store.db.base_sql_model import Base

    with _read(path) as database:
        for name, table in Base.metadata.tables.items():
            there = {row[1] for row in database.execute(f'PRAGMA table_xinfo("{name}")')}
            if missing := sorted({column.name for column in table.columns} - there):
                raise Broken(f"half made ({name} lacks {', '.join(missing)})" if there else f"half made (no {name})")


@contextmanager
def _read(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database; what SQLite says of a corrupt one is Broken."""
    try:
        with closing(sqlite3.connect(path, timeout=20)) as database:
            yield database
    except UnicodeDecodeError as error:
        raise Broken("corrupt (names that are no text)") from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 1) & 0xFF in _CORRUPT:
            raise Broken(f"corrupt ({error})") from error
        raise


@cache
def _scripts() -> ScriptDirectory:
    """Return the states of MLflow's tables that the installed version knows."""
    import mlflow
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))


def _make(path: Path, artifacts: Path | None) -> None:
    """Make a store under another name and rename it, so that nobody meets half a one."""
    new = _new(path)
    try:
        _migrate(new, artifacts)
    except Exception:  # a full disk needs the room
        _remove(new)
        raise
    _remove(path)  # that is, what SQLite left beside one that is gone
    new.replace(path)


def _upgrade(path: Path, artifacts: Path | None) -> None:
    """Bring a copy up to date and let it take the store's place; Broken where that fails."""
    new = _new(path)
    with _read(path) as database, closing(sqlite3.connect(new)) as copy:
        database.backup(copy)
    try:
        _migrate(new, artifacts)
        _require_tables(new)
    except Exception as error:
        _remove(new)
        if isinstance(error, Broken) or _is_of_the_system(error):
            raise
        raise Broken(f"half made ({in_one_line(error)[:150]})") from error
    aside = _aside(path)
    shutil.copy2(path, aside)
    new.replace(path)
    log.warning("%s was of an earlier MLflow or half made: brought up to date; as it was it is %s", path, aside.name)


def _migrate(path: Path, artifacts: Path | None) -> None:
    """Make or change every table as the installed MLflow wants it."""
    from mlflow.db import upgrade
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    upgrade.callback(url=uri_of(path))  # the command `mlflow db upgrade`
    SqlAlchemyStore(uri_of(path), str(artifacts or "mlruns")).engine.dispose()  # holds the tables to its own


def _is_of_the_system(error: Exception) -> bool:
    """Whether the system is to blame, such as a disk that is full."""
    cause = getattr(error, "orig", error)
    return isinstance(cause, OSError) or getattr(cause, "sqlite_errorcode", 1) & 0xFF not in _CORRUPT


def _new(path: Path) -> Path:
    """Return the name under which a store is made, free of what a killed process left."""
    new = path.with_name(f".{path.name}.new")
    _remove(new)
    return new


def _remove(path: Path) -> None:
    for name in (str(path), *(f"{path}{suffix}" for suffix in _BESIDE)):
        Path(name).unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    """Return a name for a store that is kept, which no other has."""
    stem = f"{path.stem}-aside-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    names = (path.with_name(f"{stem}{f'-{n}' if n else ''}{path.suffix}") for n in range(1000))
    return next(name for name in names if not name.exists())


def _set_aside(path: Path) -> Path:
    """Rename a store, with what SQLite keeps beside it."""
    aside = _aside(path)
    for suffix in (*_BESIDE, ""):  # the store last: a new one must not meet the journal of this one
        if os.path.exists(f"{path}{suffix}"):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    return aside


def _relink(path: Path, artifacts: Path) -> None:
    """Let experiments and runs whose files lie in a results folder that was moved find them where they are now.

    MLflow writes absolute places; a relative one is taken from wherever its server is started.
    """
    new = artifacts.as_uri()
    with _read(path) as database, database:
        rows = database.execute("SELECT experiment_id, artifact_location FROM experiments").fetchall()
        moved = [(number, location) for number, location in rows if _is_elsewhere(location, new)]
        for number, location in moved:
            old = location[: location.rindex(f"/{ARTIFACTS}") + len(ARTIFACTS) + 1]
            update = "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?"
            database.execute(update, (new + location[len(old) :], number))
            query = "SELECT run_uuid, artifact_uri FROM runs WHERE experiment_id = ?"
            for run, uri in database.execute(query, (number,)).fetchall():
                if uri and uri.startswith(f"{old}/"):
                    there = new + uri[len(old) :]
                    if _path(there).exists() or not _path(uri).exists():
                        database.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (there, run))
    if moved:
        log.info("%s: the files of its runs are looked for in %s", path, artifacts)


def _is_elsewhere(location: str | None, new: str) -> bool:
    """Whether an experiment's place is the artifact folder of another results folder, or a folder in it."""
    if not location or not location.startswith("file:") or location == new or location.startswith(f"{new}/"):
        return False
    return location.endswith(f"/{ARTIFACTS}") or location.rpartition("/")[0].endswith(f"/{ARTIFACTS}")


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))
