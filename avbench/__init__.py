"""The benchmark for audio-visual deepfake detection: any detector, any dataset, one honest protocol.

In four lines, on demo data::

    import avbench

    run = avbench.run("fauforensics", "within_fakeav", task="binary")
    print(run.metrics)

Nothing heavy is imported before a function is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avbench.door.judging import audit, compare
    from avbench.door.reading import register, runs
    from avbench.door.running import matrix, perturb, run
    from avbench.errors import UserError
    from avbench.records.run import Run
    from avbench.records.runs import Runs

    __version__: str

_HOMES = {
    "run": "avbench.door.running",
    "perturb": "avbench.door.running",
    "matrix": "avbench.door.running",
    "compare": "avbench.door.judging",
    "audit": "avbench.door.judging",
    "runs": "avbench.door.reading",
    "register": "avbench.door.reading",
    "Run": "avbench.records.run",
    "Runs": "avbench.records.runs",
    "UserError": "avbench.errors",
}

__all__ = ["Run", "Runs", "UserError", "audit", "compare", "matrix", "perturb", "register", "run", "runs"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        found: Any = _version()
    elif name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'avbench' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("avbench")
    except PackageNotFoundError:  # a bare checkout on the path
        return "0+unknown"
