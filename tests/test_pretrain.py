"""Pre-training as a whole: people apart, frames counted once, exact resume, the encoder that FauForensics takes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from avbench import config
from avbench.bench.pretraining.measuring import FrameLabels
from avbench.bench.pretraining.plan import PretrainingRequest, locate, resolve_pretraining, split
from avbench.bench.pretraining.run import pretrain
from avbench.data.loading import Loading
from avbench.engine import loop
from avbench.engine.building import build
from avbench.engine.failures import FailureBudget
from avbench.errors import UserError
from avbench.plugins.registry import installed
from avbench.types import Forgery, Output, Sample
from avbench_graphau.detector import frame_loss
from avbench_graphau.loss import labels_of
from avbench_graphau.recipe import ANNOTATION, SPEC, Settings

SMALL = ("width=4", "clip.size=32", "crop_from=32", "crop=28", "input_size=32", "eval_batch=4")
TINY = (*SMALL, "batch=4", "micro_batch=4")


def unit_value(person: int, frame: int) -> int:
    return (3 * person + frame) % 6


def read_unit(path: Path) -> Any:
    from avbench.series import Series

    return Series.of_frames(np.load(path)[:, None], 20.0)  # the rate of folders of pictures


def scan_faces(root: Path) -> list[Sample]:
    return [
        Sample(
            p.stem,
            p.with_suffix(""),
            Forgery.RARV,
            identity=p.stem,
            fps=20.0,
            frames=10,
            annotations=((ANNOTATION, p),),
        )
        for p in sorted(root.glob("*.npy"))
    ]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Return ten people's folders of ten pictures whose brightness is the intensity of their only unit."""
    from avbench.hookspecs import hookimpl
    from avbench.plugins.registry import Source
    from avbench.types import AnnotationSpec, DatasetSpec

    class Faces:
        @hookimpl
        def avbench_datasets(self) -> list[DatasetSpec]:
            target = AnnotationSpec(ANNOTATION, f"{__name__}:read_unit", ("AU1",))
            return [
                DatasetSpec("faces", "Faces", f"{__name__}:scan_faces", annotations=(target,), forgery_labels=False)
            ]

    root, random = tmp_path / "faces", np.random.default_rng(0)
    for person in range(10):
        values = np.array([unit_value(person, frame) for frame in range(10)], np.float32)
        (root / f"P{person}").mkdir(parents=True)
        for frame, value in enumerate(values):
            picture = np.clip(40 * value + 20 + random.integers(0, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(root / f"P{person}" / f"{frame}.png"), picture)
        np.save(root / f"P{person}.npy", values)
    plugin = Faces()
    installed()._register(plugin, Source("faces", "this test"))
    yield root  # type: ignore[misc]
    installed().manager.unregister(plugin)
    installed()._collected.clear()


def fabric() -> Any:
    from avbench.engine.devices import make_fabric

    return make_fabric("cpu")


def tiny_request(faces: Path, *overrides: str, **changes: Any) -> tuple[PretrainingRequest, Any]:
    words = (*TINY, "backbone=resnet18", "neighbours=1", "positive_from=3", "jitter=0.1", "backbone_weights=random")
    values = {"roots": {"faces": faces}, "preset": "official", "device": "cpu", "loading": Loading(0), **changes}
    given = (*words, "clip.fps=20", *overrides)
    request = PretrainingRequest(network="graphau", dataset="faces", overrides=given, **values)
    return request, split(SPEC, locate(request, installed())[0], request)


def test_people_are_apart_and_a_database_without_units_is_refused(faces: Path, tiny: Path) -> None:
    _, parts = tiny_request(faces, fold=2)
    people = [{s.identity for s in part} for part in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, people)) == len(set.union(*people)) == 10 and all(people)
    request = PretrainingRequest(network="graphau", dataset="folder", roots={"folder": tiny})
    with pytest.raises(UserError, match=r"folder: it has no action units; choose bp4d, demo, demo_faces, disfa"):
        locate(request, installed())


def test_real_data_need_a_start_and_a_later_stage_what_was_taught_before(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVBENCH_CACHE", str(tmp_path))
    auto, _ = tiny_request(faces, "backbone_weights=auto")
    with pytest.raises(UserError, match=r"backbone \(none published fits .*\); start at random by --from-scratch"):
        resolve_pretraining(auto, installed())
    plan = resolve_pretraining(replace(auto, from_scratch=True), installed()).plan
    assert plan.config.random_start == ("backbone",) and plan.about["random_start"] == ["backbone"]
    later = replace(auto, stage="mefl", overrides=(*auto.overrides, "backbone_weights=random"))
    with pytest.raises(UserError, match=r"--stage mefl goes on from what anfl taught: .*--set graphau_weights=FILE"):
        resolve_pretraining(later, installed())
    plan = resolve_pretraining(replace(later, from_scratch=True), installed()).plan
    assert set(plan.config.random_start) == {"backbone", "graphau"}
    (tmp_path / "anfl.pth").write_bytes(b"of the first stage")
    given = replace(later, overrides=(*later.overrides, f"graphau_weights={tmp_path / 'anfl.pth'}"))
    assert resolve_pretraining(given, installed()).plan.config.random_start == ()


@pytest.mark.slow
def test_it_learns_and_the_encoder_loads_into_fauforensics(faces: Path, tmp_path: Path) -> None:
    settings = ("anfl.epochs=8", "mefl.epochs=2", "lr=3e-3", "jitter=0.02")
    request, _ = tiny_request(faces, *settings, results=tmp_path / "out")
    card, folder = pretrain(request, installed())
    scores = pd.read_csv(folder / "f1.csv")
    assert card.metrics["every_frame"]["frame"]["f1"].value == pytest.approx(scores["f1"].iloc[-1])
    curves = pd.read_csv(folder / "curves.csv")
    assert curves["val_f1"].max() > 0.75 > scores["all positive"].iloc[-1] and curves["loss"].min() < 0.65
    assert len(curves) == 10 and curves["val_f1"].notna().all() and card.training.chosen_epoch > 8
    assert "loss_pairs" in curves and curves["loss_pairs"].isna().tolist() == [True] * 8 + [False] * 2
    assert sorted(p.name for p in (folder / "figures").iterdir()) == [
        "f1.png",
        "f1.svg",
        "training.png",
        "training.svg",
    ]
    state = load_file(folder / "encoder.safetensors")
    assert {name.split(".")[0] for name in state} == {"backbone", "global_linear", "head"}
    said: list[str] = []
    again, _ = pretrain(request, installed(), say=said.append)
    assert again.id == card.id and "finished before" in said[-1]

    spec = installed().detector("fauforensics")
    settings = [f"fau_weights={folder / 'encoder.safetensors'}", "fau_width=4"]
    for features in ("global", "nodes"):
        asked = config.resolve(
            spec, "binary", preset="demo", overrides=[*settings, f"fau_features={features}", "fau_units=1"]
        )
        detector: Any = build(spec, asked, 0)
        detector.load_pretrained({"fau_weights": folder / "encoder.safetensors"})
        assert torch.equal(detector.network.FAUEncoder_cnn.backbone.conv1.weight, state["backbone.conv1.weight"])
        assert not any(p.requires_grad for p in detector.network.FAUEncoder_cnn.parameters())


def test_it_goes_on_exactly_after_a_kill(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)  # a state after every step
    whole = run_interrupted(faces, tmp_path / "whole", 0, monkeypatch)
    steps = 2 * len(pd.read_csv(whole / "curves.csv"))
    for step in (1, steps - 1):
        folder = run_interrupted(faces, tmp_path / str(step), step, monkeypatch)
        for name in ("encoder.safetensors", "curves.csv", "f1.csv"):
            assert (folder / name).read_bytes() == (whole / name).read_bytes(), (step, name)


def run_interrupted(faces: Path, out: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pre-train, interrupted once after so many steps if any."""
    from avbench_graphau.detector import GraphAU

    left = [step]

    def after_step(self: GraphAU) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(GraphAU, "after_step", after_step)
    request, _ = tiny_request(faces, "epochs=2", "batch=32", "micro_batch=16", results=out)
    if step:
        with pytest.raises(KeyboardInterrupt):
            pretrain(request, installed())
    return pretrain(request, installed())[1]


class Oracle(torch.nn.Module):
    """Says that a unit is shown in frames whose first value is even; labels are what they are."""

    def __init__(self, config: config.Config) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("unit_weights", torch.ones(1))

    def forward(self, batch: Any) -> Any:
        even = (batch.annotations[ANNOTATION][..., :1].nan_to_num() % 2 == 0).float()
        return Output(aux={"p": even})

    def labels(self, batch: Any) -> Tensor:
        return labels_of(batch.annotations[ANNOTATION], 3.0)


def test_every_frame_is_counted_once_where_clips_overlap(faces: Path) -> None:
    """Ten frames in clips of four: the last one, flush with the end, shows two frames again."""
    samples = [s for s in locate(tiny_request(faces)[0], installed())[0].samples() if s.identity == "P7"]
    clip = replace(SPEC.presets[1].clip, frames=4, fps=20.0, size=16)
    settings = Settings(units=1, unit_names="AU1")
    asked = config.Config("graphau", "binary", clip=clip, settings=settings, eval_batch=3, requires=SPEC.requires)
    oracle: Any = Oracle(asked)
    measured = FrameLabels(("AU1",), frame_loss)
    counts, _ = measured.count(oracle, samples, fabric(), Loading(0), FailureBudget(1, Loading(0)))
    value = [unit_value(7, frame) for frame in range(10)]
    expected = [0, 0, 0, 0]
    for one in value:
        even, shown = one % 2 == 0, one >= 3
        expected[(0 if even else 2) if shown else (1 if even else 3)] += 1
    assert counts.sum() == 10 and counts[0, 0].tolist() == expected


def test_demo_people_of_the_test_are_in_no_other_list(demo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = PretrainingRequest(network="graphau", dataset="demo")
    base, target = locate(request, installed())
    parts = split(SPEC, base, request)
    who: list[set[str]] = []
    for part in (parts.train, parts.validation, parts.test):
        who.append({f"{s.id.split('/')[0]} {np.load(dict(s.annotations)[ANNOTATION])['speaker']}" for s in part})
        assert all(s.forgery is Forgery.RARV for s in part)
        assert len({s.cluster for s in part}) == len(who[-1]), "people are what intervals resample"
    assert not who[0] & who[2] and not who[1] & who[2] and not who[0] & who[1] and len(who[2]) >= 20
    from avbench_demo.performance import AU_NAMES

    assert target.columns == AU_NAMES


@pytest.fixture
def command() -> Callable[..., int]:
    from avbench.cli import main

    return lambda *words: main(["pretrain", "graphau", *words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "disfo"], "did you mean 'disfa'"),
        (["--dataset", "disfa"], "no DISFA given"),
        (["--dataset", "demo", "--fold", "2"], "has its own split and no folds"),
        (["--dataset", "demo", "--stage", "third"], "use anfl, mefl or all"),
        (["--dataset", "demo", "--set", "units=3"], "cannot be set"),
        (["--dataset", "demo", "--set", "widht=3"], "did you mean 'width'"),
    ],
)
def test_mistakes_are_told_in_one_line(
    command: Callable[..., int], words: list[str], message: str, demo_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*words) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in lines if line.startswith("avbench: error:")]) == 1 and message in lines[-1]


def test_the_command_prints_a_table_and_where_the_encoder_is(
    command: Callable[..., int], faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [*SMALL, "batch=32", "epochs=1", "backbone=resnet18", "neighbours=1", "clip.fps=20"]
    words = [word for setting in settings for word in ("--set", setting)]
    data = ["--data", f"faces={faces}", "--preset", "official", "--workers", "0", "--results", str(tmp_path / "out")]
    data.append("--from-scratch")
    assert command("--dataset", "faces", "--fold", "2", "--stage", "anfl", *data, *words) == 0
    said = capsys.readouterr().out
    (folder,) = (tmp_path / "out" / "pretrainings").iterdir()
    assert "-f2-" in folder.name and str(folder / "encoder.safetensors") in said
    assert "caveats: random start: backbone" in said
    assert said.count("AU1") == 1 and "all positive" in said and "mean" in said
    assert not [name for name in load_file(folder / "encoder.safetensors") if name.startswith("head.edge_fc")]


def test_the_network_of_the_documentation_learns(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another network than the built-in one, as its page prints it, by command."""
    from avbench.cli import main

    page = (Path(__file__).parents[1] / "docs" / "pretraining.md").read_text("utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[1]
    (tmp_path / "glow.py").write_text(code, "utf-8")
    plugin = ["--plugin", str(tmp_path / "glow.py")]
    command = ["pretrain", "glow", *plugin, "--dataset", "faces", "--data", f"faces={faces}", "--workers", "0"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    (folder,) = (tmp_path / "pretrainings").iterdir()
    card = json.loads((folder / "card.json").read_text("utf-8"))
    assert card["status"] == "finished" and card["detector"]["name"] == "glow" and card["task"] == "action units"
    scores = pd.read_csv(folder / "f1.csv").set_index("unit")
    assert scores["f1"]["AU1"] > 0.9 > scores["all positive"]["AU1"]
    assert set(load_file(folder / "encoder.safetensors")) == {"layer.weight", "layer.bias"}
    assert (folder / "figures" / "f1.svg").is_file() and "AU1" in capsys.readouterr().out
    assert main([*command, "--set", "columns=3"]) == 2 and main(["pretrain", "glwo", *command[2:]]) == 2
    told = capsys.readouterr().err
    assert "it cannot be set" in told and "no network for pre-training called 'glwo'; did you mean 'glow'" in told


def test_a_pretraining_that_fails_says_so_in_its_card(faces: Path, tmp_path: Path) -> None:
    request, _ = tiny_request(faces, "lr=1e30", "epochs=1", results=tmp_path / "out")
    with pytest.raises(UserError, match="lower the rate"):
        pretrain(request, installed())
    card = json.loads(next((tmp_path / "out").glob("pretrainings/*/card.json")).read_text("utf-8"))
    assert card["status"] == "failed" and "lower the rate" in card["error"]


def test_answers_of_the_wrong_shape_are_refused(faces: Path) -> None:
    request, parts = tiny_request(faces)
    measured = FrameLabels(("AU1", "AU2"), frame_loss)
    network = build(SPEC.network, resolve_pretraining(request, installed()).plan.config, 0)
    with pytest.raises(UserError, match=r"graphau: aux\[.p.\] gives values of shape \(4, 1, 1\) for 4 clips"):
        measured.count(network, parts.test, fabric(), Loading(0), FailureBudget(1, Loading(0)))
