"""Where things lie: the cache, the results, and the files that ship with avbench."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from avbench.errors import UserError


def cache_folder() -> Path:
    """Return the folder of demo data and fetched weights: $AVBENCH_CACHE or ~/.cache/avbench."""
    given = os.environ.get("AVBENCH_CACHE") or "~/.cache/avbench"
    try:
        return Path(given).expanduser()
    except RuntimeError as error:  # a ~user that is nobody, or no home
        raise UserError(f"{given}: {error}; set AVBENCH_CACHE to a folder") from error


def results_folder() -> Path:
    """Return the folder of runs and trainings: $AVBENCH_RESULTS or ./results."""
    return Path(os.environ.get("AVBENCH_RESULTS") or "results")


def shipped(name: str) -> Path:
    """Return a shipped folder such as "protocols": inside the installed package, else in the checkout."""
    package = Path(str(files("avbench")))
    return package / name if (package / name).is_dir() else package.parent / name


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it at the end, so that nobody meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if error.errno and not error.filename:  # a full disk does not say where
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
