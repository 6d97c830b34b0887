"""One promise of a contract, and whether it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avbench.errors import UserError
from avbench.own_line import at_its_line


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
    except Exception as error:
        complaint = complaint_of(error)
    return Result(promise, not complaint, complaint)


def complaint_of(error: Exception) -> str:
    """Return what an error says against a promise: a UserError its text, any other also where it came from."""
    return str(error) if isinstance(error, UserError) else at_its_line(error)
