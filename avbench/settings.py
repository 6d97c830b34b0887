"""Settings as their declaration has them: a dataclass says types, choices and bounds, a mapping shows types by example.

A field of a settings dataclass is a bool, int, float or str, a `Literal[...]` of choices, any of these with bounds
(`Annotated[int, Range(min=1)]`), and `None` where the type says `| None`. Values are read from text and checked here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from avbench.types import AnySettings, Range, Setting

_ANY = Range()
_NOTHING = {"none", "null", ""}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class Declared:
    """What a field may hold: values of some types, each within its range; certain choices; perhaps nothing.

    Where the declaration is but an `example`, text is read as its type and other values are taken as they are.
    """

    kinds: tuple[tuple[type, Range], ...] = ()
    choices: tuple[Setting, ...] = ()
    optional: bool = False
    example: bool = False

    def read(self, text: str) -> Setting:
        """Return the value that a text names; a ValueError says what is expected instead."""
        if self.optional and text.lower() in _NOTHING:
            return None
        for choice in self.choices:
            if text == str(choice):
                return choice
        complaint = ""
        for kind, bounds in self.kinds:
            try:
                value: Setting = _READERS[kind](text)
            except (ValueError, KeyError):
                continue
            complaint = _complaint(value, bounds)
            if not complaint:
                return value
        raise ValueError(complaint or self._expected(text))

    def check(self, value: Setting) -> Setting:
        """Return a value that the field may hold, or that a text names; a ValueError says what is expected instead.

        A whole number may stand for a float and stays as it is.
        """
        if isinstance(value, str):
            return self.read(value)
        if self.example or (value is None and self.optional):
            return value
        if any(type(choice) is type(value) and choice == value for choice in self.choices):
            return value
        for kind, bounds in self.kinds:
            if type(value) is kind or (kind is float and type(value) is int):
                if complaint := _complaint(value, bounds):
                    raise ValueError(complaint)
                return value
        raise ValueError(self._expected(str(value)))

    def _expected(self, text: str) -> str:
        known = [str(choice) for choice in self.choices]
        close = get_close_matches(text, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}? " if close else ""
        nothing = ["none"] * self.optional
        if not self.kinds:
            return f"{hint}use one of {', '.join([*known, *nothing])}"
        types = f"a value of type {' or '.join([*(kind.__name__ for kind, _ in self.kinds), *nothing])}"
        return f"{hint}use {', '.join(known)} or {types}" if known else f"expected {types}"


def plain(settings: AnySettings) -> dict[str, Setting]:
    """Return settings by name as plain values."""
    return dict(settings) if isinstance(settings, Mapping) else asdict(settings)


def declared(settings: AnySettings) -> dict[str, Declared]:
    """Return what each setting may hold.

    A dataclass declares it by its fields' types; TypeError for one that is not frozen or has a field of another type.
    Of a mapping the values are examples: text is read as their type; none is for those whose example is None.
    """
    if isinstance(settings, Mapping):
        return {name: _by_example(value) for name, value in settings.items()}
    if isinstance(settings, type) or not is_dataclass(settings):
        raise TypeError(f"{settings!r} is neither an instance of a dataclass nor a mapping")
    kind = type(settings)
    if not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise TypeError(f"{kind.__name__} can be changed behind the hash's back: make it @dataclass(frozen=True)")
    return dict(declared_by(kind, tuple(f.name for f in fields(kind))))


@cache
def declared_by(kind: type, names: tuple[str, ...]) -> Mapping[str, Declared]:
    """Return what these fields of a dataclass may hold; TypeError names a field of any other type."""
    hints = get_type_hints(kind, include_extras=True)
    found = {}
    for name in names:
        try:
            found[name] = _of_type(hints[name])
        except TypeError as error:
            raise TypeError(f"{kind.__name__}.{name}: {error}") from None
    return found


def made_of(settings: AnySettings, values: Mapping[str, Setting]) -> AnySettings:
    """Return settings as they were declared, a dataclass or a mapping, with these values."""
    return dict(values) if isinstance(settings, Mapping) else replace(settings, **values)


def _of_type(hint: Any, bounds: Range = _ANY) -> Declared:
    """Return what a type allows."""
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *metadata = get_args(hint)
        return _of_type(inner, next((m for m in metadata if isinstance(m, Range)), bounds))
    if origin is Literal:
        return Declared(choices=get_args(hint))
    if origin in (Union, UnionType):
        return _joined(_of_type(part, bounds) for part in get_args(hint))
    if hint is NoneType:
        return Declared(optional=True)
    if hint in _READERS:
        return Declared(((hint, bounds),))
    name = getattr(hint, "__name__", str(hint))
    raise TypeError(f"settings are bool, int, float, str or Literal[...], alone or with None; not {name}")


def _joined(parts: Iterable[Declared]) -> Declared:
    """Return what allows all that any of the parts does; the strictest type is tried first."""
    parts = list(parts)
    kinds = sorted((kind for part in parts for kind in part.kinds), key=lambda kind: [*_READERS].index(kind[0]))
    choices = tuple(choice for part in parts for choice in part.choices)
    return Declared(tuple(kinds), choices, any(part.optional for part in parts))


def _by_example(value: Setting) -> Declared:
    if value is None:
        return Declared(((int, _ANY), (float, _ANY)), optional=True, example=True)
    return Declared(((type(value), _ANY),), example=True)


def _complaint(value: Any, bounds: Range) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "must fit into 64 bits"
    return bounds.complaint(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


# From the strictest on.
_READERS: Mapping[type, Callable[[str], Any]] = {
    bool: lambda text: _WORDS[text.lower()],
    int: int,
    float: float,
    str: str,
}
