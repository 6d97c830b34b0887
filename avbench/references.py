"""Objects by their "module:name", imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from avbench.errors import UserError
from avbench.own_line import at_its_line


def load_object(reference: str, what: str) -> Any:
    """Import "module:attribute"; a UserError says whose reference is broken."""
    module_name, colon, attribute = reference.partition(":")
    try:
        if not colon:
            raise ValueError(f"{reference!r} is not of the form module:name")
        return getattr(importlib.import_module(module_name), attribute)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{what}: cannot load {reference!r}: {at_its_line(error)}") from error
