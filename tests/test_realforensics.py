"""RealForensics: published names and sizes, views, both stages, who moves in each, published files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from avbench.bench.contract import check_detector, random_batch
from avbench.config import resolve
from avbench.detector import probabilities
from avbench.engine.building import load_pretrained
from avbench.errors import UserError
from avbench_backbones.mel import log_mel_20ms
from avbench_realforensics import views
from avbench_realforensics.detector import RealForensics, rate_factor
from avbench_realforensics.model import AudioEncoder, CosineHead, Predictor, RealNetwork, Sizes, agreement
from avbench_realforensics.plugin import avbench_detectors
from building import begin_stages, build_detector

SPEC = next(iter(avbench_detectors()))
TINY = ("clip.size=64", "input_size=32", "csn_width=4", "audio_width=4", "projection=16", "width=16", "hidden=16")
ALONE = ("csn_blocks=1,1,1,1", "csn_width=4", "clip.size=64", "input_size=32")  # of the presets without stage 1
build = partial(build_detector, "realforensics")


def step(detector: RealForensics, stage: int) -> tuple[dict[str, Tensor], set[str]]:
    """Take one training step of a stage; return the losses and the parts that moved."""
    batch = random_batch(detector.config.clip, 4)
    before = {name: value.clone() for name, value in detector.network.state_dict().items()}
    optimizer, schedule = detector.optimizer(detector.config.stages[stage], 100)
    assert schedule is not None
    detector.train()
    losses = detector.loss(detector(batch), batch)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    detector.after_step()
    after = detector.network.state_dict()
    return losses, {name for name in before if not torch.equal(before[name], after[name])}


def of(moved: set[str], part: str, weights: bool = True) -> set[str]:
    """Choose names below a part: weights, or running statistics."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return {name for name in moved if name.startswith(part) and name.endswith(statistics) != weights}


@pytest.fixture(scope="module")
def published() -> RealNetwork:
    with torch.device("meta"):
        return RealNetwork(Sizes(), taught=False, represents=False)


def test_published_size(published: RealNetwork) -> None:
    assert sum(p.numel() for p in published.parameters()) == 21_394_176 + 2048
    with torch.device("meta"):
        assert published.backbone(torch.empty(2, 3, 25, 112, 112)).shape == (2, 25, 2048)
        assert published(torch.empty(2, 3, 25, 112, 112)).shape == (2,)
        assert AudioEncoder(64)(torch.empty(2, 1, 100, 80)).shape == (2, 25, 512)
        assert Predictor(Sizes())(torch.empty(2, 25, 256)).shape == (2, 25, 256)


def test_published_names_and_shapes(published: RealNetwork, specs_root: Path) -> None:
    lines = (specs_root / "data" / "csn101.keys.txt").read_text("utf-8").splitlines()
    own = [f"{name}\t{tuple(value.shape)}" for name, value in published.state_dict().items()]
    assert len(lines) == 625 and sorted(own) == sorted(lines)


def test_cosine_head_sees_directions_alone() -> None:
    head = CosineHead(8)
    features = torch.randn(3, 5, 8)
    mean = features.mean(dim=1)
    expected = 64 * (mean / mean.norm(dim=1, keepdim=True)) @ (head.weight / head.weight.norm()).T
    torch.testing.assert_close(head(features), expected[:, 0])
    torch.testing.assert_close(head(7 * features), head(features))


def test_agreement_counts_valid_frames_and_clips_that_have_some() -> None:
    a, b = torch.randn(3, 4, 6), torch.randn(3, 4, 6)
    valid = torch.tensor([[True] * 4, [True, True, False, False], [False] * 4])
    cosine = nn.functional.cosine_similarity(a, b, dim=-1)
    torch.testing.assert_close(agreement(a, b, valid), (cosine[0].mean() + cosine[1, :2].mean()) / 2)
    assert agreement(a, b, torch.zeros(3, 4, dtype=torch.bool)) == 0


# views


def test_judged_view_is_the_centre() -> None:
    batch = random_batch(resolve(SPEC, "binary", preset="official").clip, 1)
    batch.frames[0] = 20
    recipe = views.Recipe()
    pixels = views.judged_view(batch, recipe)
    assert pixels.shape == (1, 3, 25, 112, 112) and (pixels[:, :, 20:] == 0).all()
    centre = batch.video[0, 3, :, 42:182, 42:182].float() / 255
    scaled = nn.functional.interpolate(centre[None], (112, 112), mode="bilinear", align_corners=False)[0]
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(pixels[0, :, 3], (scaled - mean[:, None, None]) / deviation[:, None, None])


def test_views_are_drawn_apart_by_the_seed_alone() -> None:
    batch = random_batch(build(*TINY).config.clip, 4)
    recipe = views.Recipe(input_size=32)
    augmented, hidden = views.augmented_view(batch, recipe, mask_chance=1.0)
    clean = views.clean_view(batch, recipe)
    assert augmented.shape == clean.shape == (4, 3, 25, 32, 32)
    plain = views.Recipe(input_size=32, grayscale=0.0, masking=False)
    assert not torch.equal(views.augmented_view(batch, plain, 1.0)[0], clean)
    one = batch.take([2])
    torch.testing.assert_close(views.augmented_view(one, recipe, 1.0)[0][0], augmented[2], rtol=0, atol=0)
    torch.testing.assert_close(views.clean_view(one, recipe)[0], clean[2], rtol=0, atol=0)
    for row, (first, last) in enumerate(hidden.tolist()):
        assert last - first < 12 and (augmented[row, :, first:last] == 0).all()


def test_moments_are_hidden_as_often_as_asked() -> None:
    batch = random_batch(build(*TINY).config.clip, 4).take([i % 4 for i in range(80)])
    batch.seed = torch.arange(80)
    recipe = views.Recipe(input_size=8, grayscale=0.0)
    shares = []
    for chance in (0.0, 0.5, 1.0):
        _, hidden = views.augmented_view(batch, recipe, chance)
        shares.append(float((hidden[:, 1] > hidden[:, 0]).float().mean()))
    assert shares[0] == 0 and 0.3 < shares[1] < 0.65 and 0.8 < shares[2] < 1  # a twelfth of the spans are empty


def test_sound_is_hidden_where_pictures_are() -> None:
    batch = random_batch(build(*TINY).config.clip, 3)
    batch.samples[2] = 8000
    hidden = torch.tensor([[3, 9], [0, 0], [0, 0]])
    clean = views.clean_sound(batch)
    assert clean.shape == (3, 1, 100, 80) and (clean[2, :, 50:] == 0).all()
    torch.testing.assert_close(clean[0, 0], log_mel_20ms(batch.audio)[0].T)
    masked = views.augmented_sound(batch, hidden, views.Recipe())
    assert (masked[0, :, 12:36] == 0).all()
    bands = (masked[1, 0] == 0).all(dim=0)
    assert int(bands.sum()) < 27 and torch.equal(masked[1, 0][:, ~bands], clean[1, 0][:, ~bands])


def test_stage_1_compares_frames_that_are_seen_and_heard() -> None:
    batch = random_batch(build(*TINY).config.clip, 4)
    batch.frames, batch.samples = torch.tensor([25, 20, 25, 25]), torch.tensor([16_000, 16_000, 6_500, 16_000])
    batch.has_audio[3] = False
    assert views.both_streams(batch).sum(dim=1).tolist() == [25, 20, 10, 0]


# stages


def test_stages_and_their_samples() -> None:
    for preset, names in {"official": ["forgery"], "two_stage": ["represent", "forgery"]}.items():
        stages = resolve(SPEC, "binary", preset=preset).stages
        assert [stage.name for stage in stages] == names
        assert [stage.samples for stage in stages] == ["real", "all"][-len(names) :]
    assert SPEC.requires == {"video"}
    with pytest.raises(UserError, match="it does binary"):
        resolve(SPEC, "four_class")


def test_students_move_and_teachers_follow_slowly_in_stage_1() -> None:
    detector = begin_stages(build(*TINY), 0)
    network = detector.network
    assert network.representation is not None and network.target_encoder is not None
    start = [p.clone() for p in network.target_encoder.parameters()]
    torch.testing.assert_close(start[0], next(network.backbone.parameters()), rtol=0, atol=0)
    losses, moved = step(detector, 0)
    assert losses.keys() == {"loss", "loss_video_to_audio", "loss_audio_to_video"}
    torch.testing.assert_close(losses["loss"], losses["loss_video_to_audio"] + losses["loss_audio_to_video"])
    for part in ("backbone.", "representation.ears.", "representation.video_head.", "representation.audio_head."):
        assert of(moved, part), part
    assert not of(moved, "df_head.") and not of(moved, "ssl_head.")
    assert of(moved, "target_encoder.") and of(moved, "representation.audio_teacher.")
    assert of(moved, "target_encoder.", weights=False), "a teacher keeps statistics of its own"
    pace = 1e-3 / 96 * 8 * 100  # eight clips a batch, teacher_speed 100
    students = [*network.backbone.parameters(), *network.representation.video_head[0].parameters()]
    for before, slow, student in zip(start, network.target_encoder.parameters(), students, strict=True):
        torch.testing.assert_close(slow, before + pace * (student - before), rtol=1e-4, atol=1e-7)


def test_no_gradient_reaches_a_student_through_the_other_one() -> None:
    detector = begin_stages(build(*TINY), 0)
    network, batch = detector.network, random_batch(detector.config.clip, 4)
    assert network.representation is not None
    detector.train()
    losses = detector.loss(detector(batch), batch)
    ears, eyes = network.representation.ears.conv1.weight, network.backbone.get_parameter("blocks.0.conv.weight")
    for loss, own, other in (("video_to_audio", eyes, ears), ("audio_to_video", ears, eyes)):
        gradients = torch.autograd.grad(losses[f"loss_{loss}"], [own, other], retain_graph=True, allow_unused=True)
        assert gradients[0] is not None and gradients[0].abs().sum() > 0 and gradients[1] is None


def test_teacher_stands_still_in_stage_2_and_real_clips_alone_are_compared() -> None:
    detector = begin_stages(build(*TINY, "ssl_weight=1"), 1)
    assert detector.network.representation is None
    losses, moved = step(detector, 1)
    assert losses.keys() == {"loss", "loss_forgery", "loss_teacher"}
    torch.testing.assert_close(losses["loss"], losses["loss_forgery"] + losses["loss_teacher"])
    assert of(moved, "backbone.") and of(moved, "df_head.") and of(moved, "ssl_head.")
    assert not any(name.startswith("target_encoder.") for name in moved), "neither weights nor statistics"

    batch = random_batch(detector.config.clip, 4)
    batch.forgery = torch.tensor([0, 2, 1, 3])  # the pictures of the first two are real
    detector.train()
    loss = detector.loss(detector(batch), batch)["loss_teacher"]
    pair = batch.take([0, 1])
    torch.manual_seed(0)
    assert detector.network.ssl_head is not None and detector.network.target_encoder is not None
    features = detector.network.backbone(views.augmented_view(batch, detector.recipe, 0.5)[0])[:2]
    with torch.no_grad():
        target = detector.network.target_encoder(views.clean_view(pair, detector.recipe))
    expected = nn.functional.cosine_similarity(detector.network.ssl_head(features), target, dim=-1).mean()
    torch.testing.assert_close(loss, -expected, rtol=1e-4, atol=1e-5)


def test_published_drift_of_the_teacher_is_a_switch() -> None:
    detector = begin_stages(build(*TINY, "reproduce_bugs=true"), 1)
    _, moved = step(detector, 1)
    assert of(moved, "target_encoder.", weights=False) and not of(moved, "target_encoder.")


def test_a_batch_of_forgeries_has_no_teacher_but_a_gradient_for_all() -> None:
    detector = begin_stages(build(*TINY), 1)
    batch = random_batch(detector.config.clip, 2)
    batch.forgery = torch.tensor([1, 3])
    detector.train()
    losses = detector.loss(detector(batch), batch)
    assert losses["loss_teacher"] == 0
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in detector.parameters() if p.requires_grad)


def test_every_trainable_weight_has_a_gradient_in_stage_1() -> None:
    detector = begin_stages(build(*TINY), 0)
    batch = random_batch(detector.config.clip, 2)
    detector.train()
    detector.loss(detector(batch), batch)["loss"].backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in detector.parameters() if p.requires_grad)


def test_share_of_fakes_moves_the_logit_in_training_alone() -> None:
    plain, moved = build(*ALONE, preset="official"), build(*ALONE, "fake_share=0.8", preset="official")
    batch = random_batch(plain.config.clip, 2)
    moved.load_state_dict(plain.state_dict())
    with torch.no_grad():
        output = plain.eval()(batch)
        torch.testing.assert_close(probabilities(moved.eval()(batch))[0], probabilities(output)[0], rtol=0, atol=0)
        assert output.logits is not None
        torch.testing.assert_close(probabilities(output)[0], output.logits[:, 1].double().sigmoid())
        shifted = output.logits[:, 1] + torch.log(torch.tensor(4.0))
        expected = nn.functional.binary_cross_entropy_with_logits(shifted, torch.tensor([0.0, 1.0]))
        torch.testing.assert_close(moved.loss(output, batch)["loss"], expected)


def test_rates_warm_up_then_stay_or_fall() -> None:
    assert [rate_factor(s, 100, 4, falls=False) for s in (0, 1, 3, 50, 100)] == [0.25, 0.5, 1, 1, 1]
    falling = [rate_factor(s, 104, 4, falls=True) for s in (0, 4, 54, 104)]
    assert falling == pytest.approx([0.25, 1, 0.5, 0])
    detector = begin_stages(build(*TINY, "represent.epochs=4"), 0)
    optimizer, schedule = detector.optimizer(detector.config.stages[0], 60)
    assert schedule is not None
    for _ in range(60):
        optimizer.step()
        schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0, 1.5e-3]), "predictors keep theirs"


def test_a_teacher_must_have_been_taught(tmp_path: Path) -> None:
    detector = build(*ALONE, "ssl_weight=1", preset="official")
    with pytest.raises(UserError, match="two_stage"):
        detector.optimizer(detector.config.stages[0], 10)
    torch.save(stage_1_file(build(*ALONE, "ssl_weight=1", preset="official", seed=1)), tmp_path / "stage1.pth")
    detector.load_pretrained({"backbone_weights": tmp_path / "stage1.pth"})
    assert detector.optimizer(detector.config.stages[0], 10)


def test_label_is_that_of_the_pictures_alone() -> None:
    detector = build(*ALONE, preset="official")
    batch = random_batch(detector.config.clip, 4)
    assert batch.audio.shape[1] == 0 and detector.labels(batch).tolist() == [0, 1, 0, 1]


def test_sound_does_not_change_a_score() -> None:
    detector = begin_stages(build(*TINY), 1).eval()
    batch = random_batch(detector.config.clip, 2)
    with torch.no_grad():
        before = detector(batch).logits
        batch.audio, batch.has_audio = torch.zeros_like(batch.audio), torch.zeros_like(batch.has_audio)
        torch.testing.assert_close(detector(batch).logits, before, rtol=0, atol=0)


# published files


def stage_1_file(detector: RealForensics) -> dict[str, dict[str, Tensor]]:
    """Return what stage 1 of the published code writes: its video student and both halves of its teacher."""
    assert detector.network.target_encoder is not None
    eyes, projector = detector.network.target_encoder
    named = {f"model.model1.backbone.{k}": v for k, v in detector.network.backbone.state_dict().items()}
    named |= {f"model.model1.target_backbone.{k}": v + 1 for k, v in eyes.state_dict().items()}
    named |= {f"model.model1.target_projector.{k}": v for k, v in projector.state_dict().items()}
    return {"state_dict": named | {"model.model2.backbone.model.conv1.weight": torch.zeros(1)}}


def test_stage_1_files_fill_student_and_teacher(tmp_path: Path) -> None:
    given = (*ALONE, "ssl_weight=1")
    source, detector = (build(*given, preset="official", seed=seed) for seed in (1, 2))
    torch.save(stage_1_file(source), tmp_path / "stage1.pth")
    detector.load_pretrained({"backbone_weights": tmp_path / "stage1.pth"})
    own, teacher = detector.network.backbone.state_dict(), detector.network.target_encoder
    assert teacher is not None and source.network.target_encoder is not None
    assert all(torch.equal(value, own[name]) for name, value in source.network.backbone.state_dict().items())
    slow = source.network.target_encoder[0].get_parameter("blocks.0.conv.weight")
    torch.testing.assert_close(teacher[0].get_parameter("blocks.0.conv.weight"), slow + 1)


def test_kinetics_and_stage_2_files_load_strictly(tmp_path: Path) -> None:
    source, detector = build(*ALONE, preset="official", seed=1), build(*ALONE, preset="official", seed=2)
    state = source.network.state_dict()
    eyes = {name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")}
    torch.save({"model_state": eyes | {"blocks.5.proj.weight": torch.zeros(400, 128)}}, tmp_path / "csn.pyth")
    detector.load_pretrained({"backbone_weights": tmp_path / "csn.pyth"})
    own = detector.network.state_dict()
    assert all(torch.equal(own[name], state[name]) == name.startswith("backbone.") for name in state)
    torch.save(state, tmp_path / "ff.pth")
    detector.load_pretrained({"backbone_weights": tmp_path / "ff.pth"})
    assert torch.equal(detector.network.df_head.weight, source.network.df_head.weight)
    del state["backbone.blocks.4.res_blocks.0.branch2.norm_c.bias"]
    torch.save(state, tmp_path / "ff.pth")
    with pytest.raises(UserError, match=r"missing: blocks.4.res_blocks.0.branch2.norm_c.bias"):
        load_pretrained(detector, {"backbone_weights": tmp_path / "ff.pth"})


@pytest.mark.parametrize("preset", ["official", "demo"])
def test_published_checkpoints_judge(preset: str) -> None:
    small = TINY if preset == "demo" else ALONE
    source, judge = (build(*small, preset=preset, seed=seed) for seed in (1, 2))
    for stage in judge.config.stages:
        judge.begin_stage(stage)
    published = {k: v for k, v in source.network.state_dict().items() if k.startswith(("backbone.", "df_head."))}
    judge.load_state_dict(dict(judge.convert_checkpoint(published)), strict=True)
    batch = random_batch(source.config.clip, 2)
    with torch.no_grad():
        torch.testing.assert_close(judge.eval()(batch).logits, source.eval()(batch).logits, rtol=0, atol=0)
    own = judge.state_dict()
    assert judge.convert_checkpoint(own).keys() == own.keys()
    del published["df_head.weight"]
    with pytest.raises(RuntimeError, match="Missing key"):
        judge.load_state_dict(dict(judge.convert_checkpoint(published)), strict=True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("csn_blocks=1,2,3", "four block counts"),
        ("fake_share=1", "fake_share"),
        ("crop=160", "larger than crop_from"),
        ("teacher_batch_norm=maybe", "teacher_batch_norm"),
        ("clip.frames=20", "hears 20 frames with 12800 samples"),
    ],
)
def test_impossible_settings_are_told(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(*TINY, override)


def test_keeps_the_contract() -> None:
    assert not [result for result in check_detector(SPEC) if not result.kept]
