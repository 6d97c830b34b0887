"""LipForensics: published names and sizes, mouths as lip readers see them, the frozen front end, the video's label."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from avbench.bench.contract import check_detector, random_batch
from avbench.config import resolve
from avbench.detector import probabilities
from avbench.engine.building import load_pretrained
from avbench.errors import UserError
from avbench.plugins.weights import choose
from avbench_backbones.motion import see_motion
from avbench_backbones.mouths import grey, prepare
from avbench_backbones.mstcn import Branch, MultiscaleNetwork
from avbench_backbones.resnet18 import Trunk
from avbench_lipforensics.detector import LipForensics
from avbench_lipforensics.model import LipNetwork
from avbench_lipforensics.plugin import avbench_detectors
from building import build_detector

SPEC = next(iter(avbench_detectors()))
TINY = ("clip.frames=8", "clip.size=32", "width=4", "tcn_width=12", "tcn_layers=2", "pretrained=random")
build = partial(build_detector, "lipforensics")


def step(detector: LipForensics) -> None:
    """Take one training step."""
    batch = random_batch(detector.config.clip, 4)
    optimizer, schedule = detector.optimizer(detector.config.stages[0], 10)
    assert schedule is None
    detector.train()
    detector.loss(detector(batch), batch)["loss"].backward()
    optimizer.step()


@pytest.fixture(scope="module")
def published() -> LipNetwork:
    with torch.device("meta"):
        return LipNetwork()


def test_published_size(published: LipNetwork) -> None:
    assert sum(p.numel() for p in published.parameters()) == 35_990_785
    assert len(published.state_dict()) == 343
    assert sum(isinstance(m, nn.PReLU) for m in published.modules()) == 45
    with torch.device("meta"):
        assert published(torch.empty(2, 1, 25, 88, 88), torch.empty(2)).shape == (2,)
        assert published.frontend3D(torch.empty(2, 1, 25, 88, 88)).shape == (2, 64, 25, 22, 22)
        assert published.trunk(torch.empty(5, 64, 22, 22)).shape == (5, 512, 3, 3)


def test_published_names_and_shapes(published: LipNetwork, specs_root: Path) -> None:
    lines = (specs_root / "data" / "lipforensics_ff.keys.txt").read_text("utf-8").splitlines()
    own = [f"{name}\t{tuple(value.shape)}" for name, value in published.state_dict().items()]
    assert sorted(own) == sorted(lines)


def test_branch_normalises_before_it_cuts_the_padding() -> None:
    branch = Branch(2, 3, kernel=5, dilation=2, kind="prelu")
    x_BCT = torch.randn(4, 2, 9)
    padded = nn.functional.conv1d(x_BCT, branch.conv.weight, branch.conv.bias, padding=8, dilation=2)
    assert padded.shape[-1] == 17
    mean, deviation = padded.mean(dim=(0, 2)), padded.var(dim=(0, 2), unbiased=False).add(1e-5).sqrt()
    expected = ((padded - mean[:, None]) / deviation[:, None])[..., 4:-4]
    torch.testing.assert_close(branch(x_BCT), torch.where(expected > 0, expected, 0.25 * expected))


def test_dilation_doubles_and_moments_stay_in_place() -> None:
    network = MultiscaleNetwork(2, 6, layers=3).eval()
    assert [block.cbcr0_1.conv.dilation for block in network.network] == [(1,), (2,), (4,)]
    x_BCT = torch.zeros(1, 2, 31)
    x_BCT[..., 15] = 1
    reached = (network(x_BCT) - network(torch.zeros(1, 2, 31))).abs().sum(dim=(0, 1)) > 1e-7
    assert reached[15] and torch.equal(reached, reached.flip(0))  # an even reach to both sides


def test_resnet_can_keep_one_axis_and_use_relu() -> None:
    trunk = Trunk(8, "relu", stride=(1, 2))
    assert trunk(torch.zeros(2, 8, 25, 20)).shape == (2, 64, 25, 3)
    assert not any(isinstance(module, nn.PReLU) for module in trunk.modules())


@pytest.mark.parametrize("frames", [3, 5])
def test_first_filters_see_motion_alone(frames: int) -> None:
    filters = torch.randn(6, 3, frames, 7, 7)
    see_motion(filters)
    still = torch.rand(1, 3, 1, 20, 20).expand(1, 3, 9, 20, 20)
    flicker = still * (1 + 0.1 * (-1.0) ** torch.arange(9)[:, None, None])
    calm, moved = (
        nn.functional.conv3d(clip, filters, padding=(frames // 2, 3, 3))[:, :, 1:-1].abs().mean(dim=(0, 2, 3, 4))
        for clip in (still, flicker)
    )
    assert calm.max() < 1e-5 < 0.02 < moved.min()


def test_the_demo_preset_starts_from_the_lip_reader_that_ships_and_keeps_its_front_end() -> None:
    config = resolve(SPEC, "binary", preset="demo")
    chosen = choose(SPEC, config, demo=True)["pretrained"]
    assert chosen.path is not None and chosen.path.name == "mouth_demo.safetensors"
    detector = build()
    detector.load_pretrained({"pretrained": chosen.path})
    shipped = load_file(chosen.path)
    detector.begin_stage(config.stages[0])
    step(detector)
    after = detector.network.state_dict()
    kept = {name for name, value in shipped.items() if torch.equal(after[name], value)}
    assert {name for name in shipped if name.startswith(("trunk.", "frontend3D."))} <= kept
    assert "tcn.mb_ms_tcn.network.0.cbcr0_0.conv.weight" not in kept


def test_grey_is_pillows() -> None:
    image = pytest.importorskip("PIL.Image")
    picture = torch.randint(0, 256, (1, 1, 3, 40, 40), dtype=torch.uint8)
    expected = np.asarray(image.fromarray(picture[0, 0].permute(1, 2, 0).numpy()).convert("L"))
    assert np.array_equal(grey(picture)[0, 0, 0].numpy(), expected)


def test_mouths_are_the_middle_88_of_96_and_zero_behind_the_valid_frames() -> None:
    batch = random_batch(resolve(SPEC, "binary", preset="official").clip, 2)
    assert batch.video.shape == (2, 25, 3, 96, 96) and batch.audio.shape[1] == 0
    batch.frames[1] = 20
    mouths = prepare(batch.video, batch.frames)
    assert mouths.shape == (2, 1, 25, 88, 88)
    middle = grey(batch.video)[..., 4:92, 4:92].float()
    torch.testing.assert_close(mouths[0, 0], (middle[0, :, 0] / 255 - 0.421) / 0.165)
    assert (mouths[1, 0, 20:] == 0).all()


def test_training_crops_are_drawn_once_a_clip_and_by_its_seed() -> None:
    batch = random_batch(resolve(SPEC, "binary", preset="official").clip, 6)
    batch.video = batch.video[:, :1].expand(-1, 25, -1, -1, -1).contiguous()
    mouths = prepare(batch.video, batch.frames, batch.seed)
    assert torch.equal(mouths[:, :, :1].expand_as(mouths), mouths)
    torch.testing.assert_close(
        prepare(batch.video[3:4], batch.frames[3:4], batch.seed[3:4])[0], mouths[3], rtol=0, atol=0
    )
    assert not torch.equal(mouths, prepare(batch.video, batch.frames))


def test_label_is_that_of_the_pictures_alone() -> None:
    detector, batch = build(*TINY), random_batch(build(*TINY).config.clip, 4)
    assert batch.forgery.tolist() == [0, 1, 2, 3] and detector.labels(batch).tolist() == [0, 1, 0, 1]
    with pytest.raises(UserError, match="it does binary"):
        resolve(SPEC, "four_class")


def test_score_is_the_sigmoid_of_the_published_logit() -> None:
    detector = build(*TINY).eval()
    batch = random_batch(detector.config.clip, 3)
    with torch.no_grad():
        logit = detector.network(prepare(batch.video, batch.frames), batch.frames)
        torch.testing.assert_close(probabilities(detector(batch))[0], logit.double().sigmoid())


def test_padding_does_not_count_in_the_consensus() -> None:
    detector = build(*TINY).eval()
    torch.manual_seed(1)
    features = torch.randn(2, 8, 32)
    long = detector.network.tcn(features, torch.tensor([8, 8]))
    changed = detector.network.tcn(features, torch.tensor([8, 5]))
    steps = detector.network.tcn.mb_ms_tcn(features.transpose(1, 2))[1, :, :5].mean(dim=1)
    torch.testing.assert_close(changed[1], detector.network.tcn.tcn_output(steps))
    assert torch.equal(long[0], changed[0]) and not torch.equal(long[1], changed[1])


def test_labels_weigh_alike_whatever_their_share() -> None:
    detector = build(*TINY, "real_share=0.25").eval()
    batch = random_batch(detector.config.clip, 4)
    batch.forgery = torch.tensor([0, 1, 3, 1])  # one real in four
    with torch.no_grad():
        output = detector(batch)
        assert output.logits is not None
        entropy = nn.functional.cross_entropy(output.logits, detector.labels(batch), reduction="none")
        expected = 0.5 * entropy[0] + 0.5 * entropy[1:].mean()
        torch.testing.assert_close(detector.loss(output, batch)["loss"], expected)
    assert resolve(SPEC, "binary", preset="official", dataset="fakeav").settings.real_share == 0.0464
    with pytest.raises(UserError, match="real_share"):
        build(*TINY, "real_share=1")


def published_file(path: Path, detector: LipForensics, words: int = 1) -> Path:
    """Write a checkpoint as published: LipForensics (one output) or a lip reader of `words` words."""
    state = dict(detector.network.state_dict())
    if words > 1:
        state["tcn.tcn_output.weight"], state["tcn.tcn_output.bias"] = torch.randn(words, 12), torch.randn(words)
    torch.save({"model": state} if words == 1 else {"model_state_dict": state}, path)
    return path


@pytest.mark.parametrize("words", [1, 500])
def test_pretrained_front_end_is_frozen_and_its_statistics_stay(words: int, tmp_path: Path) -> None:
    source, detector = build(*TINY, seed=1), build(*TINY, seed=2)
    own_head = detector.network.tcn.tcn_output.weight.clone()
    detector.load_pretrained({"pretrained": published_file(tmp_path / "ff.pth", source, words)})
    detector.begin_stage(detector.config.stages[0])
    before = {name: value.clone() for name, value in detector.network.state_dict().items()}
    given = source.network.state_dict()
    head = {"tcn.tcn_output.weight", "tcn.tcn_output.bias"} if words > 1 else set()
    assert all(torch.equal(before[name], given[name]) for name in given if name not in head)
    assert torch.equal(before["tcn.tcn_output.weight"], own_head) == (words > 1)
    step(detector)
    moved = {name for name, value in detector.network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith("tcn.") for name in moved)


@pytest.mark.parametrize(("choice", "frozen"), [("auto", False), ("true", True), ("false", False)])
def test_freezing_is_a_setting(choice: str, frozen: bool) -> None:
    detector = build(*TINY, f"freeze_front_end={choice}")
    detector.begin_stage(detector.config.stages[0])
    assert all(p.requires_grad != frozen for p in detector.network.trunk.parameters())
    assert all(p.requires_grad for p in detector.network.tcn.parameters())
    with pytest.raises(UserError, match="freeze_front_end"):
        build(*TINY, "freeze_front_end=perhaps")


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = published_file(tmp_path / "ff.pth", build(*TINY))
    with pytest.raises(UserError, match=r"pretrained = .*wrong shape.*pretrained=random"):
        load_pretrained(build(*TINY, "width=8"), {"pretrained": path})
    state: dict[str, Tensor] = dict(build(*TINY).network.state_dict())
    del state["trunk.layer1.0.relu1.weight"]
    torch.save({"model": state}, path)
    with pytest.raises(UserError, match=r"missing: trunk.layer1.0.relu1.weight"):
        load_pretrained(build(*TINY), {"pretrained": path})


def test_published_checkpoint_is_renamed() -> None:
    trained, fresh = build(*TINY, seed=1), build(*TINY, seed=2)
    fresh.load_state_dict(dict(fresh.convert_checkpoint({"model": trained.network.state_dict()})), strict=True)  # type: ignore[dict-item]
    own = trained.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in fresh.state_dict().items())
    assert fresh.convert_checkpoint(own).keys() == own.keys()


def test_keeps_the_contract() -> None:
    broken = [result for result in check_detector(SPEC) if not result.kept]
    assert not broken
