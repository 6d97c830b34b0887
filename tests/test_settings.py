"""Settings as declared: types, choices, bounds; text is read back as it was; every detector's; every weight file."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from avbench.cli import main
from avbench.config import Config, resolve
from avbench.detector import Detector
from avbench.engine.building import build, load_pretrained
from avbench.errors import UserError
from avbench.metrics.combining import RULES
from avbench.plugins.registry import installed
from avbench.settings import declared, plain
from avbench.types import Count, DetectorSpec, EnsembleSettings, Preset, Range, Share, WeightSpec
from avbench.types.settings import MOST
from avbench_graphau.recipe import SPEC as GRAPHAU


@dataclass(frozen=True, slots=True)
class Settings:
    """One field of each kind."""

    width: Count = 64
    fusion: Literal["mul", "add", "cat"] = "mul"
    depth: Literal[18, 50] = 18
    dropout: Share = 0.1
    rate: Annotated[float, Range(above=0, below=1)] = 0.5
    use_sound: bool = True
    crop: Annotated[int, Range(max=224)] | None = None
    scale: Literal["auto"] | float = "auto"
    note: str = ""
    name: str | None = None


class Built(Detector):
    """A detector whose width must be even, as it says itself."""

    settings: Settings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if self.settings.width % 2:
            raise ValueError(f"width={self.settings.width}\nis not even")
        self.head = torch.nn.Linear(self.settings.width, 2)

    def load_pretrained(self, weights: Any) -> None:
        """Load strictly, without a word of its own."""
        (path,) = weights.values()
        self.head.load_state_dict(torch.load(path, weights_only=True))


SPEC = DetectorSpec(
    name="example",
    load=f"{__name__}:Built",
    presets=(
        Preset(
            "official",
            settings=Settings(),
            for_dataset={"lavdf": {"dropout": 0, "crop": 100}},
            switches={"use_sound": {"note": "heard", "clip_scaled": True}},
        ),
        Preset("demo", settings=Settings(width=8)),
    ),
)


def settings(*overrides: str, **more: Any) -> Settings:
    found: Settings = resolve(SPEC, "binary", overrides=overrides, **more).settings
    return found


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("width=1", 1),
        ("fusion=cat", "cat"),
        ("depth=50", 50),
        ("dropout=1", 1.0),
        ("use_sound=off", False),
        ("crop=none", None),
        ("crop=224", 224),
        ("scale=auto", "auto"),
        ("scale=2", 2.0),
        ("note=None", "heard"),  # the switch brings it
        ("name=null", None),
        ("name=a=b", "a=b"),
    ],
)
def test_text_is_read_as_declared(override: str, expected: Any) -> None:
    key = override.partition("=")[0]
    value = getattr(settings(override), key)
    assert value == expected and type(value) is type(expected)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("fusion=foo", "--set fusion=foo: use one of mul, add, cat"),
        ("fusion=mull", "--set fusion=mull: did you mean 'mul'? use one of mul, add, cat"),
        ("depth=34", "--set depth=34: use one of 18, 50"),
        ("width=wide", "--set width=wide: expected a value of type int"),
        ("width=0", "--set width=0: must be at least 1"),
        ("width=none", "--set width=none: expected a value of type int"),
        ("width=2.0", "--set width=2.0: expected a value of type int"),
        ("width=", "--set width=: expected a value of type int"),
        ("crop=300", "--set crop=300: must be at most 224"),
        ("crop=all", "--set crop=all: expected a value of type int or none"),
        ("dropout=1.5", "--set dropout=1.5: must be at most 1"),
        ("dropout=nan", "--set dropout=nan: must be a finite number"),
        ("rate=0", "--set rate=0: must be above 0"),
        ("rate=1", "--set rate=1: must be below 1"),
        ("use_sound=2", "--set use_sound=2: expected a value of type bool"),
        ("scale=atuo", "--set scale=atuo: did you mean 'auto'? use auto or a value of type float"),
        ("precision=16", "--set precision=16: use one of 32-true, 16-mixed, bf16-mixed"),
        ("lr=none", "--set lr=none: expected a value of type float"),
        ("micro_batch=0", "--set micro_batch=0: must be at least 1"),
        ("eval_batch=0", "--set eval_batch=0: must be at least 1"),
        ("clip.whole=maybe", "--set clip.whole=maybe: expected a value of type bool"),
    ],
)
def test_what_is_not_declared_is_one_line(override: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        settings(override)
    assert str(error.value) == message


def test_datasets_and_switches_reach_a_dataclass() -> None:
    config = resolve(SPEC, "binary", dataset="lavdf")
    assert (config.settings.dropout, config.settings.crop, config.settings.note) == (0, 100, "heard")
    assert config.stages[0].clip_scaled and isinstance(config.settings, Settings)
    assert settings("crop=none", dataset="lavdf").crop is None
    quiet = resolve(SPEC, "binary", overrides=["use_sound=no"])
    assert quiet.settings.note == "" and not quiet.stages[0].clip_scaled


def test_a_dataclass_and_a_mapping_of_the_same_values_hash_alike() -> None:
    typed = resolve(SPEC, "binary", preset="demo")
    mapping = replace(SPEC, presets=(SPEC.presets[0], Preset("demo", settings=plain(Settings(width=8)))))
    assert typed.as_dict() == resolve(mapping, "binary", preset="demo").as_dict()
    assert typed.as_dict()["settings"] == plain(Settings(width=8))


def test_a_mapping_shows_types_by_example_and_stays_a_mapping() -> None:
    given = {"width": 3, "share": 0.5, "on": True, "how": "so", "limit": None}
    spec = DetectorSpec("mine", presets=(Preset(settings=given, for_dataset={"lavdf": {"width": 0.5}}),))
    overrides = ["width=4", "share=1", "on=no", "how=none", "limit=7"]
    found = resolve(spec, "binary", overrides=overrides).settings
    assert found == {"width": 4, "share": 1.0, "on": False, "how": "none", "limit": 7}
    assert resolve(spec, "binary", overrides=["limit=0.5"]).settings["limit"] == 0.5
    assert resolve(spec, "binary", overrides=["limit=none"]).settings["limit"] is None
    with pytest.raises(UserError, match="--set width=none: expected a value of type int"):
        resolve(spec, "binary", overrides=["width=none"])
    assert resolve(spec, "binary", dataset="lavdf").settings["width"] == 0.5, "what a plugin says stands"
    with pytest.raises(UserError, match="--set width=wide: expected a value of type int"):
        resolve(spec, "binary", overrides=["width=wide"])


@dataclass
class _Changeable:
    width: int = 3


@dataclass(frozen=True)
class _Listed:
    widths: list[int]


@dataclass(frozen=True)
class _Paired:
    low: int = 1
    high: int = 2

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low={self.low} is above high={self.high}")


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        (_Changeable(), "make it @dataclass"),
        (_Listed([1]), "_Listed.widths: settings are bool, int"),
        (Settings, "neither an instance of a dataclass nor a mapping"),
        (Settings(width=0), "mine, preset default: width=0: must be at least 1"),
        (Settings(fusion="foo"), "mine, preset default: fusion=foo: use one of mul"),  # type: ignore[arg-type]
    ],
)
def test_a_plugin_that_declares_wrongly_is_told(declaration: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve(DetectorSpec("mine", presets=(Preset(settings=declaration),)), "binary")


def test_a_settings_class_may_check_its_fields_together() -> None:
    spec = DetectorSpec("mine", presets=(Preset(settings=_Paired()),))
    assert resolve(spec, "binary", overrides=["low=5", "high=6"]).settings == _Paired(5, 6)
    with pytest.raises(UserError, match="mine, preset default: low=5 is above high=2"):
        resolve(spec, "binary", overrides=["low=5"])


@given(value=st.integers(-(10**12), 10**12))
def test_whole_numbers_are_read_back(value: int) -> None:
    bounds = Range(min=-5, below=9)
    assert bool(bounds.complaint(value)) == (not -5 <= value < 9)
    if 1 <= value <= MOST:
        assert settings(f"width={value}").width == value
    else:
        with pytest.raises(UserError, match=r"--set width=.* must be at"):
            settings(f"width={value}")


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_read_back_to_the_bit(value: float) -> None:
    assert settings(f"scale={value!r}").scale == value


@given(text=st.text(max_size=20))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    for field in declared(Settings()).values():
        try:
            value = field.read(text)
        except ValueError as error:
            assert "\n" not in str(error) and str(error).split()[0] in {"expected", "must", "use", "did"}
        else:
            assert field.check(value) == value


def test_settings_that_do_not_fit_together_are_one_line() -> None:
    config = resolve(SPEC, "binary", overrides=["width=7", "clip.size=96"])
    with pytest.raises(UserError) as error:
        build(SPEC, config, 0)
    said = "example cannot be built of preset official with width=7 note=heard clip.size=96: width=7 is not even"
    assert re.fullmatch(rf"{said} \(at (tests/)?test_settings\.py:\d+\)", str(error.value))


PLUGIN = """
from __future__ import annotations
from dataclasses import dataclass
from typing import Literal

import torch

from avbench.detector import Detector
from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, Count, DetectorSpec, Output, Preset, Stage
{settings}

class Mine(Detector):
    def __init__(self, config):
        super().__init__(config)
        self.head = torch.nn.Sequential(torch.nn.Linear(1, {width}), torch.nn.Linear({width}, self.classes))

    def forward(self, batch):
        return Output(logits=self.head(batch.audio.abs().mean(dim=1, keepdim=True)))


@hookimpl
def avbench_detectors():
    preset = Preset(clip=ClipSpec(size=32), settings={made}, stages=(Stage(epochs=1, batch=4, micro_batch=4),))
    yield DetectorSpec("settings_{kind}", load=f"{{__name__}}:Mine", tasks=("binary",), presets=(preset,))
"""
TYPED = """
@dataclass(frozen=True, slots=True)
class Settings:
    width: Count = 4
    kind: Literal["one", "two"] = "one"
"""


@pytest.mark.parametrize(
    ("kind", "width", "made", "refused"),
    [
        ("dataclass", "self.settings.width", "Settings()", "--set kind=tow: did you mean 'two'? use one of one, two"),
        ("mapping", "config.settings['width']", "{'width': 4, 'kind': 'one'}", ""),
    ],
)
def test_a_plugin_file_declares_either_way(
    kind: str, width: str, made: str, refused: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"settings_{kind}.py"
    file.write_text(PLUGIN.format(kind=kind, settings=TYPED * (kind == "dataclass"), width=width, made=made), "utf-8")
    assert main(["check", "--plugin", str(file), f"settings_{kind}"]) == 0
    spec = installed().detector(f"settings_{kind}")
    detector = build(spec, resolve(spec, "binary", overrides=["width=6"]), 0)
    assert detector.get_parameter("head.0.weight").shape == (6, 1)
    if refused:
        capsys.readouterr()
        words = ["run", "--plugin", str(file), "--detector", f"settings_{kind}", "--protocol", "within_demo"]
        assert main([*words, "--set", "kind=tow", "--out", str(tmp_path / "out")]) == 2
        said = capsys.readouterr().err
        assert refused in said and "Traceback" not in said


# Every detector that is installed

SPECS = {**installed().detectors(), "graphau": GRAPHAU.network}


@pytest.mark.parametrize("name", SPECS)
def test_all_presets_declare_by_one_dataclass(name: str) -> None:
    spec = SPECS[name]
    (kind,) = {type(preset.settings) for preset in spec.presets}
    assert is_dataclass(kind) or not any(plain(preset.settings) for preset in spec.presets)
    keys = set(plain(spec.presets[0].settings))
    assert {weights.setting for weights in spec.weights} <= keys
    for preset in spec.presets:
        assert set(preset.switches) <= keys
        assert all(type(plain(preset.settings)[switch]) is bool for switch in preset.switches)
    if is_dataclass(kind):
        assert kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}("), "says what it is"


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if not spec.members])
def test_every_field_comes_back_through_set(name: str) -> None:
    spec = SPECS[name]
    for preset in spec.presets:
        unswitched = replace(spec, presets=(replace(preset, switches={}),))
        for other in spec.presets:
            overrides = [f"{key}={value}" for key, value in plain(other.settings).items()]
            found = resolve(unswitched, spec.tasks[0], preset=preset.name, overrides=overrides).settings
            assert found == other.settings and type(found) is type(other.settings)
            kinds = {key: type(value) for key, value in plain(other.settings).items()}
            assert {key: type(value) for key, value in plain(found).items()} == kinds


def test_an_ensemble_may_choose_every_rule() -> None:
    assert set(RULES) == set(declared(EnsembleSettings())["combine"].choices)


# Published weights

WEIGHTS = sorted({(name, w.setting) for name, spec in SPECS.items() for w in spec.weights})
SWITCHES = {"landmarker_weights": ("fau_encoder=blendshapes",)}


@pytest.fixture(scope="module")
def detectors() -> dict[tuple[str, str], Detector]:
    """Return a detector of the demo preset for each weight setting."""
    made = {}
    for name, setting in WEIGHTS:
        spec = SPECS[name]
        config = resolve(spec, spec.tasks[0], preset="demo", overrides=SWITCHES.get(setting, ()))
        made[name, setting] = build(spec, config, 0)
    return made


@pytest.mark.parametrize("container", ["text", "empty", "foreign", "list", "shapes", "safetensors"])
@pytest.mark.parametrize(("name", "setting"), WEIGHTS)
def test_a_wrong_file_is_one_line(
    name: str, setting: str, container: str, detectors: dict[tuple[str, str], Detector], tmp_path: Path
) -> None:
    detector, path = (
        detectors[name, setting],
        tmp_path / f"wrong.{'safetensors' if container == 'safetensors' else 'pt'}",
    )
    if container == "text":
        path.write_text("<html>Sign in to download</html>")
    elif container == "empty":
        path.write_bytes(b"")
    elif container == "foreign":
        torch.save({"somebody.else": torch.zeros(3)}, path)
    elif container == "list":
        torch.save([torch.zeros(3)], path)
    elif container == "shapes":
        torch.save({key: torch.zeros(2, 7) for key in detector.state_dict()}, path)
    else:
        save_file({"somebody.else": torch.zeros(3)}, path)
    with pytest.raises(UserError) as error:
        load_pretrained(detector, {setting: path})
    said = str(error.value)
    assert said.startswith(f"{setting} = {path}: {name} cannot start from this file: ") and "\n" not in said
    assert f"{setting}=random" in said and len(said) < 900
    assert error.value.__cause__ is not None, "--debug shows where it was raised"


def test_what_pytorch_says_at_length_is_cut(tmp_path: Path) -> None:
    detector = build(SPEC, resolve(SPEC, "binary", overrides=["use_sound=no"]), 0)
    torch.save({f"entry.{number}": torch.zeros(1) for number in range(200)}, tmp_path / "w.pt")
    with pytest.raises(
        UserError, match=r"w.pt: example .*: RuntimeError: .*Missing key.* \.\.\.; give another"
    ) as error:
        load_pretrained(detector, {"weights": tmp_path / "w.pt"})
    assert len(str(error.value)) < 900 + len(str(tmp_path))
    load_pretrained(detector, {})


def test_a_wrong_file_ends_the_command_in_one_line(
    tmp_path: Path, demo_root: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "wrong.pt"
    path.write_text("no weights")
    words = ["run", "--detector", "lipforensics", "--protocol", "within_lavdf", "--task", "binary", "--limit", "8"]
    words += [
        "--seed",
        "0",
        "--set",
        f"pretrained={path}",
        "--data",
        f"lavdf={demo_root / 'LAV-DF'}",
        "--preset",
        "demo",
    ]
    with caplog.at_level(logging.ERROR):
        assert main([*words, "--workers", "0", "--device", "cpu", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if "cannot start from this file" in line]
    assert f"pretrained = {path}: lipforensics" in line


def test_weight_settings_are_read_from_a_dataclass() -> None:
    assert {f.name for f in fields(Settings)} == set(plain(Settings()))
    published = WeightSpec("some", "note", "Some", "file:///nowhere", "MIT")
    from avbench.plugins import weights

    spec = replace(SPEC, weights=(published,))
    assert weights.choose(spec, resolve(spec, "binary", overrides=["use_sound=no"]))["note"].sha256 == "random"


def test_a_value_with_a_line_break_is_told_in_one_line() -> None:
    with pytest.raises(UserError) as caught:
        resolve(installed().detector("majority"), "binary", overrides=("seed=a\nb",))
    assert "\n" not in str(caught.value)
