"""Former names of fields: plugins, cards and protocols that were written before are still understood."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")

# Of ClipSpec; a card of format 1 has them too.
FORMER_CLIP_FIELDS: Mapping[str, str] = {
    "sound_rate": "sample_rate",
    "sound_samples": "audio_samples",
    "least_frames": "min_frames",
    "targets": "annotations",
}


def accepting(former: Mapping[str, str]) -> Callable[[type[T]], type[T]]:
    """Return a decorator of a dataclass whose keywords may have their former names, with a DeprecationWarning."""

    def decorated(cls: type[T]) -> type[T]:
        construct = cls.__init__

        @wraps(construct)
        def renaming(self: T, *values: Any, **named: Any) -> None:
            for was, name in former.items():
                if was in named and name not in named:  # with both, one of them is refused
                    warnings.warn(f"{cls.__name__}: {was} is called {name} now", DeprecationWarning, stacklevel=2)
                    named[name] = named.pop(was)
            construct(self, *values, **named)

        cls.__init__ = renaming  # type: ignore[assignment, method-assign]
        return cls

    return decorated
