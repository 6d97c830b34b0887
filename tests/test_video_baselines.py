"""LipForensics and RealForensics through the harness: trained, judged, interrupted, at full size on real faces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lightning_fabric import Fabric

from avbench.cli import main
from avbench.config import resolve
from avbench.data.databases import Database
from avbench.data.loading import Loading
from avbench.data.splits import split
from avbench.engine import loop
from avbench.engine.plan import TrainingPlan
from avbench.engine.training import fit
from avbench.plugins.registry import installed
from avbench.records.card import Card
from avbench.types import ClipBatch, Forgery
from avbench_realforensics.detector import RealForensics

SMALL = {
    "lipforensics": (
        "pretrained=random",
        "clip.frames=8",
        "clip.size=32",
        "width=4",
        "tcn_width=12",
        "tcn_layers=2",
        "epochs=2",
    ),
    "realforensics": (
        "backbone_weights=random",
        "clip.size=32",
        "input_size=16",
        "csn_width=4",
        "audio_width=4",
        "epochs=2",
        "batch=2",
    ),
}


@pytest.mark.parametrize("detector", SMALL)
def test_trains_and_judges_by_command(detector: str, tiny: Path, tmp_path: Path) -> None:
    words = ["run", "--detector", detector, "--preset", "demo", "--protocol", "within_folder", "--task", "binary"]
    words += ["--placement", "oracle"]
    words += [word for setting in SMALL[detector] for word in ("--set", setting)]
    assert main([*words, "--data", f"folder={tiny}", "--workers", "0", "--out", str(tmp_path)]) == 0
    run = next((tmp_path / "runs").iterdir())
    told = Card.load(run)
    assert told.detector.requires == ("video",) and told.detector.pooling == "mean_logit"
    assert told.detector.region == {"lipforensics": "mouth, a fixed window", "realforensics": "frame"}[detector]
    assert list(told.training.weights.values()) == ["random"]
    scores = pd.read_parquet(run / "scores.parquet")
    assert len(scores) == 12 and scores["score"].between(0, 1).all()


def test_four_classes_are_refused_by_name(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--detector", "lipforensics", "--protocol", "within_folder", "--task", "four_class"]
    assert main([*words, "--data", f"folder={tiny}", "--out", str(tmp_path)]) == 2
    assert "lipforensics cannot do four_class: it does binary" in capsys.readouterr().err


@pytest.fixture
def two_stages(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[int]]]:
    """Return a function that trains RealForensics in a folder, for so many steps; it returns the labels of stage 1."""
    spec = installed().detector("realforensics")
    parts = split(Database(installed().dataset("folder"), tiny).samples())
    config = resolve(spec, "binary", preset="demo", overrides=SMALL["realforensics"])
    seen: list[list[int]] = []
    left = [0]
    represent, after_step = RealForensics._represent, RealForensics.after_step

    def watched(self: RealForensics, batch: ClipBatch) -> dict[str, Any]:
        seen.append(batch.forgery.tolist())
        return represent(self, batch)

    def interrupted(self: RealForensics) -> None:
        after_step(self)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(RealForensics, "_represent", watched)
    monkeypatch.setattr(RealForensics, "after_step", interrupted)
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)  # a state after every step

    def run(folder: Path, steps: int = 0) -> list[list[int]]:
        left[0] = steps
        seen.clear()
        plan = TrainingPlan(
            id="example",
            folder=folder,
            spec=spec,
            config=config,
            seed=0,
            train=parts.train[:6],
            validation=parts.validation,
            about={},
        )
        fit(plan, Fabric(accelerator="cpu"), Loading(workers=0))
        return list(seen)

    return run


def test_stage_1_sees_real_clips_and_both_stages_go_on_exactly(
    two_stages: Callable[..., list[list[int]]], tmp_path: Path
) -> None:
    labels = two_stages(tmp_path / "whole")
    assert labels and {label for batch in labels for label in batch} == {Forgery.RARV}
    first = len(labels)  # steps of stage 1
    for step in (1, first + 1):  # within stage 1, within stage 2
        folder = tmp_path / str(step)
        with pytest.raises(KeyboardInterrupt):
            two_stages(folder, step)
        two_stages(folder)
        for name in ("weights.safetensors", "curves.csv"):
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), (step, name)


@pytest.mark.slow
@pytest.mark.parametrize(("detector", "preset"), [("lipforensics", "official"), ("realforensics", "two_stage")])
def test_official_size_trains_and_judges_real_faces(
    real_root: Path, tmp_path: Path, detector: str, preset: str
) -> None:
    words = [
        "run",
        "--detector",
        detector,
        "--preset",
        preset,
        "--protocol",
        "cross_lavdf_to_fakeav",
        "--task",
        "binary",
    ]
    for setting in ("epochs=1", "batch=4", "micro_batch=2"):
        words += ["--set", setting]
    words += ["--from-scratch"] if detector == "lipforensics" else []  # the other teaches from scratch
    assert main([*words, "--data", str(real_root), "--out", str(tmp_path), "--limit", "8"]) == 0
    told = Card.load(next((tmp_path / "runs").iterdir()))
    assert told.counts.scored == 8
    assert ("random start: lip reader" in told.caveats) == (detector == "lipforensics")
    assert detector != "lipforensics" or told.training.parameters == 35_990_785
