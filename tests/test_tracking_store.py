"""MLflow's file is whole, or set aside and made anew: half made, corrupt, empty, moved, made by two at once."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from avbench.errors import UserError
from avbench.report import tracking_store
from avbench.report.tracking_client import connect
from avbench.report.tracking_store import ARTIFACTS, FILE, file_of, make_ready

Spoil = Callable[[Path], object]


def sql(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """Return what the last of several statements comes to."""
    with closing(sqlite3.connect(path)) as database, database:
        return [database.execute(statement).fetchall() for statement in statements][-1]


def cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def half_made(path: Path) -> None:
    """Leave what a process leaves that is killed early: the first tables, and no word of their state."""
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    path.unlink()
    Base.metadata.create_all(create_engine(f"sqlite:///{path}"))


@pytest.fixture
def store(mlflow_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a whole store; further ones are copied, since making one takes seconds."""
    monkeypatch.setattr(tracking_store, "_migrate", lambda path, artifacts: shutil.copy(mlflow_store, path))
    return Path(shutil.copy(mlflow_store, tmp_path / FILE))


BROKEN: dict[str, tuple[Spoil, str]] = {
    "zero bytes": (lambda path: cut(path, 0), "empty"),
    "half a file": (lambda path: cut(path, path.stat().st_size // 2), "corrupt"),
    "another kind of file": (lambda path: path.write_bytes(b"<html>no such page</html>" * 400), "corrupt"),
    "a page of zeros": (lambda path: overwrite(path, 4096, bytes(4096)), "corrupt"),
    "names that are no text": (
        lambda path: path.write_bytes(path.read_bytes().replace(b"alembic", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9")),
        "corrupt",
    ),
    "the first tables alone": (half_made, "half made"),
    "no state": (lambda path: sql(path, "DELETE FROM alembic_version"), "half made"),
    "two states": (lambda path: sql(path, "INSERT INTO alembic_version VALUES ('451aebb31d03')"), "half made"),
    "no table of runs": (lambda path: sql(path, "DROP TABLE runs"), r"half made \(no runs\)"),
    "a table that is to be renamed": (
        lambda path: sql(path, "ALTER TABLE runs RENAME TO _alembic_tmp_runs"),
        r"half made \(no runs\)",
    ),
    "a table without a column": (
        lambda path: sql(path, "ALTER TABLE runs DROP COLUMN artifact_uri"),
        "half made .runs lacks artifact_uri",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_store_is_set_aside_and_a_new_one_made(
    name: str, store: Path, mlflow_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, said = BROKEN[name]
    spoil(store)
    broken = store.read_bytes()
    make_ready(store)
    assert store.read_bytes() == mlflow_store.read_bytes()
    (aside,) = store.parent.glob("mlflow-aside-*.db")
    assert aside.read_bytes() == broken
    (message,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert str(store) in message and aside.name in message and "avbench report --to-mlflow" in message
    assert re.search(said, message)
    caplog.clear()
    make_ready(store)
    assert not caplog.records and len(list(store.parent.glob("mlflow-aside-*.db"))) == 1


def test_whatever_is_overwritten_leaves_a_store_in_which_runs_can_be_logged(store: Path, mlflow_store: Path) -> None:
    whole, draw = mlflow_store.read_bytes(), random.Random(0)
    for _ in range(40):
        content = bytearray(whole)
        place = draw.choice([draw.randrange(100), draw.randrange(len(whole))])
        size = draw.choice([1, 16, 4096])
        content[place : place + size] = draw.randbytes(len(content[place : place + size]))
        store.write_bytes(content if draw.random() < 0.8 else content[: draw.randrange(len(content))])
        make_ready(store)
        assert sql(store, "PRAGMA integrity_check") == [("ok",)] and sql(store, "SELECT count(*) FROM runs") == [(0,)]
        tracking_store._require_tables(store)


@pytest.mark.slow
def test_a_store_said_to_be_of_an_earlier_state_is_brought_up_to_date_or_set_aside(
    mlflow_store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Path(shutil.copy(mlflow_store, tmp_path / FILE))
    head = tracking_store._scripts().get_current_head()
    before = tracking_store._scripts().get_revision(head).down_revision
    sql(store, f"UPDATE alembic_version SET version_num = '{before}'")
    make_ready(store)
    assert sql(store, "SELECT version_num FROM alembic_version") == [(head,)]
    (aside,) = tmp_path.glob("mlflow-aside-*.db")
    assert sql(aside, "SELECT version_num FROM alembic_version") == [(before,)] and aside.name in caplog.text


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE alembic_version SET version_num = 'of2031'", "another version of MLflow, at of2031: install"),
        (None, "a database of another program"),
    ],
)
def test_what_others_can_read_is_left_alone(statement: str | None, said: str, store: Path) -> None:
    if statement is None:
        store.unlink()
    sql(store, statement or "CREATE TABLE songs (title TEXT)")
    before = store.read_bytes()
    with pytest.raises(UserError, match=said):
        make_ready(store)
    assert store.read_bytes() == before and not list(store.parent.glob("*aside*"))


def test_a_store_that_is_locked_is_not_taken_for_a_broken_one(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout=0.0: opened(path, timeout=0.1))
    with closing(opened(store)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            make_ready(store)
    assert not list(store.parent.glob("*aside*"))


def test_of_several_at_once_one_makes_the_store(
    store: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.unlink()
    made: list[Path] = []

    def migrate(path: Path, artifacts: Path | None) -> None:
        made.append(path)
        assert not store.exists(), "it is made under another name"
        shutil.copy(mlflow_store, path)

    monkeypatch.setattr(tracking_store, "_migrate", migrate)
    threads = [Thread(target=make_ready, args=(store,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and store.read_bytes() == mlflow_store.read_bytes() and not list(store.parent.glob(".*new*"))


def test_what_cannot_be_made_leaves_nothing_half_made(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.unlink()

    def full(path: Path, artifacts: Path | None) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(tracking_store, "_migrate", full)
        make_ready(store)
    assert [path.name for path in store.parent.iterdir() if "lock" not in path.name] == []
    store.with_name(".mlflow.db.new").write_bytes(b"left by a kill")
    Path(f"{store}-journal").write_bytes(b"of a store that is gone")
    make_ready(store)
    assert sorted(path.name for path in store.parent.iterdir() if "lock" not in path.name) == [FILE]


def test_links_follow_a_results_folder_that_is_moved(
    mlflow_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    one, two = tmp_path / "one #1 100% é", tmp_path / "two"
    one.mkdir()
    shutil.copy(mlflow_store, one / FILE)
    client = connect(one)
    experiment = client.create_experiment("avbench", artifact_location=(one / ARTIFACTS).as_uri())
    other = client.create_run(client.create_experiment("theirs", artifact_location=(tmp_path / "theirs").as_uri()))
    run = client.create_run(experiment).info.run_id
    (tmp_path / "note.txt").write_text("here", "utf-8")
    client.log_artifact(run, str(tmp_path / "note.txt"))
    one.rename(two)
    client = connect(two)
    info = client.get_run(run).info
    assert Path(url2pathname(urlsplit(info.artifact_uri).path), "note.txt").read_text("utf-8") == "here"
    again = client.create_run(experiment).info
    client.log_artifact(again.run_id, str(tmp_path / "note.txt"))
    assert again.artifact_uri.startswith((two / ARTIFACTS).as_uri()) and not one.exists()
    assert client.get_run(other.info.run_id).info.artifact_uri == other.info.artifact_uri
    shutil.copytree(two, one)
    assert connect(two).get_run(run).info.artifact_uri == info.artifact_uri
    assert connect(one).get_run(run).info.artifact_uri.startswith(one.as_uri()), "a copy has files of its own"


def test_files_and_servers_are_told_apart(tmp_path: Path) -> None:
    assert file_of("sqlite:////a/b.db") == Path("/a/b.db") and file_of("sqlite:///b.db") == Path("b.db")
    for other in ("http://127.0.0.1:9", "sqlite:///:memory:", "sqlite://", "sqlite:///file:a?uri=true", "./mlruns"):
        assert file_of(other) is None
    (tmp_path / "what?").mkdir()
    with pytest.raises(UserError, match="question mark"):
        make_ready(tmp_path / "what?" / FILE)


KILLED = """
import os, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
import mlflow.store.tracking.sqlalchemy_store
from mlflow.db import upgrade
store, last = sys.argv[1], int(sys.argv[2])
done = []
def counted(*what):
    done.append(1)
    if len(done) == last:
        os._exit(9)
event.listen(Engine, "before_cursor_execute", counted)
upgrade.callback(url=f"sqlite:///{store}")
"""


@pytest.mark.slow
@pytest.mark.parametrize("last", [30, 400, 1200])
def test_a_store_whose_making_was_killed_is_mended_or_set_aside(last: int, tmp_path: Path) -> None:
    store = tmp_path / FILE
    assert subprocess.run([sys.executable, "-c", KILLED, str(store), str(last)], check=False).returncode == 9
    make_ready(store)
    assert len(list(tmp_path.glob("mlflow-aside-*.db"))) == 1
    assert sql(store, "SELECT version_num FROM alembic_version") == [(tracking_store._scripts().get_current_head(),)]
    tracking_store._require_tables(store)


@pytest.mark.slow
def test_a_store_of_an_earlier_mlflow_keeps_its_runs(tmp_path: Path) -> None:
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    store = tmp_path / FILE
    engine = create_engine(f"sqlite:///{store}")
    Base.metadata.create_all(engine)
    config = _get_alembic_config(f"sqlite:///{store}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "867495a8f9d4")
    engine.dispose()
    sql(store, "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'avbench', 'active')")
    make_ready(store)
    assert sql(store, "SELECT experiment_id FROM experiments WHERE name = 'avbench'") == [(7,)]
    assert len(list(tmp_path.glob("mlflow-aside-*.db"))) == 1


@pytest.mark.slow
def test_two_first_runs_at_once_log_to_one_store(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from avbench.report.tracking_client import connect\n"
        "from avbench.report.tracking_runs import _experiment, _parent\n"
        "results = Path(sys.argv[1]); client = connect(results); experiment = _experiment(client, results)\n"
        "client.create_run(experiment, tags={'mlflow.parentRunId': _parent(client, experiment, \"bob's\")})\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    words = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        _, said = one.communicate()
        assert one.returncode == 0, said
    client = connect(tmp_path)
    logged = client.search_runs([client.get_experiment_by_name("avbench").experiment_id])
    parents = {run.data.tags["mlflow.parentRunId"] for run in logged if "mlflow.parentRunId" in run.data.tags}
    assert len(logged) - 2 >= len(parents) == 1 and not list(tmp_path.glob("*aside*"))
