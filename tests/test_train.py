"""Trainings: stages in order on their own samples, exact resume from any step, gradients bounded after unscaling."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from safetensors.torch import load_file

from avbench import config
from avbench.data.databases import Database
from avbench.data.loading import Loading
from avbench.data.splits import split
from avbench.detector import Detector
from avbench.engine import loop
from avbench.engine.plan import TrainingPlan
from avbench.engine.state import TrainingState
from avbench.engine.training import fit
from avbench.errors import UserError
from avbench.plugins.registry import installed
from avbench.records.card_parts import TrainingRecord
from avbench.records.training import CURVES, RECORD, VALIDATION, WEIGHTS, FinishedTraining
from avbench.types import ClipBatch, ClipSpec, DetectorSpec, Forgery, Output, Preset, Stage

CLIP = ClipSpec(frames=10, size=32)
STAGES = (
    Stage("listen", samples="real", epochs=2, batch=2, micro_batch=2, lr=0.05),
    Stage("judge", epochs=2, batch=4, micro_batch=2, lr=0.05),
)


class Staged(Detector):
    """Learns an encoder on real clips, then a head with the encoder frozen; a slow copy follows the head."""

    events: list[Any]  # what happened, in order
    steps_left: int  # until it is interrupted

    def __init__(self, config: config.Config) -> None:
        super().__init__(config)
        self.encoder = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.2))
        self.head, self.slow = torch.nn.Linear(4, self.classes), torch.nn.Linear(4, self.classes)
        self.slow.requires_grad_(False)

    def begin_stage(self, stage: Stage) -> None:
        self.events.append(stage.name)
        self.judging = stage.name == "judge"
        self.encoder.requires_grad_(not self.judging)
        self.head.requires_grad_(self.judging)

    def forward(self, batch: ClipBatch) -> Output:
        flicker = batch.video.float().diff(dim=1).abs().mean(dim=(1, 2, 3, 4)) / 16
        loudness = batch.audio.abs().mean(dim=1) * 10
        features = self.encoder(torch.stack([flicker, loudness], dim=1))
        return Output(logits=self.head(features) + self.slow(features), aux={"features": features})

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, torch.Tensor]:
        if self.training:
            self.events.append(batch.forgery.tolist())
        return super().loss(output, batch) if self.judging else {"loss": output.aux["features"].square().mean()}

    def optimizer(self, stage: Stage, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        optimizer, _ = super().optimizer(stage, steps)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (steps + 1))

    def after_step(self) -> None:
        with torch.no_grad():
            self.slow.weight.lerp_(self.head.weight, 0.3)
        Staged.steps_left -= 1
        if Staged.steps_left == 0:
            raise KeyboardInterrupt


def plan_of(tiny: Path, folder: Path, name: str, stages: tuple[Stage, ...]) -> TrainingPlan:
    """Return a plan that trains a class of this file on the small videos."""
    spec = DetectorSpec(name="example", load=f"{__name__}:{name}", presets=(Preset(clip=CLIP, stages=stages),))
    parts = split(Database(installed().dataset("folder"), tiny).samples())
    return TrainingPlan(
        id="example",
        folder=folder,
        spec=spec,
        config=config.resolve(spec, "binary"),
        seed=0,
        train=parts.train,
        validation=parts.validation,
        about={},
    )


@pytest.fixture
def staged(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FinishedTraining]:
    """Return a function that trains in two stages in a folder, until so many steps are made."""
    monkeypatch.setattr(Staged, "events", [], raising=False)

    def run(folder: Path, steps: int = 0) -> FinishedTraining:
        monkeypatch.setattr(Staged, "steps_left", steps, raising=False)
        Staged.events.clear()
        return fit(plan_of(tiny, folder, "Staged", STAGES), Fabric(accelerator="cpu"), Loading(workers=0))

    return run


def test_stages_come_in_order_and_the_first_sees_real_clips_only(
    staged: Callable[..., FinishedTraining], tmp_path: Path
) -> None:
    record = staged(tmp_path)
    second = Staged.events.index("judge")
    assert Staged.events[0] == "listen" and Staged.events.count("listen") == Staged.events.count("judge") == 1
    first_seen = [label for labels in Staged.events[1:second] for label in labels]
    then_seen = [label for labels in Staged.events[second + 1 :] for label in labels]
    assert first_seen == [Forgery.RARV] * 8, "2 epochs of 4 real videos"
    assert sorted(then_seen) == sorted([*Forgery] * 8), "2 epochs of 4 videos of each class"
    curves = pd.read_csv(tmp_path / "curves.csv")
    assert curves["epoch"].tolist() == [1, 2, 3, 4] and curves["val_auc"].isna().tolist() == [True, True, False, False]
    assert record.chosen_epoch == 1 + curves["val_auc"].idxmax(), "epochs are counted over all stages"


def test_a_training_goes_on_exactly_from_any_step_of_any_stage(
    staged: Callable[..., FinishedTraining], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)  # a state after every step
    whole = staged(tmp_path / "whole")
    steps = 2 * 2 + 2 * 4
    for step in range(1, steps + 1):
        folder = tmp_path / str(step)
        with pytest.raises(KeyboardInterrupt):
            staged(folder, step)
        record = staged(folder)
        assert len([event for event in Staged.events if isinstance(event, list)]) <= 2 * (steps - step + 1)
        for name in ("weights.safetensors", "curves.csv"):
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), (step, name)
        assert (record.chosen_epoch, record.threshold) == (whole.chosen_epoch, whole.threshold)
        assert record.validation == whole.validation and not list(folder.glob("state-*"))


class Constant(Detector):
    """Has one weight, whose gradient is ten."""

    def __init__(self, config: config.Config) -> None:
        super().__init__(config)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, batch: ClipBatch) -> Output:
        return Output(logits=self.weight * torch.ones(len(batch), 2), aux={"weight": self.weight})

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, torch.Tensor]:
        return {"loss": 10 * output.aux["weight"].sum()}

    def optimizer(self, stage: Stage, steps: int) -> tuple[torch.optim.Optimizer, None]:
        return torch.optim.SGD(self.parameters(), lr=stage.lr), None


@pytest.mark.parametrize(
    ("clip_norm", "clip_scaled", "moved"),
    [(1.0, False, 1.0), (1.0, True, 1 / 1024), (0.0, False, 10.0), (100.0, False, 10.0), (2048.0, True, 2.0)],
)
def test_gradients_are_bounded_after_unscaling_unless_the_published_way_is_asked_for(
    tiny: Path, tmp_path: Path, clip_norm: float, clip_scaled: bool, moved: float
) -> None:
    stage = Stage(epochs=1, batch=16, micro_batch=16, lr=1.0, clip_norm=clip_norm, clip_scaled=clip_scaled)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    fabric = Fabric(accelerator="cpu", plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    fit(plan_of(tiny, tmp_path, "Constant", (stage,)), fabric, Loading(workers=0))
    from safetensors.torch import load_file

    assert -load_file(tmp_path / "weights.safetensors")["weight"].item() == pytest.approx(moved, rel=1e-3)


class Directed(Detector):
    """Has a weight of three numbers, and for each clip a gradient of its own, which it writes down."""

    seen: list[torch.Tensor]

    def __init__(self, config: config.Config) -> None:
        super().__init__(config)
        self.weight = torch.nn.Parameter(torch.zeros(3))

    def forward(self, batch: ClipBatch) -> Output:
        slope_B3 = torch.stack([torch.sin((k + 1) * (batch.seed % 997).float()) * 10**k for k in range(3)], dim=1)
        if self.training:
            self.seen.append(slope_B3)
        said_B = (slope_B3 * self.weight).sum(dim=1)
        return Output(logits=torch.stack([torch.zeros_like(said_B), said_B], dim=1))

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, torch.Tensor]:
        assert output.logits is not None
        return {"loss": output.logits[:, 1].mean()}

    def optimizer(self, stage: Stage, steps: int) -> tuple[torch.optim.Optimizer, None]:
        return torch.optim.SGD(self.parameters(), lr=stage.lr, momentum=0.9), None


def test_scaled_gradients_are_bounded_after_each_accumulated_batch_as_a_loop_by_hand_does(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Directed, "seen", [], raising=False)
    stage = Stage(
        epochs=2, batch=3, accumulate=2, micro_batch=2, drop_last=False, lr=1.0, clip_norm=1.0, clip_scaled=True
    )
    fabric = Fabric(
        accelerator="cpu", plugins=[MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))]
    )
    fit(replace(plan_of(tiny, tmp_path, "Directed", (stage,)), validation=()), fabric, Loading(workers=0))

    slopes = torch.cat(Directed.seen).split(16)  # by epoch
    weight, scaler = torch.nn.Parameter(torch.zeros(3)), torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer = torch.optim.SGD([weight], lr=1.0, momentum=0.9)
    for epoch in slopes:
        batches = epoch.split(3)
        assert [len(batch) for batch in batches] == [3, 3, 3, 3, 3, 1], "the last one is kept"
        for number, batch in enumerate(batches, 1):
            loss = (batch @ weight).sum() / (6 if number < 5 else 4)  # clips of the two batches of a step
            torch.autograd.backward(scaler.scale(loss))
            torch.nn.utils.clip_grad_norm_([weight], 1.0)  # after each backward pass, of what is scaled
            if number % 2 == 0:
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
    assert torch.allclose(load_file(tmp_path / WEIGHTS)["weight"], weight.detach(), rtol=1e-5, atol=0)


def test_the_scale_of_the_loss_outlives_an_interruption(tiny: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny, tmp_path, "Constant", (Stage(epochs=3, batch=16, micro_batch=16, lr=1.0),))

    def stop(epoch: int, values: dict[str, float]) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    scales = []
    for on_epoch in (stop, lambda epoch, values: None):
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1)
        fabric = Fabric(accelerator="cpu", plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
        with suppress(KeyboardInterrupt):
            fit(plan, fabric, Loading(workers=0), on_epoch=on_epoch)
        scales.append(scaler.get_scale())
    assert scales == [1024 * 2**3, 1024 * 2**3], "doubled in each of three steps"


class Counting(Detector):
    """Learns nothing by gradients: it counts the clips of each class in a buffer."""

    seen: torch.Tensor

    def __init__(self, config: config.Config) -> None:
        super().__init__(config)
        self.register_buffer("seen", torch.zeros(2))
        Counting.modes = []

    modes: list[tuple[bool, bool]]  # of each forward: training, gradients on
    steps_left = -1  # until it is interrupted; never

    def forward(self, batch: ClipBatch) -> Output:
        Counting.modes.append((self.training, torch.is_grad_enabled()))
        return Output(logits=self.seen.add(1).log().expand(len(batch), 2))

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, torch.Tensor]:
        self.seen += torch.bincount(self.labels(batch), minlength=2)
        return super().loss(output, batch)

    def after_step(self) -> None:
        Counting.steps_left -= 1
        if Counting.steps_left == 0:
            raise KeyboardInterrupt


def test_what_has_nothing_to_train_sees_every_sample_once_without_gradients(tiny: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny, tmp_path, "Counting", (Stage(epochs=1, batch=5, accumulate=2, micro_batch=2),))
    record = fit(plan, Fabric(accelerator="cpu", devices=1), Loading(workers=0))
    weights = load_file(tmp_path / WEIGHTS)
    assert weights["seen"].tolist() == [4, 12]  # 16 videos in batches of 5, the incomplete one too
    assert set(Counting.modes) == {(True, False), (False, False)}
    assert (record.chosen_epoch, record.parameters, record.trainable) == (1, 0, 0)
    assert pd.read_csv(tmp_path / CURVES)["loss"].notna().all()


def test_of_no_epochs_a_detector_is_judged_as_it_starts(tiny: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny, tmp_path, "Counting", (Stage(epochs=0),))
    record = fit(plan, Fabric(accelerator="cpu", devices=1), Loading(workers=0))
    assert record.chosen_epoch == 0 and record.validation["auc"] == 0.5
    assert load_file(tmp_path / WEIGHTS)["seen"].tolist() == [0, 0]
    validation = pd.read_csv(tmp_path / VALIDATION)
    assert validation["id"].tolist() == [s.id for s in plan.validation] and (validation["score"] == 0.5).all()
    assert validation["forgery"].tolist() == [int(s.forgery) for s in plan.validation]


def test_what_was_counted_survives_an_interruption(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(Counting, "steps_left", 3)  # the state after the second step is the last that was saved
    plan = plan_of(tiny, tmp_path, "Counting", (Stage(epochs=1, batch=3, micro_batch=3),))
    with pytest.raises(KeyboardInterrupt):
        fit(plan, Fabric(accelerator="cpu", devices=1), Loading(workers=0))
    record = fit(plan, Fabric(accelerator="cpu", devices=1), Loading(workers=0))
    assert load_file(tmp_path / WEIGHTS)["seen"].tolist() == [4, 12] and record.chosen_epoch == 1
    assert len(Counting.modes) == 4 + 1  # batches 3 to 6, and the validation clips


class Halving(Constant):
    """Never gets better, so that its rate is halved after every epoch but the first."""

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, torch.Tensor]:
        return {"loss": 0 * output.aux["weight"].sum()}

    def optimizer(self, stage: Stage, steps: int) -> tuple[torch.optim.Optimizer, Any]:  # type: ignore[override]
        optimizer = torch.optim.SGD(self.parameters(), lr=stage.lr)
        return optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)


def test_a_rate_that_falls_on_a_plateau_is_told_of_every_epoch_and_survives_a_resume(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = (Stage(epochs=4, batch=8, micro_batch=8, lr=0.08),)
    run = partial(fit, fabric=Fabric(accelerator="cpu"), loading=Loading(workers=0))
    run(plan_of(tiny, tmp_path / "whole", "Halving", stages))
    curves = pd.read_csv(tmp_path / "whole" / "curves.csv")
    assert curves["lr"].tolist() == [0.08, 0.08, 0.04, 0.02]

    def interrupt(epoch: int, values: dict[str, float]) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan_of(tiny, tmp_path / "cut", "Halving", stages), on_epoch=interrupt)
    run(plan_of(tiny, tmp_path / "cut", "Halving", stages))
    assert (tmp_path / "cut" / "curves.csv").read_bytes() == (tmp_path / "whole" / "curves.csv").read_bytes()


def test_a_record_is_written_read_and_said_to_be_reused(tmp_path: Path) -> None:
    record = FinishedTraining(
        id="one-s0",
        about={"seed": 0, "trained_on": {"n": 4}},
        chosen_epoch=3,
        selected_on="validation AUC",
        validation={"auc": 0.5, "nll": 0.7},
        threshold=0.4,
        seconds=1.5,
        clips_per_second=8.0,
        without_clip={"too_short": 1},
        parameters=10,
        trainable=4,
    )
    assert FinishedTraining.load(tmp_path) is None
    record.save(tmp_path)
    again = FinishedTraining.load(tmp_path)
    assert again == replace(record, reused=True)
    plain = json.loads((tmp_path / RECORD).read_text())
    assert plain["validation_auc"] == 0.5 and plain["trained_on"] == {"n": 4} and "reused" not in plain
    assert again is not None and again.as_dict() == {**plain, "reused": True}
    (tmp_path / RECORD).write_text(json.dumps({"id": "one-s0"}))
    with pytest.raises(UserError, match=r"training.json: not the record of a training.*--fresh"):
        FinishedTraining.load(tmp_path)


def test_a_card_has_a_place_for_all_that_came_of_a_training() -> None:
    ours, cards = ({f.name for f in fields(kind)} for kind in (FinishedTraining, TrainingRecord))
    assert ours - {"about"} <= cards


def test_a_record_of_earlier_versions_is_read(tmp_path: Path) -> None:
    """Before short videos were counted a record had no `without_clip`; one without validation data has no AUC."""
    former = {"id": "x", "task": "binary", "chosen_epoch": 2, "selected_on": "last epoch", "validation_auc": None}
    former |= {"threshold": None, "seconds": 1.0, "clips_per_second": 2.0, "parameters": 3, "trainable": 3}
    (tmp_path / RECORD).write_text(json.dumps({**former, "failed_files": {"a.mp4": "unreadable"}}))
    record = FinishedTraining.load(tmp_path)
    assert record is not None and record.about == {"task": "binary"} and record.validation == {}
    assert record.failed_files == {"a.mp4": "unreadable"} and record.without_clip == {}


def test_what_failed_before_an_interruption_stands_in_the_record(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    plan = plan_of(tiny, tmp_path / "out", "Constant", (Stage(epochs=1, batch=17, micro_batch=17),))
    plan = replace(plan, train=(*plan.train, replace(plan.train[0], id="broken.mp4", path=broken)))
    save = TrainingState.save

    def save_and_stop(state: TrainingState, folder: Path) -> None:
        save(state, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingState, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        fit(plan, Fabric(accelerator="cpu"), Loading(workers=0))
    record = fit(plan, Fabric(accelerator="cpu"), Loading(workers=0))  # nothing is left to train
    assert record.failed_files == {"broken.mp4": "unreadable"} and record.without_clip == {"unreadable": 1}
