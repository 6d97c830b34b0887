"""How a command ends that cannot go on: in one line and with no traceback, unless --traceback asks for it."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from avbench.errors import in_one_line

log = logging.getLogger(__name__)


@contextmanager
def without_tracebacks(*, shown: bool) -> Iterator[None]:
    """Keep tracebacks of threads, of objects that go and of log records to a line each, unless they are `shown`."""
    if shown:
        yield
        return
    before = threading.excepthook, sys.unraisablehook, logging.raiseExceptions
    handlers, in_short = list(logging.getLogger().handlers), _InShort()
    threading.excepthook = lambda failure: log.warning("a thread ended: %s", _short(failure.exc_value))
    sys.unraisablehook = lambda failure: log.debug("%s", _short(failure.exc_value))
    logging.raiseExceptions = False  # what a handler cannot write must not be shown with a traceback either
    for handler in handlers:
        handler.addFilter(in_short)
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook, logging.raiseExceptions = before
        for handler in handlers:
            handler.removeFilter(in_short)


def _short(error: BaseException | None) -> str:
    return "no error" if error is None else in_one_line(error)


class _InShort(logging.Filter):
    """Ends a record that carries an error with its class and message, in place of its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error: Any = record.exc_info[1] if record.exc_info else None
        if isinstance(error, BaseException):
            record.msg, record.args = f"{record.getMessage()}: {in_one_line(error)}", ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True
