"""Every preset against published_facts.toml: what was published of sizes, names, recipe, losses, and what is ours."""

from __future__ import annotations

import hashlib
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import ReduceLROnPlateau

from avbench.bench.contract import random_batch
from avbench.config import resolve
from avbench.detector import Detector
from avbench.engine.building import build
from avbench.references import load_object
from avbench.settings import plain
from avbench.types import ClipSpec, DetectorSpec, Output, Preset, Stage, Task

Row = Mapping[str, Any]
FACTS: Mapping[str, Mapping[str, Row]] = tomllib.loads(
    Path(__file__).with_name("published_facts.toml").read_text("utf-8")
)
ROWS = [(name, preset) for name, presets in FACTS.items() for preset in presets]
NETWORKS = [(name, preset) for name, preset in ROWS if "parameters" in FACTS[name][preset]]
ALWAYS_SAID = {"name", "epochs", "batch", "lr", "weight_decay", "clip_norm"}
STEPS = 100  # of a stage, for its rates


@cache
def built_in() -> dict[str, DetectorSpec]:
    """Return the detectors and pre-training networks that this distribution declares."""
    found: dict[str, DetectorSpec] = {}
    for point in distribution("avbench").entry_points.select(group="avbench"):
        plugin = point.load()
        declared = [*getattr(plugin, "avbench_detectors", list)()]
        declared += [spec.network for spec in getattr(plugin, "avbench_pretrainings", list)()]
        found |= {spec.name: spec for spec in declared}
    return found


def published_presets(spec: DetectorSpec) -> list[Preset]:
    """Return the presets that follow something published: all but that of the demo data."""
    return [preset for preset in spec.presets if preset.name != "demo"]


@dataclass(frozen=True, slots=True)
class Learning:
    """How a stage begins: its optimiser's kind and first group, and the rate at 0, 1, ... steps, or its plateau."""

    optimizer: str
    group: Mapping[str, Any]
    rates: list[float]
    plateau: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class OnPaper:
    """A detector whose weights take no memory: sizes and shapes as it is built, then what each stage makes of it."""

    detector: Detector
    sizes: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    learning: list[Learning]
    trainable: int  # in the last stage


@cache
def on_paper(name: str, preset: str) -> OnPaper:
    """Build a detector's binary preset once for all tests, and begin its stages."""
    detector = built(name, preset)
    sizes = {n.removeprefix("network."): p.numel() for n, p in detector.named_parameters()}
    shapes = {n.removeprefix("network."): tuple(value.shape) for n, value in detector.state_dict().items()}
    learning = [learning_of(detector, stage) for stage in detector.config.stages]
    trainable = sum(p.numel() for p in detector.parameters() if p.requires_grad)
    return OnPaper(detector, sizes, shapes, learning, trainable)


def built(name: str, preset: str, *overrides: str, task: Task = "binary") -> Detector:
    spec = built_in()[name]
    with torch.device("meta"):
        return build(spec, resolve(spec, task, preset=preset, overrides=overrides), 0)


def learning_of(detector: Detector, stage: Stage) -> Learning:
    """Begin a stage, and step its schedule to its end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # nothing is loaded into weights that are not there
        detector.begin_stage(stage)
        optimizer, schedule = detector.optimizer(stage, STEPS)
        group = dict(optimizer.param_groups[0])
        rates, plateau = [group["lr"]], None
        for _ in range(STEPS):
            if isinstance(schedule, ReduceLROnPlateau):
                plateau = {"factor": schedule.factor, "patience": schedule.patience, "min_lr": schedule.min_lrs[0]}
            elif schedule is not None:
                schedule.step()
            rates.append(optimizer.param_groups[0]["lr"])
    return Learning(type(optimizer).__name__, group, rates, plateau)


def stages_of(row: Row) -> list[dict[str, Any]]:
    return [dict(stage) for stage in row.get("stages", [])]


def test_every_preset_has_a_row_and_every_row_a_preset() -> None:
    there = {(name, preset.name) for name, spec in built_in().items() for preset in published_presets(spec)}
    assert there - set(ROWS) == set(), "write down what was published of them, or that they are ours"
    assert set(ROWS) - there == set()
    assert all(FACTS[name][preset]["source"] for name, preset in ROWS)


@pytest.mark.parametrize(("name", "preset"), ROWS)
def test_inputs_settings_and_recipe(name: str, preset: str) -> None:
    row, spec = FACTS[name][preset], built_in()[name]
    chosen = next(one for one in spec.presets if one.name == preset)
    assert list(spec.tasks) == row.get("tasks", ["binary", "four_class"])
    assert sorted(spec.requires) == sorted(row.get("requires", ["audio", "video"]))
    assert list(spec.members) == row.get("members", [])
    assert spec.pooling == row.get("pooling", "mean")

    starts = {weights.setting for weights in spec.weights}
    settings = {key: value for key, value in plain(chosen.settings).items() if key not in starts}
    assert settings == row.get("settings", {})
    assert {key: dict(value) for key, value in chosen.for_dataset.items()} == row.get("on", {})
    assert {key: dict(value) for key, value in chosen.switches.items()} == row.get("switches", {})
    clip = dict(row.get("clip", {}))
    assert chosen.clip == ClipSpec(**{**clip, "annotations": tuple(clip.pop("annotations", ()))})

    own = {"optimizer", "betas", "rates", "plateau", "losses"}
    stages = [{key: value for key, value in stage.items() if key not in own} for stage in stages_of(row)]
    assert all(stage.keys() >= ALWAYS_SAID for stage in stages)
    assert [replace(stage, micro_batch=None) for stage in chosen.stages] == [Stage(**stage) for stage in stages]


@pytest.mark.parametrize(("name", "preset"), NETWORKS)
def test_sizes_and_names(name: str, preset: str) -> None:
    row, found = FACTS[name][preset], on_paper(name, preset)
    assert sum(found.sizes.values()) == row["parameters"]
    assert row.get("published", row["parameters"]) == row["parameters"] + sum(row.get("left_out", {}).values())
    for part, count in row.get("parts", {}).items():
        assert sum(size for n, size in found.sizes.items() if n.startswith(f"{part}.")) == count, part
    if "four_class" in row:
        four = built(name, preset, task="four_class")
        assert sum(p.numel() for p in four.parameters()) == row["four_class"]

    assert len(found.shapes) == row["entries"]
    below = row.get("names_below", "")
    lines = sorted(f"{n.removeprefix(below)}\t{shape}" for n, shape in found.shapes.items() if n.startswith(below))
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest().startswith(row["names"])
    shapes = row.get("shapes", {})
    assert {n: list(found.shapes.get(n, ("absent",))) for n in shapes} == shapes


@pytest.mark.parametrize(("name", "preset"), NETWORKS)
def test_optimisers_and_rates(name: str, preset: str) -> None:
    row, built_one = FACTS[name][preset], on_paper(name, preset)
    for found, said in zip(built_one.learning, stages_of(row), strict=True):
        assert found.optimizer == said["optimizer"]
        assert (list(found.group["betas"]), found.group["eps"]) == (said["betas"], 1e-8)
        assert found.group["weight_decay"] == said["weight_decay"]
        if said["optimizer"] == "AdamP":
            assert (found.group["delta"], found.group["wd_ratio"]) == (0.1, 0.1)
        assert found.plateau == said.get("plateau")
        rates = [found.rates[k] / said["lr"] for k in (0, STEPS // 2, STEPS)]
        assert rates == pytest.approx(said.get("rates", [1.0, 1.0, 1.0]), abs=1e-5)
    assert built_one.trainable == row.get("trainable", built_one.trainable)


@pytest.mark.parametrize(("name", "preset"), NETWORKS)
def test_losses(name: str, preset: str) -> None:
    """Parts are summed as published; their names are those that a small network of the same class gives."""
    for stage in stages_of(FACTS[name][preset]):
        if isinstance(stage["losses"], str):
            FORMULAS[stage["losses"]](name, preset)
            continue
        given = losses_of(name, stage["name"], FACTS[name][preset]["settings"])
        parts = {part: value for part, value in given.items() if part != "loss"}
        assert parts.keys() == stage["losses"].keys()
        if parts:
            expected = sum(share * parts[part] for part, share in stage["losses"].items())
            assert given["loss"] == pytest.approx(expected, rel=1e-5)


def losses_of(name: str, stage_name: str, settings: Mapping[str, object]) -> dict[str, float]:
    """Return what the demo preset's network loses on noise, in the stage of that name or else in its last one.

    What weighs its losses is as `settings` say.
    """
    spec = built_in()[name]
    weights = [f"{key}={value}" for key, value in settings.items() if "weight_" in key or key == "ssl_weight"]
    detector = build(spec, resolve(spec, "binary", overrides=weights, preset="demo"), 0)
    stages = detector.config.stages
    number = next((k for k, stage in enumerate(stages) if stage.name == stage_name), len(stages) - 1)
    for stage in stages[: number + 1]:
        detector.begin_stage(stage)
    batch = random_batch(detector.config.clip, 4)
    for annotation in detector.config.clip.annotations:
        batch.annotations[annotation] = torch.randint(0, 5, (4, 1, detector.settings.units)).float()
    detector.train()
    torch.manual_seed(0)
    with torch.no_grad():
        return {part: float(value) for part, value in detector.loss(detector(batch), batch).items()}


LOGITS = torch.tensor([[0.3, -0.2], [1.5, 0.4], [-0.7, 2.0], [0.1, 0.9]])


def said_of(name: str, preset: str, *overrides: str) -> tuple[float, torch.Tensor]:
    """Return the loss of `LOGITS` for the four classes in turn, and the label (4,) of the one stream that is learnt."""
    spec, detector = built_in()[name], on_paper(name, preset).detector
    if overrides:
        detector.settings = resolve(spec, "binary", preset=preset, overrides=overrides).settings
    batch = random_batch(ClipSpec(frames=1, size=8), 4)
    label = batch.forgery & 1 if spec.requires == {"video"} else batch.forgery >> 1
    return float(detector.loss(Output(logits=LOGITS), batch)["loss"]), label


def binary_cross_entropy(name: str, preset: str) -> None:
    """Compare with the binary cross-entropy of one logit, where labels are even."""
    given, label = said_of(name, preset)
    assert given == pytest.approx(float(F.binary_cross_entropy_with_logits(LOGITS[:, 1], label.float())), rel=1e-6)


def weighted_cross_entropy(name: str, preset: str) -> None:
    """Compare with the cross-entropy weighed 0.9 of bona fide and 0.1 of spoofed speech, and with an even one."""
    for overrides, weight in ((("asvspoof_weights=false",), [0.5, 0.5]), (("asvspoof_weights=true",), [0.9, 0.1])):
        given, label = said_of(name, preset, *overrides)
        assert given == pytest.approx(float(F.cross_entropy(LOGITS, label, torch.tensor(weight))), rel=1e-6)


FORMULAS = {"binary_cross_entropy": binary_cross_entropy, "weighted_cross_entropy": weighted_cross_entropy}


@pytest.mark.parametrize(("name", "preset"), [row for row in ROWS if "constants" in FACTS[row[0]][row[1]]])
def test_published_numbers_that_are_no_settings(name: str, preset: str) -> None:
    for reference, expected in FACTS[name][preset]["constants"].items():
        value = load_object(reference, "constant")
        if is_dataclass(value) and not isinstance(value, type):
            found = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(value).items()}
            assert found == expected, reference
        else:
            assert value == pytest.approx(tuple(expected) if isinstance(expected, list) else expected), reference
