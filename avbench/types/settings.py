"""Settings of a detector as types: a value, all of them, and how a field is declared more closely than by its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass
from typing import Annotated, Any, ClassVar, Protocol

Setting = str | int | float | bool | None


class DataclassInstance(Protocol):
    """An instance of any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


AnySettings = DataclassInstance | Mapping[str, Setting]


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number, as metadata of its type: `Annotated[int, Range(min=1)]`.

    A value may be `min` and `max` themselves, but not `above` and `below`.
    """

    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None

    def complaint(self, value: float) -> str:
        """Return which bound a value breaks, in words; nothing if it lies within all of them."""
        if self.min is not None and not value >= self.min:
            return f"must be at least {self.min:g}"
        if self.max is not None and not value <= self.max:
            return f"must be at most {self.max:g}"
        if self.above is not None and not value > self.above:
            return f"must be above {self.above:g}"
        if self.below is not None and not value < self.below:
            return f"must be below {self.below:g}"
        return ""


# What settings often are; no count is larger than what libraries in C take.
MOST = 2**31 - 1
ZeroOrMore = Annotated[int, Range(min=0, max=MOST)]
Count = Annotated[int, Range(min=1, max=MOST)]
Share = Annotated[float, Range(min=0, max=1)]
