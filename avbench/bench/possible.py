"""What of a run can never be, told before its data are scanned: device, detector, task, preset, settings."""

from __future__ import annotations

from avbench import config
from avbench.bench.spec import Computing, RunSpec
from avbench.config import Config
from avbench.data import databases
from avbench.engine.building import build, class_of
from avbench.engine.devices import device_named
from avbench.hashing import digest_of
from avbench.plugins.registry import Plugins

_BUILT: set[str] = set()


def require_possible(spec: RunSpec, plugins: Plugins, computing: Computing) -> None:
    """Raise UserError for what a run of a detector that is no ensemble can never be computed with.

    A network is built, once, where its own settings are not those of its preset: what does not fit together is known to
    its constructor alone.
    """
    device_named(computing.device)
    detector, settings = plugins.detector(spec.detector), possible_settings(spec, plugins)
    preset = next(one for one in detector.presets if one.name == settings.preset)
    if config.changes(settings, preset):
        built = digest_of([detector.load, settings.as_dict()])
        if built not in _BUILT:  # one command asks about a run more than once
            build(detector, settings, spec.seed)
        _BUILT.add(built)


def possible_settings(spec: RunSpec, plugins: Plugins) -> Config:
    """Return the configuration that a run comes to; UserError for an unknown detector, task, preset or setting."""
    detector = plugins.detector(spec.detector)
    trained_on = spec.protocol.train if spec.checkpoint is None else ""
    settings = config.resolve(
        detector,
        spec.task,
        preset=spec.preset,
        overrides=spec.overrides,
        dataset=trained_on,
        demo=_on_demo_data(spec, plugins, trained_on),
    )
    class_of(detector)
    return settings


def _on_demo_data(spec: RunSpec, plugins: Plugins, trained_on: str) -> bool:
    """Whether demo data will feed a run."""
    names = dict.fromkeys(filter(None, (spec.protocol.test, trained_on)))
    datasets = plugins.datasets()
    found = [
        databases.will_be_demo(plugins.dataset(name), spec.roots, datasets, allow_demo=spec.allow_demo)
        for name in names
    ]
    return any(found)
