"""The code that a plugin's numbers come from, as a hash: its file or package, and what it imports from there.

Counted is what somebody develops or installs along with the plugin: modules outside site-packages, and inside those of
the plugin's own distribution. avbench itself counts by its version, Python and other libraries stand in the card.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

from avbench.hashing import digest_of
from avbench.plugins.registry import Plugins
from avbench.types import DetectorSpec

OWN = "avbench"  # counts by its version
_INSTALLED = {"site-packages", "dist-packages"}
_NO_CODE = {".pyc", ".pyo", ".md", ".rst"}


def detector_code(plugins: Plugins, spec: DetectorSpec) -> str:
    """Return the hash of a detector's code: of the module that its "module:Class" names and of its plugin's."""
    module, _, attribute = spec.load.partition(":")
    plugin = plugins.declarer_of("avbench_detectors", DetectorSpec, spec.name)
    names = dict.fromkeys([module, *([plugin.__name__] if isinstance(plugin, ModuleType) else [])])
    # A class that a program defines or loads anew is other code; one that is loaded stays what it was.
    return _digest(tuple(names), getattr(sys.modules.get(module), attribute, None))


def hook_code(plugins: Plugins, *hooks: str) -> dict[str, str]:
    """Return the hash of the code of each plugin that implements one of these hooks, those of avbench left out."""
    found: dict[str, str] = {}
    for hook in hooks:
        for implementation in getattr(plugins.manager.hook, hook).get_hookimpls():
            source = plugins.sources[implementation.plugin_name]
            if isinstance(implementation.plugin, ModuleType) and not source.origin.startswith(f"{OWN} "):
                found[source.name] = module_code(implementation.plugin.__name__)
    return found


def module_code(*modules: str) -> str:
    """Return the hash of the code of modules, whatever is imported from there included."""
    return _digest(tuple(dict.fromkeys(modules)), None)


@cache
def _digest(modules: tuple[str, ...], loaded: Any) -> str:
    units: dict[str, list[tuple[str, str]]] = {}
    waiting = [module.partition(".")[0] for module in modules]
    distributions = {one for name in waiting for one in _distributions(name)}
    while waiting:
        name = waiting.pop()
        if name in units or name == OWN:
            continue
        units[name] = []
        for named, path in _files(name):
            content = path.read_bytes().replace(b"\r\n", b"\n")
            units[name].append((named, hashlib.sha256(content).hexdigest()))
            if path.suffix == ".py":
                waiting += [one for one in _imported(content) if one not in units and _counts(one, distributions)]
    return digest_of(sorted((name, sorted(files)) for name, files in units.items()))


def _place(name: str) -> tuple[Path, bool] | None:
    """Return where a top-level module lies, and whether it is a package; None for one that has no file."""
    module = sys.modules.get(name)
    if module is not None and not getattr(module, "__spec__", None):  # a program that runs
        written = getattr(module, "__file__", None)
        return (Path(written), False) if written else None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))), True
    return (Path(spec.origin), False) if spec.origin and spec.has_location else None


def _files(name: str) -> Iterator[tuple[str, Path]]:
    """Yield (name below the module, file) of its code: all that lies in folders with Python files in them."""
    place = _place(name)
    if place is None:
        return
    root, is_package = place
    if not is_package:
        yield "", root
        return
    for path in sorted(root.rglob("*.py")) if not (root / "__init__.py").is_file() else _all_files(root):
        yield path.relative_to(root).as_posix(), path


def _all_files(root: Path) -> Iterator[Path]:
    for folder in sorted({path.parent for path in root.rglob("*.py")}):
        for path in sorted(folder.iterdir()):
            hidden = path.name.startswith(".") or path.name.endswith("~")
            if path.is_file() and not hidden and path.suffix not in _NO_CODE:
                yield path


def _imported(source: bytes) -> Iterable[str]:
    """Return the top-level names that a Python file imports, anywhere in it; nothing of one that is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0]: None for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found[node.module.partition(".")[0]] = None
    return found


def _counts(name: str, distributions: set[str]) -> bool:
    if name in sys.stdlib_module_names or name == OWN:
        return False
    place = _place(name)
    if place is None:
        return False
    if not _INSTALLED & set(place[0].parts):
        return True
    return bool(distributions) and bool(distributions & _distributions(name))


def _distributions(name: str) -> set[str]:
    """Return the distributions that an installed top-level module belongs to; nothing of one under development."""
    place = _place(name)
    if place is None or not _INSTALLED & set(place[0].parts):
        return set()
    return set(_by_package().get(name, ()))


@cache
def _by_package() -> dict[str, list[str]]:
    return dict(packages_distributions())
