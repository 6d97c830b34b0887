"""Learning from random weights: correlations that differ between clips, teachers of the encoders, rates by part."""

from __future__ import annotations

import pytest
import torch

from avbench.check import random_batch
from avbench.config import resolve
from avbench_fauforensics.augment import prepare
from avbench_fauforensics.detector import FauForensics
from avbench_fauforensics.plugin import avbench_detectors

SPEC = next(iter(avbench_detectors()))


def build(*overrides: str) -> FauForensics:
    torch.manual_seed(0)
    return FauForensics(resolve(SPEC, "binary", preset="demo", overrides=overrides))


def spread(detector: FauForensics) -> dict[str, float]:
    """Return how much the cosines behind M_v and M_a differ between clips that differ in light and loudness."""
    batch = random_batch(detector.config.clip, 4)
    batch.video = (batch.video.float() * torch.linspace(0.2, 1, 4)[:, None, None, None, None]).byte()
    batch.audio = batch.audio * torch.linspace(0.1, 5, 4)[:, None] * torch.linspace(0, 1, batch.audio.shape[1])
    detector.train()
    with torch.no_grad():
        z = detector.network.align(detector.network.encode(*prepare(batch, detector.recipe, training=False)))
        unit = {name: torch.nn.functional.normalize(z_BTL, dim=-1) for name, z_BTL in z.items()}
        return {name: float((u @ u.transpose(1, 2)).std(dim=0).mean()) for name, u in unit.items()}


def test_sharp_start_lets_correlations_differ_between_clips() -> None:
    flat, sharp = spread(build("sharp_start=false")), spread(build())
    for stream in ("video", "audio"):
        assert flat[stream] < 1e-3 < 1e-2 < sharp[stream], (stream, flat, sharp)


def test_sharp_start_is_the_same_every_time_and_leaves_statistics_unused() -> None:
    one, two = build().state_dict(), build().state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert all(not value.any() for name, value in one.items() if name.endswith("running_mean"))


def test_encoder_heads_teach_but_do_not_judge() -> None:
    with_heads, without = build(), build("loss_weight_encoders=0")
    batch = random_batch(with_heads.config.clip, 2)
    with torch.inference_mode():
        torch.testing.assert_close(with_heads.eval()(batch).logits, without.eval()(batch).logits, rtol=0, atol=0)
    assert not any(name.startswith("encoder_heads") for name in without.state_dict())
    with_heads.train()
    losses = with_heads.loss(with_heads(batch), batch)
    weighed = sum(0.5 * value for name, value in losses.items() if name.startswith("loss_encoders_"))
    paper = 0.8 * losses["loss_joint"] + 0.1 * losses["loss_video"] + 0.1 * losses["loss_audio"]
    assert losses["loss"].item() == pytest.approx((paper + weighed).item(), rel=1e-6)


def test_published_presets_use_none_of_it() -> None:
    for name in ("official", "paper"):
        settings = resolve(SPEC, "binary", preset=name).settings
        assert not settings["sharp_start"] and settings["loss_weight_encoders"] == 0 and settings["pooler_rate"] == 1


def test_pooler_and_heads_have_their_own_rate() -> None:
    detector = build()
    stage = detector.config.stages[0]
    optimizer, _ = detector.optimizer(stage, 10)
    names = {id(parameter): name for name, parameter in detector.named_parameters()}
    rates = {names[id(p)]: group["initial_lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates["network.mlp_joint.weight"] == rates["network.queries"] == pytest.approx(3 * stage.lr)
    assert (
        rates["network.v_attn_pool.to_q.weight"]
        == rates["network.v_attn_pool_norm.gamma"]
        == pytest.approx(3 * stage.lr)
    )
    assert (
        rates["network.VEncoder_cnn.blocks.0.conv.weight"]
        == rates["encoder_heads.joint.weight"]
        == pytest.approx(stage.lr)
    )
