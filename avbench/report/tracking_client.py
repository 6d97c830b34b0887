"""A client of MLflow that a server cannot keep waiting: each run has a patience, and the first failure spends it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from avbench.report.tracking_store import ARTIFACTS, FILE, file_of, make_ready, uri_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

Answer = TypeVar("Answer")

PATIENCE = 9.0  # seconds that a server may keep a run waiting, beyond what each call may take
OF_A_FILE = 120.0  # the same of a store that is a file, which other processes may be writing to
CALL = 1.0  # seconds that a call may take
RATE = 500_000  # bytes a second at which files travel at the slowest

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # its own 7 are four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
_OF_A_FILE = {"MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool"}  # no connection outlives a file that is replaced


class Client:
    """An MlflowClient, with its methods, whose calls together wait no longer than the patience, in seconds.

    Raises TimeoutError where it ends: requests have time limits of their own, but not all of what precedes and follows
    them does (names that are looked up, answers that come byte by byte, pauses that a server asks for).
    """

    def __init__(self, connect: Callable[[], MlflowClient], patience: float, place: str) -> None:
        self._left, self._place = patience, place
        self._client = self._within(connect)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *given, **named: self._within(partial(method, *given, **named))

    def log_artifact(self, run: str, path: str, folder: str | None = None) -> None:
        """Send a file; a large one may take its time."""
        self._within(partial(self._client.log_artifact, run, path, folder), os.path.getsize(path) / RATE)

    def log_artifacts(self, run: str, path: str, folder: str | None = None) -> None:
        """Send all files of a folder."""
        size = sum(one.stat().st_size for one in Path(path).rglob("*") if one.is_file())
        self._within(partial(self._client.log_artifacts, run, path, folder), size / RATE)

    def _within(self, work: Callable[[], Answer], more: float = 0.0) -> Answer:
        """Return what `work` comes to, unless it takes longer than a call, `more` seconds and what patience is left."""
        answer: Future[Answer] = Future()

        def carry_out() -> None:
            try:
                answer.set_result(work())
            except BaseException as error:
                answer.set_exception(error)

        began, usual = time.monotonic(), CALL + more
        Thread(target=carry_out, name="mlflow", daemon=True).start()  # a pool's would be waited for at the end
        try:
            return answer.result(usual + self._left)
        except TimeoutError:
            if answer.done():
                raise
            raise TimeoutError(f"{self._place} kept it waiting for {time.monotonic() - began:.0f} s") from None
        finally:
            self._left = max(0.0, self._left - max(0.0, time.monotonic() - began - usual))


def connect(results: Path) -> Client:
    """Return a client of MLFLOW_TRACKING_URI, else of a store in the results folder, made ready where it is a file."""
    results = results.resolve()
    given = os.environ.get("MLFLOW_TRACKING_URI")
    file = file_of(given) if given else results / FILE
    for name, value in (_SETTINGS | (_OF_A_FILE if file is not None else {})).items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for chatty in ("mlflow", "alembic"):  # they would tell of every table they make
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # and this one of every attempt
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # its tracebacks; the error is told in a line
    if file is not None:
        make_ready(file, None if given else results / ARTIFACTS)
    uri = given or uri_of(results / FILE)
    patience = OF_A_FILE if file is not None else max(PATIENCE, _asked() - CALL)
    return Client(partial(MlflowClient, tracking_uri=uri), patience, uri.rpartition("@")[2])


def keeps_own_store() -> bool:
    """Whether runs are logged to the store in their results folder."""
    return not os.environ.get("MLFLOW_TRACKING_URI")


def _asked() -> float:
    """Return the seconds that a request may take: who sets more has asked for it."""
    try:
        return float(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"])
    except (KeyError, ValueError):
        return 0.0
