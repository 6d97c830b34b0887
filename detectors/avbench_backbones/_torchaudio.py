"""Imports torchaudio even where its compiled part does not fit torch; we only use its Python part.

Import this before transformers, which imports torchaudio itself and fails with it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def _unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _import() -> ModuleType:
    try:
        return importlib.import_module("torchaudio")
    except (OSError, RuntimeError):  # compiled for another torch, or for CUDA beside a torch without it
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
    extension = ModuleType("torchaudio._extension")
    vars(extension).update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=_unchanged)
    sys.modules[extension.__name__] = extension
    return importlib.import_module("torchaudio")


torchaudio = _import()
