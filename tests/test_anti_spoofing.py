"""RawGAT-ST and AASIST: published weights and logits, label order, filling up, masks, loss, settings."""

from __future__ import annotations

import cmath
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from avbench.bench.contract import check_detector, random_batch
from avbench.config import resolve
from avbench.detector import probabilities
from avbench.engine.building import load_pretrained
from avbench.errors import UserError
from avbench_aasist.plugin import avbench_detectors as aasist_detectors
from avbench_backbones.aasist import AASIST, AASIST_L
from avbench_backbones.anti_spoofing import emphasised, real_then_fake, repeat_short, weighted_loss
from avbench_backbones.augment import dice
from avbench_backbones.checkpoints import load_strict
from avbench_backbones.graph import GraphAttention, GraphPool, HeterogeneousAttention
from avbench_backbones.rawgat import RawGATSize, RawGATST
from avbench_backbones.sinc import SincFilters, mask_bands, sinc_filters
from avbench_rawgat.plugin import avbench_detectors as rawgat_detectors
from building import build_detector

SPECS = {spec.name: spec for spec in (*rawgat_detectors(), *aasist_detectors())}
SHORT = ("clip.audio_samples=16000", "hop=2")
GOLDEN = {
    "rawgat_st": ("RawGAT_ST_mul.pth", [[7.0716, -5.0497], [23.2480, -16.4782]]),
    "aasist": ("AASIST.pth", [[11.1034, -11.8137], [3.4180, -4.2184]]),
}


def published_sounds():
    """Return the two sounds (2,64600) for which the published networks' logits are known."""
    t = torch.arange(64_600, dtype=torch.float64) / 16_000
    tones = sum(loud * torch.sin(2 * math.pi * hz * t) for loud, hz in ((0.4, 220), (0.2, 1760), (0.1, 3333)))
    swelling = (0.5 + 0.5 * torch.sin(2 * math.pi * 3 * t)) * tones
    sweep = 0.3 * torch.sin(2 * math.pi * (100 * t + 3900 / 8.075 * t**2))
    return torch.stack([swelling, sweep]).float()


def published_batch(detector):
    return replace(random_batch(detector.config.clip, 2), audio=published_sounds())


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (lambda: RawGATST(), 440_810),
        (lambda: RawGATST(RawGATSize(fusion="add")), 440_810),
        (lambda: RawGATST(RawGATSize(fusion="cat")), 445_546),
        (lambda: AASIST(), 297_866),
        (lambda: AASIST(AASIST_L), 85_306),
    ],
)
def test_parameters_are_as_many_as_published(network, parameters):
    assert sum(p.numel() for p in network().parameters()) == parameters


@pytest.mark.parametrize("name", ["rawgat_st", "aasist", "aasist_l"])
def test_official_preset_is_the_published_network(name):
    published = {"rawgat_st": RawGATST(), "aasist": AASIST(), "aasist_l": AASIST(AASIST_L)}[name].state_dict()
    own = build_detector(name, preset="official").network.state_dict()
    assert {n: v.shape for n, v in own.items()} == {n: v.shape for n, v in published.items()}


@pytest.mark.parametrize("name", GOLDEN)
def test_published_weights_give_published_logits_with_fake_last(name, specs_root):
    file, golden = GOLDEN[name]
    detector = build_detector(name, preset="official")
    detector.load_pretrained({"weights": specs_root / "data" / file})
    detector.eval()
    with torch.inference_mode():
        output = detector(published_batch(detector))
    bona_fide, spoof = torch.tensor(golden)[:, 1], torch.tensor(golden)[:, 0]
    torch.testing.assert_close(output.logits[:, 0], bona_fide, atol=1e-3, rtol=0)  # 0 real
    torch.testing.assert_close(output.logits[:, 1], spoof, atol=1e-3, rtol=0)  # 1 fake
    p_fake = probabilities(output)[0]
    assert (p_fake > 0.99).all()  # tones are no speech: both networks call them spoofed
    torch.testing.assert_close(output.p_audio, p_fake.float())


@pytest.mark.parametrize("name", GOLDEN)
def test_published_files_are_checkpoints_too(name, specs_root):
    state = torch.load(specs_root / "data" / GOLDEN[name][0], map_location="cpu", weights_only=True)
    detector = build_detector(name, preset="official")
    for wrapped in (state, {f"module.{n}": v for n, v in state.items()}):
        detector.load_state_dict(detector.convert_checkpoint(wrapped), strict=True)
    own = detector.state_dict()
    assert detector.convert_checkpoint(own).keys() == own.keys()
    with pytest.raises(UserError, match=r"do not fit.*weights=random"):
        load_pretrained(build_detector(name), {"weights": specs_root / "data" / GOLDEN[name][0]})


def test_emphasis_lifts_what_is_high_and_is_none_as_published():
    time = torch.arange(16_000) / 16_000
    low, high = (torch.sin(2 * math.pi * hz * time)[None] for hz in (100, 7_000))
    gains = [(emphasised(tone, 0.97)[0, 1:].std() / tone.std()).item() for tone in (low, high)]
    expected = [abs(1 - 0.97 * cmath.exp(-2j * math.pi * hz / 16_000)) for hz in (100, 7_000)]
    assert gains == pytest.approx(expected, rel=1e-3)
    assert emphasised(torch.ones(1, 3), 0.5).tolist() == [[0.5] * 3]  # no click at the beginning
    heard = []
    for preset in ("official", "demo"):
        detector = build_detector("aasist", preset=preset).eval()
        detector.network.forward = lambda audio, dice: heard.append(audio) or audio[:, :2]
        detector(replace(random_batch(detector.config.clip, 1), audio=low))
    assert torch.equal(heard[0], low) and torch.equal(heard[1], emphasised(low, 0.97))


def test_training_raises_the_fake_logit_of_fake_sounds():
    """Class 1 is fake: what the loss teaches must come out of the network in the published order, spoof first."""
    detector = build_detector("aasist", "filters=12", "narrow=4", "hop=2", "clip.audio_samples=9000")
    for module in detector.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    batch = replace(random_batch(detector.config.clip, 8), forgery=torch.tensor([0, 1, 2, 3] * 2))
    fake = detector.labels(batch) == 1
    assert fake.tolist() == [False, False, True, True] * 2  # RARV, RAFV real; FARV, FAFV fake
    batch.audio[fake] += 0.3 * torch.sin(2 * math.pi * 3000 * torch.arange(9_000) / 16_000)
    optimizer = torch.optim.Adam(detector.parameters(), lr=1e-2)
    for _ in range(15):
        optimizer.zero_grad()
        detector.loss(detector(batch), batch)["loss"].backward()
        optimizer.step()
    spoof, bona_fide = detector.network(batch.audio).T
    assert (spoof[fake] > bona_fide[fake]).all() and (spoof[~fake] < bona_fide[~fake]).all()


def test_logits_are_turned_once():
    assert real_then_fake(torch.tensor([[3.0, -1.0]])).tolist() == [[-1.0, 3.0]]


def test_loss_weighs_classes_and_divides_by_their_weights():
    logits, labels = torch.tensor([[2.0, 0.0], [0.5, 1.0], [0.0, 0.0]]), torch.tensor([0, 1, 1])
    entropy = [-math.log(row.softmax(0)[label]) for row, label in zip(logits.double(), labels, strict=True)]
    expected = (0.9 * entropy[0] + 0.1 * entropy[1] + 0.1 * entropy[2]) / 1.1
    assert weighted_loss(logits, labels, 0.9, 0.1).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_class_weights_come_from_the_settings(name):
    def config(**more):
        return resolve(SPECS[name], "binary", preset="official", **more).settings

    assert (config().weight_real, config().weight_fake) == (0.5, 0.5)
    fakeav = config(dataset="fakeav")
    assert fakeav.weight_fake / fakeav.weight_real == pytest.approx((21_544 - 11_335) / 11_335, abs=1e-3)
    published = config(overrides=["asvspoof_weights=true"], dataset="fakeav")
    assert (published.weight_real, published.weight_fake) == (0.9, 0.1)
    detector = build_detector(name, "asvspoof_weights=true", *SHORT)
    batch = random_batch(detector.config.clip, 4)
    output = detector(batch)
    assert detector.loss(output, batch)["loss"] == weighted_loss(output.logits, detector.labels(batch), 0.9, 0.1)


def test_short_sounds_are_repeated():
    audio = torch.tensor([[1.0, 2, 3, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7], [0] * 7])
    filled = repeat_short(audio, torch.tensor([3, 7, 0]))
    assert filled.tolist() == [[1, 2, 3, 1, 2, 3, 1], [1, 2, 3, 4, 5, 6, 7], [0] * 7]


@pytest.mark.parametrize("name", SPECS)
def test_padding_is_not_heard(name):
    detector = build_detector(name, *SHORT).eval()
    batch = random_batch(detector.config.clip, 2)
    batch = replace(batch, samples=torch.tensor([9_000, 16_000]))
    silent, noisy = batch.audio.clone(), batch.audio.clone()
    silent[0, 9_000:], noisy[0, 9_000:] = 0, 0.1
    with torch.inference_mode():
        scores = [detector(replace(batch, audio=audio)).logits for audio in (silent, noisy)]
        whole = detector(replace(batch, audio=silent, samples=torch.tensor([16_000, 16_000]))).logits
    assert torch.equal(*scores) and not torch.equal(scores[0][0], whole[0])


def test_filters_are_windowed_sines_between_mel_edges():
    filters = sinc_filters(70).double()
    assert filters.shape == (70, 129)
    torch.testing.assert_close(filters, filters.flip(1), atol=1e-7, rtol=0)
    edge = [700 * (10 ** (k * 2595 * math.log10(1 + 8000 / 700) / 70 / 2595) - 1) for k in (30, 31)]
    for tap in (0, 50, 64):
        n = tap - 64
        ideal = [2 * hz / 16_000 * np.sinc(2 * hz * n / 16_000) for hz in edge]
        window = 0.54 - 0.46 * math.cos(2 * math.pi * tap / 128)
        assert filters[30, tap].item() == pytest.approx(window * (ideal[1] - ideal[0]), abs=1e-7)
    assert not SincFilters(8).state_dict()


def test_masked_filters_are_drawn_by_each_clip_alone():
    bands = torch.ones(3000, 70, 1)
    masked = mask_bands(bands, dice(torch.arange(3000)), 14)
    silent = (masked == 0).all(dim=2)
    assert silent.sum(1).max() == 13 and silent.sum(1).min() == 0
    assert silent[:, -1].any() and silent[:, 0].any()
    assert ((silent[:, 1:] != silent[:, :-1]).sum(1) <= 2).all()  # neighbours
    alone = mask_bands(bands[5:6], dice(torch.tensor([5])), 14)
    assert torch.equal(alone[0], masked[5])


def test_graph_attention_follows_its_formula():
    torch.manual_seed(0)
    layer = GraphAttention(4, 3, temperature=2.0).eval()
    x = torch.randn(1, 5, 4)
    nodes = x[0]
    pair = torch.tanh(layer.att_proj(nodes[1] * nodes[3]))
    others = torch.stack([torch.tanh(layer.att_proj(nodes[1] * other)) @ layer.att_weight for other in nodes])[:, 0] / 2
    weights = others.softmax(0)
    assert others[3].item() == pytest.approx((pair @ layer.att_weight / 2).item(), abs=1e-6)
    y = layer.proj_with_att(weights @ nodes) + layer.proj_without_att(nodes[1])
    torch.testing.assert_close(layer(x)[0, 1], nn.functional.selu(y / math.sqrt(1 + 1e-5)))


def test_pool_keeps_the_best_nodes_in_falling_order():
    pool = GraphPool(0.5, 1).eval()
    nn.init.ones_(pool.proj.weight), nn.init.zeros_(pool.proj.bias)
    x = torch.tensor([[[1.0], [3], [-2], [2], [0]]])
    kept = torch.tensor([[[3.0], [2.0]]])
    torch.testing.assert_close(pool(x), kept * kept.sigmoid())
    assert GraphPool(0.1, 1).kept(5) == 1 and GraphPool(0.1, 1, least=2).kept(5) == 2


def test_kinds_of_nodes_have_their_own_directions():
    layer = HeterogeneousAttention(4, 3, 1.0).eval()
    for direction, value in ((layer.att_weight11, 1.0), (layer.att_weight22, 2.0), (layer.att_weight12, 3.0)):
        nn.init.constant_(direction, value)
    scores = layer._scores(torch.ones(1, 5, 5, 3), 2)[0] / 3
    assert scores.tolist() == [[1.0] * 2 + [3.0] * 3] * 2 + [[3.0] * 2 + [2.0] * 3] * 3


def test_what_does_nothing_does_not_train():
    network = RawGATST(RawGATSize(filters=12, narrow=4, wide=8))
    network(torch.randn(2, 64_600)).sum().backward()
    idle = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert all(".bn1." in name or (".conv_1." in name and ".0.0." not in name) for name in idle) and idle
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)  # none is unused across ranks


@pytest.mark.parametrize("name", SPECS)
def test_contract(name):
    results = list(check_detector(SPECS[name]))
    assert [r for r in results if not r.kept] == []


@pytest.mark.parametrize("name", SPECS)
def test_only_the_binary_task(name):
    with pytest.raises(UserError, match="it does binary"):
        resolve(SPECS[name], "four_class")


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("rawgat_st", "fusion=sum", "fusion=sum: use one of mul, add, cat"),
        ("rawgat_st", "clip.audio_samples=2000", "cannot hear 2000"),
        ("aasist", "clip.sample_rate=8000", "8000 Hz"),
        ("aasist", "hop=0", "hop=0: must be at least 1"),
        ("rawgat_st", "filters=2", "filters=2: must be at least 3"),
    ],
)
def test_senseless_settings_are_refused(name, override, message):
    with pytest.raises(UserError, match=message):
        build_detector(name, override)


def test_recipes_are_as_published():
    rawgat, aasist = (resolve(SPECS[n], "binary", preset="official").stages[0] for n in ("rawgat_st", "aasist"))
    assert (rawgat.lr, rawgat.weight_decay, rawgat.batch, rawgat.epochs) == (1e-4, 1e-4, 10, 300)
    assert (aasist.lr, aasist.weight_decay, aasist.batch, aasist.epochs) == (1e-4, 1e-4, 24, 100)
    optimizer, schedule = build_detector("aasist").optimizer(aasist, 100)
    assert isinstance(optimizer, torch.optim.Adam)
    for _ in range(100):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(5e-6)


def test_strict_loading_needs_every_name(specs_root):
    state = torch.load(specs_root / "data" / "AASIST.pth", map_location="cpu", weights_only=True)
    del state["master2"]
    with pytest.raises(ValueError, match="missing: master2"):
        load_strict(AASIST(), state)
