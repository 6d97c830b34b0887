"""Controls: what they compute, and that they run through the same commands as any detector."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from avbench.bench.contract import check_detector, random_batch
from avbench.cli import main
from avbench.config import Config
from avbench.config import resolve as resolve_config
from avbench.engine.building import build
from avbench.plugins.registry import installed
from avbench.records.card import Card
from avbench.types import ClipBatch, ClipSpec, Stage
from avbench_controls.constant import Chance
from avbench_controls.probe import LeadingSilence, LinearProbe

CONTROLS = ("chance", "majority", "leading_silence", "metadata", "handmade")
EPOCHS = {"chance": 0, "handmade": 3}


class Given(LinearProbe):
    """Reads its two numbers from a batch."""

    width = 2

    def numbers(self, batch: ClipBatch) -> torch.Tensor:
        return batch.annotations["numbers"]


def batch_of(numbers: np.ndarray, forgery: np.ndarray) -> ClipBatch:
    batch = random_batch(ClipSpec(frames=0, audio_samples=0, whole=True), len(numbers))
    batch.annotations = {"numbers": torch.from_numpy(numbers).float()}
    batch.forgery = torch.from_numpy(forgery)
    return batch


def test_one_pass_in_batches_gives_fisher_s_discriminant() -> None:
    random = np.random.default_rng(0)
    forgery = random.choice(4, 1500, p=[0.4, 0.2, 0.2, 0.2])
    numbers = random.normal(0, [1.0, 0.1], (1500, 2)) + np.where(forgery[:, None] > 0, [1.5, 7.1], [1.0, 7.0])
    probe = Given(Config("given", "binary"))
    probe.train()
    for rows in np.array_split(np.arange(1500), [7, 8, 200, 203, 1100]):
        batch = batch_of(numbers[rows], forgery[rows])
        probe.loss(probe(batch), batch)
    probe.eval()
    batch = batch_of(numbers, forgery)
    found = probe(batch).logits.softmax(dim=1)[:, 1].numpy()
    probe.loss(probe(batch), batch)  # while judging nothing is counted
    theirs = LinearDiscriminantAnalysis(solver="svd").fit(numbers, forgery > 0)
    np.testing.assert_allclose(found, theirs.predict_proba(numbers)[:, 1], atol=1e-3)
    assert probe.count.tolist() == [(forgery == 0).sum(), (forgery > 0).sum()]


def test_a_clip_without_numbers_gets_the_share_of_fakes_and_is_not_counted() -> None:
    probe = Given(Config("given", "binary"))
    probe.train()
    numbers = np.array([[0.0, 1.0], [0.1, 1.1], [3.0, 1.0], [3.1, 1.1], [3.2, 0.9], [np.nan, 1.0]])
    batch = batch_of(numbers, np.array([0, 0, 1, 2, 3, 0]))
    probe.loss(probe(batch), batch)
    found = probe(batch).logits.softmax(dim=1)[:, 1]
    assert found[5].item() == pytest.approx(4 / 7) and probe.count.tolist() == [2, 3]
    assert (found[:2] < 0.1).all() and (found[2:5] > 0.9).all()


def test_silence_is_counted_up_to_the_first_loud_sample() -> None:
    batch = random_batch(ClipSpec(frames=0, audio_samples=100, whole=True), 4)
    batch.audio[:] = 4e-4
    batch.audio[0, 30:] = -0.1
    batch.audio[1, 0] = 0.1
    batch.samples[3] = 60
    batch.audio[3, 60:] = 0.1  # behind the valid samples
    found = LeadingSilence(resolve_config(installed().detector("leading_silence"), "binary")).numbers(batch)
    np.testing.assert_allclose(found[:, 0].expm1(), [30, 0, 100, 60], rtol=1e-5)


def test_chance_is_uniform_and_a_function_of_the_seed() -> None:
    batch = random_batch(ClipSpec(frames=0, audio_samples=0, whole=True), 1000)
    chance = Chance(Config("chance", "binary"))
    found = chance(batch).logits.softmax(dim=1)[:, 1]
    assert abs(found.mean() - 0.5) < 0.03 and abs(found.std() - 12**-0.5) < 0.02
    np.testing.assert_allclose(chance(batch.take(range(999, -1, -1))).logits.softmax(dim=1)[:, 1], found.flip(0))


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_keep_the_contract(name: str) -> None:
    spec = installed().detector(name)
    assert [result for result in check_detector(spec) if not result.kept] == []
    assert sum(p.numel() for p in build(spec, resolve_config(spec, "binary"), 0).parameters()) == 0


def test_a_pass_that_neither_trains_nor_counts_breaks_the_contract() -> None:
    chance = installed().detector("chance")
    idle = replace(chance, presets=(replace(chance.presets[0], stages=(Stage(epochs=1),)),))
    broken = {result.promise: result.detail for result in check_detector(idle) if not result.kept}
    assert list(broken) == ["binary: learns from its loss"] and "epochs=0" in broken["binary: learns from its loss"]


@pytest.fixture(scope="module")
def run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Card, Path]]:
    """Return a function that runs a control on the small videos -> its card and folder."""
    out = tmp_path_factory.mktemp("controls")

    def do(name: str) -> tuple[Card, Path]:
        words = f"run --detector {name} --protocol within_folder --placement oracle sliding --no-mlflow --workers 0"
        words += " --preset demo" * (name == "handmade")
        assert main([*words.split(), "--data", f"folder={tiny}", "--out", str(out)]) == 0
        (folder,) = (out / "runs").glob(f"{name}-*")
        return Card.load(folder), folder

    return do


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_run_as_any_detector_does(name: str, run: Any, tiny: Path) -> None:
    card, folder = run(name)
    found = pd.read_parquet(folder / "scores.parquet")
    video = card.metrics["oracle"]["video"]
    assert card.is_finished and card.counts.scored == 12 and len(found) == (36 if name == "handmade" else 24)
    assert card.training.chosen_epoch == EPOCHS.get(name, 1) and card.training.trainable == 0
    assert bool(card.blind) == bool(card.ceilings) == (name == "leading_silence")
    if name == "majority":
        assert found["score"].to_numpy() == pytest.approx(12 / 16, abs=1e-3)
        assert video["acc"].value == video["majority"].value == 0.75 and video["auc"].value == 0.5
    if name == "handmade":  # pictures that flicker, sound that buzzes
        assert video["auc"].value == 1.0
    if name == "chance":
        assert found["score"].nunique() == 24


def test_metadata_find_fakes_whose_files_are_larger(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny, tmp_path / "data")
    for path in (tmp_path / "data").glob("*.mp4"):
        if "RARV" not in path.name:
            with path.open("ab") as file:  # a box that every player skips
                file.write((200_000).to_bytes(4, "big") + b"free" + bytes(199_992))
    command = (
        f"run --detector metadata --protocol within_folder --no-mlflow --workers 0 --out {tmp_path / 'out'}".split()
    )
    assert main([*command, "--data", f"folder={tmp_path / 'data'}"]) == 0
    (folder,) = (tmp_path / "out" / "runs").iterdir()
    assert Card.load(folder).headline("auc").value == 1.0
    capsys.readouterr()
    assert main([*command, "--data", f"folder={tmp_path / 'data'}", "--task", "four_class"]) == 2
    assert "metadata cannot do four_class: it does binary; use --task binary" in capsys.readouterr().err
