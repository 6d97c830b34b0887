"""FauForensics as a detector: losses, training, presets, ablations, published weights."""

from __future__ import annotations

import itertools
import math
from functools import partial

import pytest
import torch

from avbench.bench.contract import random_batch
from avbench.config import resolve
from avbench.engine.building import load_pretrained
from avbench.errors import UserError
from avbench_fauforensics.model import LayerNorm
from avbench_fauforensics.plugin import avbench_detectors
from building import build_detector

SPEC = next(iter(avbench_detectors()))
SMALL_CSN = ("csn_width=4", "csn_blocks=1,1,1,1")
SHORT = ("clip.frames=10", "clip.audio_samples=6400")
TINY = (
    *SHORT,
    *SMALL_CSN,
    "whisper_weights=random",
    "csn_weights=random",
    "freeze_encoders=false",
    "query_gain=1",
    "clip.size=64",
    "input_size=32",
    "width=32",
    "audio_state=32",
    "audio_layers=1",
)
PUBLISHED_LOSS = ("loss_weight_joint=0.8", "loss_weight_video=0.1", "loss_weight_audio=0.1")


def configure(preset="demo", *overrides, task="binary", dataset=""):
    return resolve(SPEC, task, preset=preset, overrides=overrides, dataset=dataset)


build = partial(build_detector, "fauforensics", last_stage=True)


def step(detector, batch, lr=1e-3):
    """Train one step; return the losses."""
    optimizer, schedule = detector.optimizer(detector.config.stages[0], 10)
    detector.train()
    losses = detector.loss(detector(batch), batch)
    losses["loss"].backward()
    optimizer.step()
    schedule.step()
    return losses


def scores(detector, batch):
    detector.eval()
    with torch.inference_mode():
        return detector(batch)


@pytest.fixture(scope="module")
def official():
    return build(preset="official")


def test_official_judges_a_clip(official):
    output = scores(official, random_batch(official.config.clip, 1))
    assert output.logits.shape == (1, 2)
    assert {name: logits.shape for name, logits in output.aux.items()} == {"video": (1, 2), "audio": (1, 2)}
    torch.testing.assert_close(output.p_video, output.aux["video"].softmax(1)[:, 1])
    torch.testing.assert_close(output.p_audio, output.aux["audio"].softmax(1)[:, 1])


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}}])
def test_published_names_load(wrap):
    trained, fresh = build(*TINY, seed=1), build(*TINY, seed=2)
    fresh.load_state_dict(fresh.convert_checkpoint(wrap(trained.network.state_dict())), strict=True)
    batch = random_batch(fresh.config.clip, 2)
    assert torch.equal(scores(fresh, batch).logits, scores(trained, batch).logits)
    own = trained.state_dict()
    assert fresh.convert_checkpoint(own).keys() == own.keys()


def test_loss_weighs_three_labels():
    detector = build(*TINY, *PUBLISHED_LOSS)
    batch = random_batch(detector.config.clip, 4)
    assert batch.forgery.tolist() == [0, 1, 2, 3]
    output = scores(detector, batch)
    losses = detector.loss(output, batch)

    def entropy(logits, labels):
        return -sum(math.log(row.softmax(0)[label]) for row, label in zip(logits.double(), labels, strict=True)) / 4

    joint = entropy(output.logits, [0, 1, 1, 1])
    video, audio = entropy(output.aux["video"], [0, 1, 0, 1]), entropy(output.aux["audio"], [0, 0, 1, 1])
    assert losses["loss"].item() == pytest.approx(0.8 * joint + 0.1 * video + 0.1 * audio, abs=1e-6)
    assert losses["loss_video"].item() == pytest.approx(video, abs=1e-6)
    four = build(*TINY, task="four_class")
    output = scores(four, batch)
    assert four.loss(output, batch)["loss_joint"].item() == pytest.approx(
        entropy(output.logits, [0, 1, 2, 3]), abs=1e-6
    )


def test_gradients_carry_the_weights_of_the_losses():
    detector = build(*TINY, *PUBLISHED_LOSS)
    batch = random_batch(detector.config.clip, 4)
    losses = detector.loss(detector(batch), batch)
    for name, weight, head in (("video", 0.1, "mlp_v"), ("audio", 0.1, "mlp_a"), ("joint", 0.8, "mlp_joint")):
        parameter = getattr(detector.network, head).weight
        (total,) = torch.autograd.grad(losses["loss"], parameter, retain_graph=True)
        (alone,) = torch.autograd.grad(losses[f"loss_{name}"], parameter, retain_graph=True)
        torch.testing.assert_close(total, weight * alone)


@pytest.mark.parametrize("preset", ["official", "paper", "demo"])
def test_frozen_encoder_does_not_drift(preset, request):
    detector = request.getfixturevalue("official") if preset == "official" else build(*SMALL_CSN, preset=preset)
    encoder = detector.network.FAUEncoder_cnn
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    if preset == "demo":
        step(detector, random_batch(detector.config.clip, 4))
    detector.train()
    encoder(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert not any(p.requires_grad for p in encoder.parameters())
    detector.eval()


@pytest.mark.parametrize("override", ["fau_batch_norm=train", "reproduce_bugs=true"])
def test_published_drift_is_a_switch(override):
    detector = build(*TINY, override)
    before = detector.network.FAUEncoder_cnn.backbone.bn1.running_mean.clone()
    weights = detector.network.FAUEncoder_cnn.backbone.conv1.weight.clone()
    step(detector, random_batch(detector.config.clip, 4))
    assert not torch.equal(detector.network.FAUEncoder_cnn.backbone.bn1.running_mean, before)
    assert torch.equal(detector.network.FAUEncoder_cnn.backbone.conv1.weight, weights)


def test_reproduce_bugs_bounds_scaled_gradients():
    assert [s.clip_scaled for s in build(*TINY, "reproduce_bugs=true").config.stages] == [True]
    assert [s.clip_scaled for s in build(*TINY).config.stages] == [False]


def test_shift_of_layer_norm_stays_zero_in_training():
    detector = build(*TINY)
    batch = random_batch(detector.config.clip, 4)
    for _ in range(2):
        step(detector, batch)
    norms = [module for module in detector.modules() if isinstance(module, LayerNorm)]
    assert len(norms) == 8
    assert all(not norm.beta.any() and not norm.beta.requires_grad for norm in norms)
    assert all((norm.gamma != 1).any() for norm in norms)


def test_a_clip_is_judged_alone():
    detector = build(*TINY)
    for _ in range(2):  # running statistics that are not the initial ones
        step(detector, random_batch(detector.config.clip, 4))
    batch = random_batch(detector.config.clip, 5, seed=3)
    together = scores(detector, batch)
    for i in range(5):
        alone = scores(detector, batch.part(i, i + 1))
        torch.testing.assert_close(alone.logits[0], together.logits[i], atol=1e-5, rtol=0)
        torch.testing.assert_close(alone.p_video[0], together.p_video[i], atol=1e-5, rtol=0)


SWITCHES = [
    {"fau": fau, "video": video, "audio": audio, "ifa": ifa, "tap": tap}
    for fau, video, audio, ifa, tap in itertools.product((True, False), repeat=5)
    if fau or video or audio
]


@pytest.mark.parametrize("switches", SWITCHES, ids=lambda s: "+".join(k for k, v in s.items() if v))
def test_every_ablation_trains_and_scores(switches):
    detector = build(*TINY, *(f"use_{name}={value}" for name, value in switches.items()), task="four_class")
    seen, heard = switches["fau"] or switches["video"], switches["audio"]
    batch = random_batch(detector.config.clip, 2)
    before = {name: p.clone() for name, p in detector.named_parameters() if p.requires_grad}
    losses = step(detector, batch)
    assert ("loss_video" in losses, "loss_audio" in losses) == (seen, heard)
    still = [name for name, old in before.items() if torch.equal(detector.get_parameter(name), old)]
    assert all("logit_scale" in name for name in still)  # inert by the column norm
    output = scores(detector, batch)
    assert output.logits.shape == (2, 4) and output.logits.isfinite().all()
    assert (output.p_video is not None, output.p_audio is not None) == (seen, heard)
    there = {
        "FAUEncoder_cnn": switches["fau"],
        "VEncoder_cnn": switches["video"],
        "AEncoder": heard,
        "queries": switches["ifa"],
        "logit_scale": switches["tap"],
    }
    kept = {name.split(".")[0] for name in detector.network.state_dict()}
    assert {name: name in kept for name in there} == there


def test_without_ffl_there_is_no_fau_encoder():
    names = [set(build(*TINY, switch).state_dict()) for switch in ("use_ffl=false", "use_fau=false")]
    assert names[0] == names[1] and not any("FAUEncoder" in name for name in names[0])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("use_video=false", "use_audio=false", "use_ffl=false"), "at least one encoder"),
        (("mel=mfcc",), "mel=mfcc: use one of 20ms, whisper"),
        (("attention_norm=row",), "attention_norm"),
        (("crop=200", "crop_from=160"), "crop_from=160"),
        (("clip.frames=20",), "12800"),
        (("clip.sample_rate=8000",), "16000 Hz"),
        (("csn_blocks=1,1,1",), "four block counts"),
    ],
)
def test_senseless_settings_are_refused(overrides, message):
    with pytest.raises(UserError, match=message):
        build(*overrides)


def test_presets_train_by_the_published_recipe():
    stage = configure("official").stages[0]
    assert (stage.epochs, stage.batch, stage.accumulate) == (50, 32, 1)
    assert (stage.lr, stage.weight_decay, stage.clip_norm, stage.clip_scaled) == (1e-4, 1e-2, 1.0, False)
    assert stage.precision == "16-mixed"
    assert configure("official", dataset="lavdf").stages[0].accumulate == 2
    assert configure("paper", dataset="fakeav").stages[0].accumulate == 1
    assert (configure().clip.frames, configure("paper").clip.samples) == (25, 16_000)


def test_learning_rate_falls_to_a_thousandth():
    detector = build(*TINY)
    stage = detector.config.stages[0]
    optimizer, schedule = detector.optimizer(stage, 100)
    rates = []
    for _ in range(101):
        rates.append(optimizer.param_groups[0]["lr"] / stage.lr)
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(1) and rates[100] == pytest.approx(1e-3)
    assert rates[50] == pytest.approx(0.999 * 0.5**0.9 + 0.001)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in detector.parameters() if p.requires_grad}


def test_whisper_weights_load_and_matter(official, weights_root):
    path = weights_root / "whisper_base_encoder.pt"
    encoder = official.network.AEncoder.encoder
    mel = torch.randn(1, 80, 100)
    positions, before = encoder.positional_embedding.clone(), encoder(mel)
    official.load_pretrained({"whisper_weights": path})
    published = torch.load(path, weights_only=True)["model_state_dict"]
    assert torch.equal(encoder.blocks[5].mlp[2].weight, published["encoder.blocks.5.mlp.2.weight"].float())
    assert torch.equal(encoder.conv1.weight, published["encoder.conv1.weight"].float())
    assert torch.equal(encoder.positional_embedding, positions)
    assert not torch.allclose(encoder(mel), before, atol=0.1)


def test_weights_of_another_size_are_refused(weights_root):
    with pytest.raises(UserError, match=r"whisper_weights.*do not fit.*whisper_weights=random"):
        load_pretrained(build(), {"whisper_weights": weights_root / "whisper_base_encoder.pt"})


@pytest.mark.parametrize("features", ["global", "nodes"])
def test_graphau_and_csn_files_load(features, tmp_path):
    source, detector = (build(*TINY, f"fau_features={features}", seed=seed) for seed in (1, 2))
    fau = {f"module.{k}": v for k, v in source.network.FAUEncoder_cnn.state_dict().items()}
    head = {"module.head.sc": torch.zeros(8, 16), "module.head.gnn.U.weight": torch.zeros(16, 16)}
    torch.save({"epoch": 1, "state_dict": {**fau, **head}}, tmp_path / "fau.pth")
    csn = {**source.network.VEncoder_cnn.state_dict(), "blocks.5.proj.weight": torch.zeros(400, 128)}
    torch.save({"model_state": csn, "cfg": "none"}, tmp_path / "csn.pyth")
    detector.load_pretrained({"fau_weights": tmp_path / "fau.pth", "csn_weights": tmp_path / "csn.pyth"})
    for encoder in ("FAUEncoder_cnn", "VEncoder_cnn"):
        loaded, meant = (getattr(d.network, encoder).state_dict() for d in (detector, source))
        assert all(torch.equal(loaded[name], meant[name]) for name in meant)
    del csn["blocks.4.res_blocks.0.branch2.norm_c.bias"]
    torch.save({"model_state": csn}, tmp_path / "csn.pyth")
    with pytest.raises(UserError, match=r"missing: blocks.4.res_blocks.0.branch2.norm_c.bias"):
        load_pretrained(detector, {"csn_weights": tmp_path / "csn.pyth"})


def test_weights_of_an_absent_encoder_are_not_read(tmp_path):
    build(*TINY, "use_video=false").load_pretrained({"csn_weights": tmp_path / "absent.pyth"})


def test_precision_of_the_official_recipe_gives_the_same_scores():
    detector = build(*TINY)
    batch = random_batch(detector.config.clip, 2)
    exact = scores(detector, batch).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = scores(detector, batch).logits.float()
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0)
