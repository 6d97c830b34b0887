"""RawGAT-ST, AASIST, AASIST-L and SSLAS through the harness: by command, refused tasks, what a demo preset learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from avbench.bench.contract import random_batch
from avbench.cli import main
from avbench.config import resolve
from avbench.engine.building import build
from avbench.plugins.registry import installed
from avbench.records.card import Card
from avbench.types import ClipBatch, Stage

SINC = ("filters=12", "hop=4", "narrow=4", "wide=8", "graph=4", "clip.audio_samples=10000")
SMALL = {
    "rawgat_st": SINC,
    "aasist": SINC,
    "aasist_l": SINC,
    "sslas": ("encoder_width=16", "encoder_inner=16", "encoder_layers=1", "conv_width=8", "features=24", "narrow=4"),
}


def words(detector: str, out: Path, *settings: str, protocol: str = "within_folder") -> list[str]:
    command = f"run --detector {detector} --preset demo --protocol {protocol} --task binary --placement labelled"
    return [*command.split(), *(w for s in settings for w in ("--set", s)), "--workers", "0", "--out", str(out)]


def require(detector: str) -> None:
    if detector == "sslas":
        pytest.importorskip("transformers")


@pytest.mark.parametrize("detector", SMALL)
def test_trains_and_judges_by_command(detector: str, tiny: Path, tmp_path: Path) -> None:
    require(detector)
    assert main([*words(detector, tmp_path, *SMALL[detector], "epochs=1"), "--data", f"folder={tiny}"]) == 0
    run = next((tmp_path / "runs").iterdir())
    told = Card.load(run)
    assert told.is_finished and told.detector.requires == ("audio",)
    assert list(told.training.weights.values()) == ["random"]
    assert told.ceilings and told.blind  # of a detector that hears alone
    scores = pd.read_parquet(run / "scores.parquet")
    assert len(scores) == 12 and scores["score"].between(0, 1).all()
    pd.testing.assert_series_equal(scores["p_audio"], scores["score"], check_names=False)


@pytest.mark.parametrize("detector", SMALL)
def test_four_classes_are_refused_by_name(
    detector: str, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*words(detector, tmp_path), "--task", "four_class", "--data", f"folder={tiny}"]
    assert main(command) == 2
    told = capsys.readouterr().err.strip()
    assert f"{detector} cannot do four_class: it does binary; use --task binary" in told and "\n" not in told


def speech(batch: ClipBatch, seed: int) -> ClipBatch:
    """Fill a batch with noise that is as much softer above 3.5 kHz as speech is; in fakes, softer still."""
    samples = batch.audio.shape[1]
    hz = torch.fft.rfftfreq(samples, 1 / 16_000)
    noise = torch.randn(len(batch), samples, generator=torch.Generator().manual_seed(seed))
    fake = (batch.forgery > 1).float()[:, None]
    tilt = 1 / (1 + (hz / 500) ** 2) * torch.where(hz > 3_500, 1 - 0.6 * fake, 1.0)
    sound = torch.fft.irfft(torch.fft.rfft(noise) * tilt, n=samples)
    batch.audio = 0.05 * sound / sound.std(dim=1, keepdim=True)
    return batch


@pytest.mark.parametrize(("detector", "steps"), [("rawgat_st", 40), ("aasist", 10), ("aasist_l", 10)])
@pytest.mark.slow
def test_demo_preset_hears_what_is_dull(detector: str, steps: int) -> None:
    """What betrays a fake is far softer than the rest: a demo preset in which it drowns does not learn."""
    config = resolve(installed().detector(detector), "binary", preset="demo", overrides=["clip.audio_samples=9000"])
    network = build(installed().detector(detector), config, 0)
    stage: Stage = config.stages[0]
    optimizer, _ = network.optimizer(stage, 10_000)
    losses: list[float] = []
    for step in range(steps):
        batch = speech(random_batch(config.clip, 8), step)
        loss: Any = network.loss(network(batch), batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), stage.clip_norm)
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) / 5 < 0.5, losses


@pytest.mark.slow
@pytest.mark.parametrize("database", ["lavdf", "fakeav"])
@pytest.mark.parametrize("detector", SMALL)
def test_demo_preset_learns_the_demo_data(detector: str, database: str, demo_root: Path, tmp_path: Path) -> None:
    require(detector)
    assert main([*words(detector, tmp_path, protocol=f"within_{database}"), "--data", str(demo_root)]) == 0
    assert Card.load(next((tmp_path / "runs").iterdir())).training.validation["auc"] > 0.85
