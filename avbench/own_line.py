"""Which line of a plugin's own code an exception came from, and the one-line error that names it."""

from __future__ import annotations

import errno
import linecache
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import findsource, getmodule, isclass
from itertools import takewhile
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any

from avbench.errors import UserError

LONGEST = 500  # characters of a message: PyTorch lists every name that does not fit
_HERE = Path(__file__).resolve().parent
_OF_THE_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_LIBRARIES = {"site-packages", "dist-packages"}
Line = tuple[str, int]


class PluginError(UserError):
    """Say what of a plugin failed, at which line of its own, and over what."""


@contextmanager
def blaming(what: str, owner: object, about: Callable[[], str] = lambda: "") -> Iterator[None]:
    """Turn whatever a plugin's code raises into a PluginError: `what` raised it at the line of `owner`'s code.

    `owner` is the class, function or module of the plugin that is called. `about` says in words what it was given. A
    UserError passes as it is, which the plugin wrote for the user, and so does a full disk.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if error.errno in _OF_THE_SYSTEM:
            raise
        raise PluginError(told(error, what, owner, about())) from error
    except (Exception, SystemExit) as error:
        raise PluginError(told(error, what, owner, about())) from error


def told(error: BaseException, what: str, owner: object, about: str = "") -> str:
    """Return in one line what raised which error at which line of `owner`'s code, and over what."""
    line = line_of(error, owner) or _defined(owner)
    return f"{what} raised {_at(error, line)}{f'; {about}' if about else ''}"


def at_its_line(error: BaseException) -> str:
    """Return an error in one line: its class, its message, and the last line of somebody's own code on its way."""
    steps = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    return _at(error, next((step for step in reversed(steps) if _is_loose(step[0])), None))


def _at(error: BaseException, line: Line | None) -> str:
    return f"{type(error).__name__}{f' at {shown(line)}' if line else ''}: {said(error, line)}"


def of_the_system(error: OSError) -> str:
    """Return in one line what the system refused: a full disk, a folder that cannot be written, a file that is gone."""
    return (
        f"{error.filename or 'a file'}: {error.strerror or error}; make room or choose another folder, and repeat the "
        "command: it continues (--traceback shows where this came from)"
    )


def unexpected(error: BaseException) -> str:
    """Return in one line what nobody foresaw: which error, where it came from, and what to do about it."""
    if isinstance(error, OSError):
        return of_the_system(error)
    if isinstance(error, MemoryError):
        return "out of memory: fewer --workers or --jobs, --set micro_batch=1 and --set eval_batch=1 need less"
    line = last_line(error)
    where = f" at {shown(line)}" if line else ""
    return f"{type(error).__name__}{where}: {said(error, line)}; please report it with what --traceback shows"


def said(error: BaseException, line: Line | None = None) -> str:
    """Return an error's message in one line, or the line of code where it has none, as that of a bare assert."""
    text = " ".join(str(error).split())
    if not text and line is not None:
        text = linecache.getline(*line).strip()
    return (text if len(text) <= LONGEST else f"{text[:LONGEST]} ...") or "no message"


def line_of(error: BaseException, owner: object) -> Line | None:
    """Return (file, line) of the last step of an error in the code of `owner`; None where it took none there.

    Its own are the file of its module, or the folder of its package; then whatever is neither of Python, of avbench nor
    of an installed library; then, of a class, the code of those that it extends.
    """
    steps = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    bases = tuple(takewhile(_is_not_ours, owner.__mro__ if isclass(owner) else (owner,)))
    own, inherited = _homes(bases[:1]), _homes(bases[1:])
    for found in (
        [step for step in steps if _within(step[0], own) or _is_loose(step[0])],
        [step for step in steps if _within(step[0], inherited)],
    ):
        if found:
            return found[-1]
    return None


def last_line(error: BaseException) -> Line | None:
    """Return (file, line) of the last step of an error in somebody's own code, else in that of avbench or a plugin."""
    steps = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    kinds: tuple[Callable[[str], bool], ...] = (_is_loose, lambda name: not _is_library(name), lambda name: True)
    for fits in kinds:
        if found := [step for step in steps if fits(step[0])]:
            return found[-1]
    return None


def shown(line: Line) -> str:
    """Return a line as file:number: the file below the current folder, or below its library, or as it is."""
    path = Path(line[0])
    parts = list(path.parts)
    if found := [parts.index(name) for name in _LIBRARIES if name in parts]:
        path = Path(*parts[found[0] + 1 :])
    elif path.is_relative_to(_HERE.parent):
        path = path.relative_to(_HERE.parent)
    elif path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{path.as_posix()}:{line[1]}"


def place_of(owner: object) -> str:
    """Return file:number of where a class or function begins; empty for one of avbench itself."""
    line = _defined(owner)
    return shown(line) if line else ""


def _homes(owners: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the files and (ending with a slash) folders of packages that hold owners' code, avbench's left out."""
    homes: list[str] = []
    for owner in owners:
        module = owner if isinstance(owner, ModuleType) else getmodule(owner)
        name = getattr(module, "__name__", "").partition(".")[0]
        root = sys.modules.get(name)
        if folders := getattr(root, "__path__", None):
            homes += [f"{Path(folder)}/" for folder in folders]
        elif file := getattr(module, "__file__", None):
            homes.append(file)
    return tuple(home for home in homes if home.endswith("/") or not _is_library(home))


def _is_not_ours(owner: object) -> bool:
    return getattr(owner, "__module__", "").partition(".")[0] != "avbench"


def _within(name: str, homes: tuple[str, ...]) -> bool:
    return any(name.startswith(home) if home.endswith("/") else name == home for home in homes)


def _is_library(name: str) -> bool:
    """Whether a file is of Python or of an installed library."""
    if name.startswith("<frozen"):
        return True
    places = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return bool(_LIBRARIES & set(Path(name).parts)) or any(name.startswith(f"{place}/") for place in places)


def _is_loose(name: str) -> bool:
    """Whether a file is of nobody that is installed: somebody's own, such as one beside a plugin's."""
    if name.startswith("<") or _is_library(name):
        return False
    beside = (_HERE, _HERE.parent / "detectors", _HERE.parent / "datasets")  # in a checkout
    return not any(Path(name).is_relative_to(folder) for folder in beside)


def _defined(owner: object) -> Line | None:
    """Return where a class or function that is not avbench's is defined."""
    if isinstance(owner, ModuleType) or not _is_not_ours(owner):
        return None
    if (code := getattr(owner, "__code__", None)) is not None:
        return code.co_filename, code.co_firstlineno
    try:
        line = findsource(owner)[1]  # type: ignore[arg-type]
    except (OSError, TypeError, IndexError):
        return None
    file = getattr(getmodule(owner), "__file__", None)
    return (file, line + 1) if file else None
