"""Whose fault an error was over a file: the file's, memory's, or that of code and settings, which no data can mend."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

import av
import cv2

from avbench.data.memory import ran_out
from avbench.errors import in_one_line
from avbench.types import MediaError, Reason

# What libraries raise over what a file holds.
_OF_FILES = (av.FFmpegError, cv2.error, OSError, EOFError, UnicodeError)
_OWN = Path(__file__).parents[1]
_LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))


def blamed(error: Exception, path: Path | str) -> tuple[MediaError, str]:
    """Return the media error that an error over a file comes to, and, where the file is not at fault, what is.

    The latter names the error and the line of avbench, or of a plugin, that raised it. Errors of libraries over a
    file's content are `bad_media`; those of code are too, for want of a score, and are told apart by it.
    """
    if ran_out(error):
        text = f"{path}: it takes more memory than a file may; if it should, allow more with --file-memory"
        return MediaError(Reason.OUT_OF_MEMORY, text), ""
    if isinstance(error, MediaError):
        root = error.__cause__
        known = error.reason != Reason.BAD_MEDIA or root is None or isinstance(root, _OF_FILES)
        return error, "" if known else _fault(root)
    if isinstance(error, _OF_FILES):
        return MediaError(Reason.BAD_MEDIA, f"{path}: {in_one_line(error)}"), ""
    fault = _fault(error)
    return MediaError(Reason.BAD_MEDIA, f"{path}: {fault}"), fault


def _fault(error: BaseException | None) -> str:
    return "" if error is None else f"{in_one_line(error)} (at {_place(error)})"


def _place(error: BaseException) -> str:
    """Return file and line of the last step in avbench or a plugin, or of the last one at all."""
    steps = traceback.extract_tb(error.__traceback__)
    own = [step for step in steps if not _of_library(step.filename)]
    step = (own or steps)[-1]
    return f"{step.filename}:{step.lineno}"


def _of_library(name: str) -> bool:
    path = Path(name)
    if not path.is_absolute():  # compiled, or of the interpreter
        return True
    return not path.is_relative_to(_OWN) and any(path.is_relative_to(folder) for folder in _LIBRARIES)
