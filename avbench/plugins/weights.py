"""What a training starts from: each weight setting becomes a file, or random weights where those are meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avbench.config import Config, Weights
from avbench.errors import UserError
from avbench.plugins.weight_files import cached, held
from avbench.plugins.weight_safety import require_safe
from avbench.settings import plain
from avbench.types import AnySettings, DetectorSpec, Preset, Setting, WeightSpec

AUTO, RANDOM = "auto", "random"
_RANDOM = {RANDOM, "none", "", "None"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A weight setting of a configuration whose network has the part that it starts.

    `recipe` is the preset's own value, `published` are the weights of this setting that fit the configuration, the best
    first. The part is `needed` where the preset starts it from weights, or the setting asks for them.
    """

    setting: str
    part: str
    value: str
    recipe: str
    published: tuple[WeightSpec, ...]
    every: tuple[WeightSpec, ...]

    @property
    def needed(self) -> bool:
        """Whether the recipe starts this part from weights."""
        return self.recipe != RANDOM or self.value == AUTO

    @property
    def may_be_random(self) -> bool:
        """Whether the part can start at random."""
        return all(weights.random for weights in self.every)

    @property
    def candidates(self) -> tuple[WeightSpec, ...]:
        """Return the weights that would do: what "auto" may take, or the ones that the setting names."""
        if self.value == AUTO:
            return tuple(weights for weights in self.published if not weights.shipped)
        return tuple(weights for weights in self.every if weights.name == self.value)

    @property
    def found(self) -> tuple[Path, WeightSpec | None] | None:
        """Return the file that it starts from, and whose it is where that is known; None without one."""
        for weights in self.candidates:
            if (path := cached(weights)) is not None:
                return path, weights
        given = Path(self.value).expanduser()
        return (given, None) if self.value not in (AUTO, RANDOM) and given.is_file() else None


def starts(spec: DetectorSpec, config: Config) -> list[Start]:
    """Return the weight settings of the parts that the configured network has; those switched off are left out."""
    own = tuple(dict.fromkeys(weights.setting for weights in spec.weights))
    values, recipe = _values(config.settings, own), _values(_preset(spec, config).settings, own)
    found = []
    for setting in own:
        every = tuple(weights for weights in spec.weights if weights.setting == setting)
        has_part = any(_holds(weights.when, values) for weights in every)
        value = str(values[setting])
        if has_part or value not in (AUTO, RANDOM, recipe[setting]):
            fitting = tuple(w for w in every if _holds(w.when, values) and _holds(w.fits, values))
            found.append(
                Start(
                    setting=setting,
                    part=every[0].starts,
                    value=value,
                    recipe=str(recipe[setting]),
                    published=fitting,
                    every=every,
                )
            )
    return found


def choose(spec: DetectorSpec, config: Config, *, demo: bool = False, from_scratch: bool = False) -> dict[str, Weights]:
    """Resolve each weight setting to a file and its sha256, or to random weights.

    A setting is "random" or "none"; "auto", the first of its published weights that is in the cache; the name of
    published weights; or a file. Where "auto" finds none it is random on `demo` data alone. `from_scratch` starts at
    random whatever the preset starts from weights. Raises UserError, one for all that is missing.
    """
    chosen: dict[str, Weights] = {}
    missing: list[Start] = []
    for start in starts(spec, config):
        at_random = Weights(part=start.part, needed=start.needed)
        if start.value == RANDOM or (from_scratch and start.may_be_random and start.value in (AUTO, start.recipe)):
            chosen[start.setting] = at_random
        elif start.found is not None:
            path, weights = start.found
            require_safe(path, start.setting)
            chosen[start.setting] = Weights(path, held(path, weights), part=start.part, needed=start.needed)
        elif start.value == AUTO:
            chosen[start.setting] = at_random
            missing += [start] if not (demo and start.may_be_random) else []
        else:
            raise _not_there(start)
    if missing:
        raise _refusal(spec, config, missing)
    return chosen


def _not_there(start: Start) -> UserError:
    if start.candidates:
        return UserError(
            f"--set {start.setting}={start.value}: not fetched yet; run avbench weights fetch {start.value}"
        )
    names = ", ".join(weights.name for weights in start.every)
    return UserError(f"--set {start.setting}={start.value}: no such file; give a file, random, auto or one of: {names}")


def _refusal(spec: DetectorSpec, config: Config, missing: Sequence[Start]) -> UserError:
    """Return the error that names each missing file and the ways out."""
    told = []
    for start in missing:
        names = " or ".join(weights.name for weights in start.candidates)
        told.append(f"{start.part} ({names or f'none published fits these settings: --set {start.setting}=FILE'})")
    usual = config.preset == spec.default_preset(demo=False).name
    command = f"avbench weights fetch --for {spec.name}" + ("" if usual else f" --preset {config.preset}")
    ways = [f"run {command}"] if any(start.candidates for start in missing) else []
    if all(start.may_be_random for start in missing):
        ways.append("start at random by --from-scratch, which card and tables tell")
    where = f"{spec.name}, preset {config.preset}, starts from weights that are not here"
    return UserError("; ".join([f"{where}: {', '.join(told)}", *filter(None, [", or ".join(ways)])]))


def _preset(spec: DetectorSpec, config: Config) -> Preset:
    return next((preset for preset in spec.presets if preset.name == config.preset), spec.presets[0])


def _values(settings: AnySettings, own: Sequence[str]) -> dict[str, Setting]:
    """Return settings by name; a weight setting of no weights is "random", however it is said."""
    values = plain(settings)
    return values | {name: RANDOM if str(values.get(name)) in _RANDOM else values[name] for name in own}


def _holds(asked: Mapping[str, Setting], values: Mapping[str, Setting]) -> bool:
    return all(values.get(name) == value for name, value in asked.items())
