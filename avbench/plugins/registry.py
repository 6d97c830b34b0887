"""Finds plugins, one by one: a broken one never stops the rest, and a clash names both sides."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pluggy

from avbench import hookspecs, protocol
from avbench.errors import UserError, unknown
from avbench.own_line import at_its_line, told
from avbench.types import DatasetSpec, DetectorSpec, MetricSpec, PerturbationSpec, PretrainingSpec, Protocol

log = logging.getLogger(__name__)
Spec = TypeVar("Spec", DetectorSpec, DatasetSpec, Protocol, MetricSpec, PerturbationSpec, PretrainingSpec)
_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a plugin came from; one named on the command line must work, an installed one may be broken."""

    name: str
    origin: str
    named: bool = False

    @property
    def key(self) -> str:
        """Return what pluggy calls the plugin."""
        return f"{self.name}@{self.origin}"

    def __str__(self) -> str:
        return f"plugin {self.name!r} ({self.origin})"


class Plugins:
    """The registered plugins and what they declare."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager("avbench")
        self.manager.add_hookspecs(hookspecs)
        self.sources: dict[str, Source] = {}
        self.named: list[str] = []
        self.declared: dict[str, DetectorSpec] = {}
        self._collected: dict[str, dict[str, Any]] = {}
        self._told: set[str] = set()

    def load_installed(self) -> None:
        """Register every entry point of group `avbench`; a broken one is a warning that names its distribution."""
        for point in sorted(entry_points(group="avbench"), key=lambda p: p.name):
            source = Source(point.name, _distribution(point))
            try:
                self._register(point.load(), source)
            except (Exception, SystemExit) as error:
                log.warning("%s is left out: %s", source, at_its_line(error))

    def load_named(self, name: str) -> None:
        """Register a file `PLUGIN.py` or a module; a broken one is a UserError."""
        path = Path(name)
        is_file = path.suffix == ".py"
        source = Source(path.stem if is_file else name, f"file {path}" if is_file else f"module {name}", named=True)
        try:
            module = _import_file(path) if is_file else importlib.import_module(name)
            if self.manager.is_registered(module):  # as an installed one
                log.warning("--plugin %s is installed and loaded already", name)
            else:
                self._register(module, source)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise UserError(
                f"--plugin {name} failed to load: {at_its_line(error)}; mend the plugin or leave it out"
            ) from error
        self.named.append(_key(name))

    def declare(self, spec: DetectorSpec) -> None:
        """Register a detector of this process alone; it takes the place of one that was declared under its name.

        Raises UserError for a name that cannot be one, and where a plugin gives another detector of that name. A
        process that is started does not know of it.
        """
        try:
            _validate(spec, DetectorSpec, "a detector")
        except (TypeError, ValueError) as error:
            raise UserError(f"detector {spec.name}: {error}") from error
        if self.detectors().get(spec.name) == spec:
            return
        source = Source(spec.name, f"declared as {spec.load}", named=True)
        if spec.name in self.declared:
            former = Source(spec.name, f"declared as {self.declared.pop(spec.name).load}")
            self.manager.unregister(name=former.key)
            self._collected.clear()
        if spec.name in self.detectors():
            other = self.source_of("avbench_detectors", DetectorSpec, spec.name)
            raise UserError(f"{other} gives another detector {spec.name!r}; give yours a name of its own")
        self._register(_Declared(spec), source)
        self.declared[spec.name] = spec

    def _register(self, plugin: object, source: Source) -> None:
        key = source.key
        try:
            self.manager.register(plugin, name=key)
            self.manager.check_pending()
            if not self.manager.get_hookcallers(plugin):
                raise ValueError("it implements no hook; mark its functions with @hookimpl")
        except Exception:
            if self.manager.has_plugin(key):
                self.manager.unregister(name=key)
            raise
        self.sources[key] = source
        self._collected.clear()

    def each(self, hook: str) -> Iterator[tuple[Source, Any]]:
        """Yield every implementation of a hook with its source, in order of registration."""
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            yield self.sources[implementation.plugin_name], implementation.function

    def collect(self, hook: str, kind: type[Spec]) -> dict[str, Spec]:
        """Return what a hook's plugins declare, by name, validated, in the order in which they declare it."""
        if hook not in self._collected:
            found: dict[str, tuple[Spec, Source]] = {}
            for source, function in self.each(hook):
                try:
                    declared = list(function())
                    for spec in declared:
                        _validate(spec, kind, hook)
                except (Exception, SystemExit) as error:
                    if source.named:
                        raise UserError(f"{source}: {hook}: {at_its_line(error)}") from error
                    log.warning("%s is left out of %s: %s", source, hook, at_its_line(error))
                    continue
                for spec in declared:
                    other = found[spec.name][1] if spec.name in found else None
                    if other is not None and source.named == other.named:
                        raise UserError(f"{source} and {other} both give {spec.name!r} ({hook}); rename or remove one")
                    if other is not None:  # one develops what one has installed
                        named, left = (source, other) if source.named else (other, source)
                        log.warning("%r is that of %s, not that of %s (%s)", spec.name, named, left, hook)
                    if other is None or source.named:
                        found[spec.name] = (spec, source)
            self._collected[hook] = found
        return {name: spec for name, (spec, _) in self._collected[hook].items()}

    def source_of(self, hook: str, kind: type[Spec], name: str) -> Source:
        """Return the plugin that declared a name."""
        self.collect(hook, kind)
        source: Source = self._collected[hook][name][1]
        return source

    def declarer_of(self, hook: str, kind: type[Spec], name: str) -> object:
        """Return the module, or what else is registered, that declared a name."""
        return self.manager.get_plugin(self.source_of(hook, kind, name).key)

    def detectors(self) -> dict[str, DetectorSpec]:
        """Return the declared detectors by name."""
        return self.collect("avbench_detectors", DetectorSpec)

    def datasets(self) -> dict[str, DatasetSpec]:
        """Return the declared datasets by name."""
        return self.collect("avbench_datasets", DatasetSpec)

    def metrics(self) -> dict[str, MetricSpec]:
        """Return the declared metrics by name."""
        return self.collect("avbench_metrics", MetricSpec)

    def perturbations(self) -> dict[str, PerturbationSpec]:
        """Return the declared perturbations by name."""
        return self.collect("avbench_perturbations", PerturbationSpec)

    def pretrainings(self) -> dict[str, PretrainingSpec]:
        """Return the declared networks for pre-training by name."""
        return self.collect("avbench_pretrainings", PretrainingSpec)

    def detector(self, name: str) -> DetectorSpec:
        """Return one detector or a UserError with the closest name."""
        return pick("detector", name, self.detectors())

    def dataset(self, name: str) -> DatasetSpec:
        """Return one dataset or a UserError with the closest name."""
        return pick("dataset", name, self.datasets())

    def pretraining(self, name: str) -> PretrainingSpec:
        """Return one network for pre-training or a UserError with the closest name."""
        return pick("network for pre-training", name, self.pretrainings())

    def protocols(self) -> dict[str, Protocol]:
        """Return every protocol by name: of datasets, shipped, declared, and in ./protocols/*.yaml."""
        return protocol.known(self.datasets(), self.collect("avbench_protocols", Protocol).values())

    def protocol(self, name: str) -> Protocol:
        """Return one protocol by its name or its YAML file, or a UserError with the closest name."""
        return protocol.find(name, self.datasets(), self.collect("avbench_protocols", Protocol).values())

    def notify(
        self, hook: str, *, leaving_out: Collection[str] = (), only: Collection[str] | None = None, **values: Any
    ) -> None:
        """Call observers one by one; what one of them raises is logged and harms nobody.

        Those marked `tryfirst` come first and those marked `trylast` last, else they are called as they were
        registered. Plugins called as `leaving_out` says are passed over; with `only`, all but those.
        """
        found = getattr(self.manager.hook, hook).get_hookimpls()
        for implementation in sorted(found, key=lambda one: one.trylast - one.tryfirst):
            source, function = self.sources[implementation.plugin_name], implementation.function
            if source.name in leaving_out or (only is not None and source.name not in only):
                continue
            accepted = function.__code__.co_varnames[: function.__code__.co_argcount]
            try:
                function(**{name: value for name, value in values.items() if name in accepted})
            except (Exception, SystemExit) as error:
                failure = f"{source}: {told(error, hook, function)}"
                if failure not in self._told:  # one that fails at each epoch is told once
                    log.warning("%s; the run goes on", failure)
                self._told.add(failure)


class _Declared:
    """The plugin of one detector that a Python program hands over."""

    def __init__(self, spec: DetectorSpec) -> None:
        self._spec = spec

    @hookspecs.hookimpl
    def avbench_detectors(self) -> Iterable[DetectorSpec]:
        yield self._spec


def pick(kind: str, name: str, known: dict[str, Spec]) -> Spec:
    """Return known[name] or raise the UserError that names the closest."""
    if name not in known:
        raise unregistered(kind, name, known)
    return known[name]


def unregistered(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Return the error for a name that nobody registered; where a file is called so, it says how to load that one."""
    path = Path(name if name.endswith(".py") else f"{name}.py")
    error = unknown(kind, name, known)
    try:
        at_hand = path.is_file()
    except (OSError, ValueError):  # no name of a file
        at_hand = False
    if not at_hand or _key(str(path)) in installed().named:
        return error
    return UserError(f"{error}; {path} is at hand: --plugin {path} loads what it declares")


@cache
def installed() -> Plugins:
    """Return the process's plugins, the installed ones loaded."""
    plugins = Plugins()
    plugins.load_installed()
    return plugins


def register_named(names: Iterable[str]) -> None:
    """Register plugins named on the command line, also in a worker that was spawned."""
    plugins = installed()
    for name in names:
        if _key(name) not in plugins.named:
            plugins.load_named(name)


def _key(name: str) -> str:
    """Return a named plugin's name as every folder and every worker understands it."""
    return str(Path(name).resolve()) if name.endswith(".py") else name


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"--plugin {path}: no such file")
    name = f"avbench_file_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise UserError(f"--plugin {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that "load" references and worker processes find it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _validate(spec: object, kind: type[Spec], hook: str) -> None:
    if not isinstance(spec, kind) or not is_dataclass(spec):
        raise TypeError(f"{hook} must yield {kind.__name__}, not {type(spec).__name__}")
    if not _NAME.fullmatch(spec.name):
        raise ValueError(f"{spec.name!r} is no name for a {kind.__name__}: use a-z, 0-9 and _")
    if isinstance(spec, Protocol) and (wrong := protocol.complaint(spec)):
        raise ValueError(f"protocol {spec.name}: {wrong}")


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
