"""SSLAS: names and sizes of the published network, encoder files, label order and RawBoost's formulas."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.signal import firwin, freqz, lfilter

from avbench.bench.contract import check_detector, random_batch
from avbench.config import resolve
from avbench.detector import probabilities
from avbench.engine.building import load_pretrained
from avbench.errors import UserError
from avbench_backbones.checkpoints import CheckpointError
from avbench_sslas import keys
from avbench_sslas.plugin import avbench_detectors
from avbench_sslas.rawboost import (
    BOOST,
    convolutive,
    filtered,
    impulsive,
    notch_filter,
    peak_limited,
    rawboost,
    stationary,
)
from building import build_detector

pytest.importorskip("transformers")
from avbench_sslas.detector import SSLASDetector, boosted
from avbench_sslas.network import SSLAS, BackEnd, EncoderSize, feature_frames

SPEC = next(iter(avbench_detectors()))
TINY = ("encoder_width=16", "encoder_inner=16", "encoder_layers=1", "conv_width=8", "features=24", "narrow=4", "wide=8")
build = partial(build_detector, "sslas", *TINY)


def scores(detector, batch):
    detector.eval()
    with torch.inference_mode():
        return detector(batch).logits


def to_fairseq(encoder):
    """Return an encoder's weights as fairseq names them, with what only pre-training needs."""
    names = {
        "feature_projection.layer_norm": "layer_norm",
        "feature_projection.projection": "post_extract_proj",
        ".attention.": ".self_attn.",
        ".feed_forward.intermediate_dense": ".fc1",
        ".feed_forward.output_dense": ".fc2",
        "pos_conv_embed.conv.parametrizations.weight.original0": "pos_conv.0.weight_g",
        "pos_conv_embed.conv.parametrizations.weight.original1": "pos_conv.0.weight_v",
        "pos_conv_embed.conv.bias": "pos_conv.0.bias",
    }
    state = {
        "mask_emb": torch.zeros(16),
        "quantizer.vars": torch.zeros(1, 4, 2),
        "final_proj.weight": torch.zeros(2, 2),
    }
    for name, entry in encoder.state_dict().items():
        if name.startswith("feature_extractor."):
            name = name.replace(".conv.", ".0.").replace(".layer_norm.", ".2.1.")
        elif name.startswith("encoder.layers.") and ".layer_norm." in name:
            name = name.replace(".layer_norm.", ".self_attn_layer_norm.")
        for here, there in names.items():
            name = name.replace(here, there)
        state[name] = entry
    return state


def test_official_preset_is_the_published_network(specs_root):
    with torch.device("meta"):
        network = SSLASDetector(resolve(SPEC, "binary", preset="official")).network
    assert sum(p.numel() for p in network.back_end.parameters()) == 447_242
    assert sum(p.numel() for p in network.encoder.parameters()) == 315_438_720 - 1024  # less the unused mask embedding
    lines = (specs_root / "data" / "sslas_backend.keys.txt").read_text("utf-8").splitlines()
    published = dict(line.split("\t") for line in lines if line)
    assert {name: str(tuple(entry.shape)) for name, entry in network.back_end.state_dict().items()} == published
    assert feature_frames(64_600) == 201


def test_encoder_does_not_drop_out_or_mask():
    encoder = SSLAS(EncoderSize(16, 2, 2, 16, 8, 4, 2)).encoder.train()
    sound = torch.randn(2, 4000)
    assert torch.equal(encoder(sound).last_hidden_state, encoder(sound).last_hidden_state)


def test_features_are_the_last_layer_after_its_norm():
    encoder = SSLAS(EncoderSize(16, 2, 2, 16, 8, 4, 2)).encoder.eval()
    features = encoder(torch.randn(1, 4000)).last_hidden_state
    torch.testing.assert_close(features.mean(-1), torch.zeros_like(features[..., 0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["fairseq", "whole", "transformers", "older transformers"])
def test_encoder_files_load(kind, tmp_path):
    source, detector = build(seed=1), build(seed=2)
    encoder = source.network.encoder
    state = encoder.state_dict()
    if kind == "fairseq":
        state = {"model": to_fairseq(encoder), "args": None}
    elif kind == "whole":
        state = {f"module.{keys.ENCODER}{n}": e for n, e in to_fairseq(encoder).items()}
        state |= {f"module.{n}": e for n, e in source.network.back_end.state_dict().items()}
    else:
        weights = "parametrizations.weight.original"
        older = {f"{weights}0": "weight_g", f"{weights}1": "weight_v"} if kind.startswith("older") else {}
        for now, then in older.items():
            state = {name.replace(now, then): entry for name, entry in state.items()}
        state = {f"wav2vec2.{n}": e for n, e in state.items()}
        state |= {"wav2vec2.masked_spec_embed": torch.zeros(16), "project_q.weight": torch.zeros(2, 2)}
    torch.save(state, tmp_path / "encoder.pt")
    detector.load_pretrained({"encoder": tmp_path / "encoder.pt"})
    own = detector.network.encoder.state_dict()
    assert all(torch.equal(own[name], entry) for name, entry in encoder.state_dict().items())


def test_whole_published_checkpoints_load():
    source, detector = build(seed=1), build(seed=2)
    published = {f"module.{keys.ENCODER}{n}": e for n, e in to_fairseq(source.network.encoder).items()}
    published |= {f"module.{n}": e for n, e in source.network.back_end.state_dict().items()}
    detector.load_state_dict(detector.convert_checkpoint(published), strict=True)
    batch = random_batch(detector.config.clip, 2)
    assert torch.equal(scores(detector, batch), scores(source, batch))
    own = source.state_dict()
    assert detector.convert_checkpoint(own).keys() == own.keys()


def test_unknown_and_missing_names_are_refused(tmp_path):
    detector = build()
    state = to_fairseq(detector.network.encoder)
    with pytest.raises(CheckpointError, match=r"encoder\.layers\.0\.fc3\.weight is no entry"):
        keys.from_fairseq(state | {"encoder.layers.0.fc3.weight": torch.zeros(1)})
    del state["encoder.layers.0.fc1.weight"]
    torch.save(state, tmp_path / "encoder.pt")
    with pytest.raises(UserError, match=r"missing: .*intermediate_dense.*encoder=random"):
        load_pretrained(detector, {"encoder": tmp_path / "encoder.pt"})


def test_missing_transformers_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'avbench\[sslas\]'"):
        build()


def test_published_class_one_is_real():
    detector = build()
    torch.nn.init.zeros_(detector.network.back_end.out_layer.weight)
    detector.network.back_end.out_layer.bias.data = torch.tensor([3.0, -1.0])  # spoof, bona fide
    batch = random_batch(detector.config.clip, 4)
    output = detector.eval()(batch)
    assert output.logits[0].tolist() == [-1.0, 3.0]
    assert (probabilities(output)[0] > 0.98).all() and torch.equal(detector.labels(batch), torch.tensor([0, 0, 1, 1]))
    assert detector.loss(output, batch)["loss"] > 1.9  # two of four said to be fake are real: 4 / 2 each


def test_short_sounds_are_repeated_and_padding_is_not_heard():
    detector = build()
    batch = replace(random_batch(detector.config.clip, 1), samples=torch.tensor([8_000]))
    repeated = batch.audio.clone()
    repeated[0, 8_000:] = repeated[0, :8_000]
    whole = replace(batch, audio=repeated, samples=torch.tensor([16_000]))
    assert torch.equal(scores(detector, batch), scores(detector, whole))


def test_contract():
    assert [r for r in check_detector(SPEC) if not r.kept] == []


def test_rawboost_is_drawn_from_each_clips_seed_alone():
    batch = random_batch(resolve(SPEC, "binary", preset="demo").clip, 3)
    batch = replace(batch, samples=torch.tensor([9_000, 16_000, 0]))
    once, again = boosted(batch, 4), boosted(batch, 4)
    assert torch.equal(once, again) and not torch.equal(once, batch.audio)
    assert torch.equal(boosted(batch.part(1, 2), 4)[0], once[1])
    assert not once[0, 9_000:].any() and not once[2].any()  # boosted before it is filled up
    other = boosted(replace(batch, seed=batch.seed + 1), 4)
    assert not torch.equal(other[0], once[0])


def test_rawboost_is_for_training_alone():
    detector = build("rawboost=5")
    batch = random_batch(detector.config.clip, 2)
    heard = []
    detector.network.encoder.register_forward_pre_hook(lambda module, given: heard.append(given[0]))
    detector.train()(batch)
    detector.eval()(batch)
    assert torch.equal(heard[1], batch.audio) and torch.equal(heard[0], boosted(batch, 5))


WAVE = np.random.default_rng(7).uniform(-0.5, 0.5, 4000)


def test_filter_is_the_published_delay():
    taps = np.random.default_rng(1).standard_normal(61)
    n = len(taps) + 1
    padded = lfilter(taps, 1, np.pad(WAVE, (0, n)))
    np.testing.assert_allclose(filtered(WAVE, taps), padded[int(n / 2) : int(len(padded) - n / 2)], atol=1e-12)
    np.testing.assert_allclose(
        filtered(WAVE, taps[:60]), lfilter(taps[:60], 1, np.pad(WAVE, (0, 61)))[30:4030], atol=1e-12
    )


def test_notch_filter_stops_bands_and_has_its_gain():
    for seed in range(20):
        taps = notch_filter(np.random.default_rng(seed), BOOST, (-6.0, -6.0))
        response = np.abs(freqz(taps, 1)[1])
        assert response.max() == pytest.approx(10 ** (-6 / 20))
        assert len(taps) % 2 == 1 and 5 * 11 - 4 <= len(taps) <= 5 * 101 - 4
    random = np.random.default_rng(3)
    one = notch_filter(random, replace(BOOST, bands=1), (0.0, 0.0))
    random = np.random.default_rng(3)
    centre, width, count = random.uniform(20, 8000), random.uniform(100, 1000), int(random.uniform(10, 100))
    edges = [max(centre - width / 2, 0.001), min(centre + width / 2, 7999.999)]
    expected = firwin(count if count % 2 else count + 1, edges, window="hamming", fs=16_000)
    np.testing.assert_allclose(one, expected / np.abs(freqz(expected, 1, fs=16_000)[1]).max(), atol=1e-12)


def test_convolutive_noise_sums_filtered_powers_less_their_mean():
    found = convolutive(WAVE, np.random.default_rng(5))
    random, total = np.random.default_rng(5), np.zeros_like(WAVE)
    for power in range(1, 6):
        gain = (0.0, 0.0) if power == 1 else (-20.0, -5.0)
        total += filtered(WAVE**power, notch_filter(random, BOOST, gain))
    np.testing.assert_allclose(found, total - total.mean(), atol=1e-12)
    assert abs(found.mean()) < 1e-12


def test_gains_of_powers_are_uniform_decibels_under_the_first():
    random = np.random.default_rng(0)
    peaks = [np.abs(freqz(notch_filter(random, BOOST, (-5.0, -20.0)), 1)[1]).max() for _ in range(200)]
    decibels = 20 * np.log10(peaks)
    assert -20.01 < decibels.min() < -18.5 and -6.5 < decibels.max() < -4.99


def test_impulsive_noise_changes_a_share_in_proportion():
    shares = []
    for seed in range(40):
        ratio = impulsive(WAVE / 2, np.random.default_rng(seed)) / (WAVE / 2)  # too quiet for its peaks to be limited
        changed = np.abs(ratio - 1) > 1e-12
        shares.append(changed.mean())
        assert np.abs(ratio - 1).max() <= 2 + 1e-9
    assert max(shares) <= 0.1 and max(shares) > 0.08 and min(shares) < 0.02


def test_stationary_noise_has_its_ratio_of_energies():
    ratios = []
    for seed in range(60):
        noise = stationary(WAVE, np.random.default_rng(seed)) - WAVE
        ratios.append(20 * np.log10(np.linalg.norm(WAVE) / np.linalg.norm(noise)))
    assert 10 - 1e-9 <= min(ratios) < 13 and 37 < max(ratios) <= 40 + 1e-9


def test_algorithms_are_series_and_a_sum():
    def random():
        return np.random.default_rng(11)

    series = {1: (convolutive,), 2: (impulsive,), 3: (stationary,), 4: (convolutive, impulsive, stationary)}
    series |= {5: (convolutive, impulsive), 6: (convolutive, stationary), 7: (impulsive, stationary)}
    for algorithm, steps in series.items():
        draw, expected = random(), WAVE
        for step in steps:
            expected = step(expected, draw)
        np.testing.assert_array_equal(rawboost(WAVE, algorithm, random()), expected)
    draw = random()
    both = peak_limited(convolutive(WAVE, draw) + impulsive(WAVE, draw))
    np.testing.assert_array_equal(rawboost(WAVE, 8, random()), both)
    assert rawboost(WAVE, 0, random()) is WAVE


def test_peaks_are_limited_only_above_one():
    assert peak_limited(np.array([0.2, -0.5])).tolist() == [0.2, -0.5]
    assert peak_limited(np.array([1.0, -4.0])).tolist() == [0.25, -1.0]
    assert not rawboost(np.zeros(2000), 4, np.random.default_rng(0)).any()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rawboost=9", "at most 8"),
        ("encoder_heads=5", "cannot be shared"),
        ("position_groups=0", "position_groups=0: must be at least 1"),
        ("clip.sample_rate=8000", "8000 Hz"),
        ("clip.audio_samples=300", "cannot hear 300"),
    ],
)
def test_senseless_settings_are_refused(override, message):
    with pytest.raises(UserError, match=message):
        build(override)


def test_recipe_is_as_published():
    stage = resolve(SPEC, "binary", preset="official").stages[0]
    assert (stage.lr, stage.weight_decay, stage.batch, stage.epochs) == (1e-6, 1e-4, 14, 100)
    with pytest.raises(UserError, match="it does binary"):
        resolve(SPEC, "four_class")


def test_attention_pools_over_the_other_axis():
    back_end = BackEnd(16).eval()
    torch.nn.init.zeros_(back_end.attention[3].weight)
    torch.nn.init.zeros_(back_end.attention[3].bias)  # equal weights: plain means over time and over bins
    seen = {}
    back_end.classify = lambda spectral, temporal: seen.update(spectral=spectral, temporal=temporal)
    maps = []
    back_end.first_bn1.register_forward_hook(lambda module, given, out: maps.append(torch.nn.functional.selu(out)))
    back_end(torch.randn(1, 30, 16))
    torch.testing.assert_close(seen["spectral"], maps[0].mean(3).transpose(1, 2))
    torch.testing.assert_close(seen["temporal"], maps[0].mean(2).transpose(1, 2))
    assert seen["spectral"].shape == (1, 42, 64) and seen["temporal"].shape == (1, 10, 64)
