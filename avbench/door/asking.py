"""What a Python program says, as the harness takes it: detectors, protocols, settings, data."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avbench.detector import Detector
from avbench.errors import UserError
from avbench.hashing import digest_of
from avbench.plugins.registry import Plugins
from avbench.protocol import Protocol, varied
from avbench.types import DetectorSpec, Setting

Asked = str | DetectorSpec | type[Detector]
Data = str | Path | Mapping[str, str | Path] | None


def detector_named(detector: Asked, plugins: Plugins) -> str:
    """Return a detector's registered name; a spec or a class that nobody registered is, for this process.

    Raises UserError for an unknown name, a name that another detector has, and a class that cannot be found by name.
    """
    if isinstance(detector, str):
        return plugins.detector(detector).name
    if isinstance(detector, type) and issubclass(detector, Detector):
        detector = spec_of(detector)
    if not isinstance(detector, DetectorSpec):
        raise UserError(f"{detector!r} is no detector: give a name, a DetectorSpec or a subclass of Detector")
    plugins.declare(detector)
    return detector.name


def spec_of(kind: type[Detector]) -> DetectorSpec:
    """Return the spec of a detector's class with the default preset: both tasks, both streams, clips of one second.

    Its version is a hash of the source of the class and of those it extends, so that a class that was changed is
    trained again. Raises UserError for a class that is not at the top of a module, and for one without source.
    """
    where, name = kind.__module__, kind.__qualname__
    if getattr(sys.modules.get(where), name, None) is not kind:
        raise UserError(f"detector {name}: its class cannot be loaded as {where}:{name}; define it at a module's top")
    try:
        written = [inspect.getsource(one) for one in kind.__mro__[: kind.__mro__.index(Detector)]]
    except (OSError, TypeError):
        raise UserError(
            f"detector {name}: nobody could tell whether its class was changed, as there is no source file; put it "
            "into one, or give a DetectorSpec with a version of its own"
        ) from None
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return DetectorSpec(name=words, load=f"{where}:{name}", title=name, version=digest_of(written)[:8])


def protocol_of(protocol: str | Path | Protocol, plugins: Plugins, variant: Mapping[str, Any] | None) -> Protocol:
    """Return the protocol of that name or YAML file, in a variant; see `avbench.protocol.varied`."""
    found = protocol if isinstance(protocol, Protocol) else plugins.protocol(str(protocol))
    return varied(found, variant or {})


def overrides_of(settings: Mapping[str, Setting] | None) -> tuple[str, ...]:
    """Return settings as the texts that `--set` takes; UserError for a value that is no setting."""
    return tuple(f"{name}={_text(name, value)}" for name, value in (settings or {}).items())


def _text(name: str, value: Setting) -> str:
    if isinstance(value, Mapping | list | tuple | set):
        raise UserError(f"settings: {name}={value!r} is no text, number, True, False or None")
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def roots_of(data: Data) -> dict[str, Path]:
    """Return folders of databases by name; UserError for one that is not there."""
    given = {} if data is None else dict(data) if isinstance(data, Mapping) else {"": data}
    roots = {name: Path(path).expanduser() for name, path in given.items()}
    for name, root in roots.items():
        if not root.exists():
            raise UserError(
                f"data: {f'{name}: ' if name else ''}{root} does not exist; give the folder that holds the databases, "
                "or the folder of each by its name, such as {'lavdf': PATH}"
            )
    return roots
