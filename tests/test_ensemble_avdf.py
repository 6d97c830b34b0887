"""EnsembleAVDF (approximation): networks learn apart, each its own label, without drift; votes; its name."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from avbench.bench.contract import check_detector, random_batch
from avbench.cli import main
from avbench.errors import UserError
from avbench.records.card import Card
from avbench.types import Output
from avbench_ensemble_avdf.model import Ensemble
from avbench_ensemble_avdf.plugin import avbench_detectors
from building import build_detector

SPEC = next(iter(avbench_detectors()))
TINY = ("clip.size=16", "clip.frames=6", "clip.audio_samples=4000", "width=4", "hidden=8")
NAMES = ["video", "audio", "audio_visual"]
build = partial(build_detector, "ensemble_avdf", *TINY)


def test_it_is_called_an_approximation_everywhere() -> None:
    assert "approximation" in SPEC.title and "approximation" in SPEC.summary and SPEC.tasks == ("binary",)
    readme = Path(__file__).parents[1] / "detectors" / "avbench_ensemble_avdf" / "README.md"
    assert "(approximation)" in readme.read_text("utf-8").splitlines()[0]


def test_official_size_is_four_resnets_and_three_heads() -> None:
    """ResNet-18 without its classifier has 11,176,512 parameters; a grey 3-D stem of one frame saves 2 x 64 x 49."""
    with torch.device("meta"):
        ensemble = Ensemble()
    eye, ear = 11_176_512, 11_176_512 - 2 * 64 * 49
    heads = 2 * (512 * 2 + 2) + (1024 * 512 + 512) + (512 * 2 + 2)
    assert sum(p.numel() for p in ensemble.parameters()) == 2 * eye + 2 * ear + heads


@pytest.mark.parametrize("learning", NAMES)
def test_a_stage_moves_one_network_and_drifts_no_other(learning: str) -> None:
    detector = build()
    (stage,) = (stage for stage in detector.config.stages if stage.name == learning)
    detector.train()
    detector.begin_stage(stage)
    batch = random_batch(detector.config.clip, 4)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    optimizer, _ = detector.optimizer(stage, 3)
    detector.loss(detector(batch), batch)["loss"].backward()
    optimizer.step()
    moved = {n.split(".")[1] for n, value in detector.state_dict().items() if not torch.equal(value, before[n])}
    assert moved == {learning}, "weights and BatchNorm statistics alike"


@pytest.mark.parametrize(
    ("learning", "labels"), [("video", [0, 1, 0, 1]), ("audio", [0, 0, 1, 1]), ("audio_visual", [0, 1, 1, 1])]
)
def test_each_network_learns_its_own_label(learning: str, labels: list[int]) -> None:
    detector, batch = build(), random_batch(build().config.clip, 4)
    batch.forgery = torch.tensor([0, 1, 2, 3])
    logits = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    loss = detector.loss(Output(aux={learning: logits}), batch)["loss"]
    assert float(loss) == pytest.approx(float(F.cross_entropy(logits, torch.tensor(labels))))
    assert float(loss) != pytest.approx(float(F.cross_entropy(logits, 1 - torch.tensor(labels))))


@pytest.mark.parametrize("vote", ["mean", "majority", "any"])
def test_votes_beside_counting(vote: str) -> None:
    detector = build(f"vote={vote}").eval()
    batch = random_batch(detector.config.clip, 8)
    with torch.no_grad():
        output = detector(batch)
    p = torch.stack([output.aux[name].softmax(dim=1)[:, 1] for name in NAMES]).double().numpy()
    assert output.score is not None
    score = output.score.double().numpy()
    votes = (p > 0.5).sum(axis=0)
    called = {"mean": p.mean(axis=0) > 0.5, "majority": votes >= 2, "any": votes >= 1}[vote]
    assert np.array_equal(score > 0.5, called) and ((score >= 0) & (score <= 1)).all()
    if vote == "mean":
        assert score == pytest.approx(p.mean(axis=0), abs=1e-6)
    assert output.p_video is not None and output.p_video.numpy() == pytest.approx(p[0], abs=1e-6)


def test_frames_behind_the_end_say_nothing() -> None:
    detector = build().eval()
    batch = random_batch(detector.config.clip, 3)
    batch.frames[1] = 4
    with torch.no_grad():
        before = detector(batch).aux["video"]
        batch.video[1, 4:] = 255
        assert torch.allclose(detector(batch).aux["video"], before, atol=1e-6)


def test_senseless_settings_are_one_line() -> None:
    for setting, said in (("vote=most", "mean, maj"), ("stem_frames=2", "odd"), ("stem_frames=1", "stem_frames=3")):
        with pytest.raises(UserError, match=said):
            build(setting)


def test_keeps_the_contract() -> None:
    assert not [result for result in check_detector(SPEC) if not result.kept]


def test_trains_and_judges_by_command(tiny: Path, tmp_path: Path) -> None:
    words = "run --detector ensemble_avdf --protocol within_folder --preset demo --workers 0 --no-mlflow --set epochs=1"
    extra = [word for setting in TINY for word in ("--set", setting)]
    assert main([*words.split(), *extra, "--data", f"folder={tiny}", "--out", str(tmp_path)]) == 0
    (path,) = (tmp_path / "runs").glob("*/card.json")
    found = Card.load(path.parent)
    assert found.is_finished and "approximation" in found.detector.title
    assert found.training.chosen_epoch == 3, "one epoch of each network; the last stage is validated"
