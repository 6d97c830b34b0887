"""One promise of a contract, and whether it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avbench.errors import UserError, in_one_line


@dataclass(frozen=True, slots=True)
class Result:
    """One promise of the contract, kept or broken."""

    promise: str
    kept: bool
    detail: str = ""


def judged(promise: str, complain: Callable[[], str]) -> Result:
    """Return a promise with what `complain` has against it: "" for nothing; what it raises breaks the promise."""
    try:
        complaint = complain()
    except UserError as error:
        complaint = str(error)
    except Exception as error:
        complaint = in_one_line(error)
    return Result(promise, not complaint, complaint)
