"""What the demo preset starts from: encoders that ship, which stay as they are, and peaked queries."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import avbench_backbones
import avbench_fauforensics
from avbench.bench.contract import random_batch
from avbench.config import resolve
from avbench.media.placing import Place
from avbench.perturbations.open_clip import OpenClip
from avbench.plugins import weights
from avbench_demo.truth import read_units, truth_of
from avbench_fauforensics.augment import prepare
from avbench_fauforensics.detector import FauForensics
from avbench_fauforensics.plugin import avbench_detectors
from building import build_detector

SPEC = next(iter(avbench_detectors()))
build = partial(build_detector, "fauforensics")


def test_frozen_encoders_stay_as_they_are_and_all_the_rest_learns() -> None:
    detector = build()
    batch = random_batch(detector.config.clip, 4)
    optimizer, _ = detector.optimizer(detector.config.stages[0], 10)
    before = {name: value.clone() for name, value in detector.network.state_dict().items()}
    detector.train()
    losses = detector.loss(detector(batch), batch)
    losses["loss"].backward()
    optimizer.step()
    assert losses.keys() == {"loss", "loss_joint", "loss_video", "loss_audio"}
    after = detector.network.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert not moved & {"VEncoder_cnn", "AEncoder", "FAUEncoder_cnn"}
    assert {"v_pool", "v_attn_pool", "aud_attn_pool", "mlp_joint", "mlp_v", "mlp_a"} <= moved


def test_encoders_learn_where_they_are_not_frozen() -> None:
    trained = {
        name.split(".")[0] for name, p in build("freeze_encoders=false").network.named_parameters() if p.requires_grad
    }
    assert {"VEncoder_cnn", "AEncoder"} <= trained and "FAUEncoder_cnn" not in trained


def test_peaked_queries_let_correlations_differ_between_clips() -> None:
    """As heard by the encoder that ships; with the queries' own weights the published norm has next to no gradient."""
    heard = {"whisper_weights": Path(avbench_backbones.__path__[0]) / "whisper_demo.safetensors"}

    def spread(detector: FauForensics) -> float:
        detector.load_pretrained(heard)
        batch = random_batch(detector.config.clip, 4)
        batch.audio = batch.audio * torch.linspace(0.1, 5, 4)[:, None] * torch.linspace(0, 1, batch.audio.shape[1])
        with torch.no_grad():
            z = detector.network.align(detector.network.encode(*prepare(batch, detector.recipe, training=False)))
        unit = torch.nn.functional.normalize(z["audio"], dim=-1)
        return float((unit @ unit.transpose(1, 2)).std(dim=0).mean())

    flat, sharp = spread(build("query_gain=1")), spread(build())
    assert flat < 1e-3 < 5e-3 < sharp


@pytest.mark.parametrize("preset", ["official", "paper"])
def test_published_presets_use_none_of_it(preset: str) -> None:
    config = resolve(SPEC, "binary", preset=preset)
    assert not config.settings.freeze_encoders and config.settings.query_gain == 1.0


ENCODERS = {"fau_weights": "FAUEncoder_cnn", "csn_weights": "VEncoder_cnn", "whisper_weights": "AEncoder.encoder"}


@pytest.mark.parametrize("setting", ENCODERS)
def test_the_demo_preset_starts_from_the_encoders_that_ship(setting: str) -> None:
    config = resolve(SPEC, "binary", preset="demo")
    chosen = weights.choose(SPEC, config)[setting]
    (shipped,) = (w for w in SPEC.weights if w.shipped and w.setting == setting)
    assert chosen.sha256 == shipped.sha256 and chosen.path is not None and chosen.path.stat().st_size < 3_000_000
    detector = build()
    state = load_file(chosen.path)
    state |= {name.partition(".")[2]: value for name, value in state.items()}  # readers call it backbone or encoder
    detector.load_pretrained({setting: chosen.path})
    encoder = detector.network.get_submodule(ENCODERS[setting]).state_dict()
    assert len(encoder.keys() & state.keys()) > 25
    assert all(torch.equal(encoder[name], state[name]) for name in encoder if name in state)
    for word in ("random", "none", "auto"):
        config = resolve(SPEC, "binary", preset="demo", overrides=[f"{setting}={word}"])
        assert weights.choose(SPEC, config, demo=True)[setting].sha256 == "random", "auto is never what ships"


def test_what_ships_tells_faces_apart_by_their_mouths(demo_root: Path) -> None:
    """Of one face, frames whose lips are alike are alike to the encoder, more than to a random one."""
    video = next((demo_root / "LAV-DF" / "test").glob("*.mp4"))
    units = read_units(truth_of(demo_root, video)).values
    clip = OpenClip(video, resolve(SPEC, "binary", preset="demo").clip, Place.start(0.4)).clean()
    parted = units[10:35, 6]
    likeness = {}
    for name in ("random", "shipped"):
        detector = build()
        if name == "shipped":
            detector.load_pretrained(
                {"fau_weights": next(Path(avbench_fauforensics.__path__[0]).glob("*.safetensors"))}
            )
        frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2)[None]
        batch = replace(random_batch(detector.config.clip, 1), video=frames)
        pixels, mel = prepare(batch, detector.recipe, training=False)
        said = detector.eval().network.features(pixels, mel)["fau"][0].numpy()
        apart = np.linalg.norm(said[:, None] - said[None], axis=2)[np.triu_indices(25, 1)]
        likeness[name] = np.corrcoef(apart, np.abs(parted[:, None] - parted[None])[np.triu_indices(25, 1)])[0, 1]
    assert likeness["shipped"] > likeness["random"] and likeness["shipped"] > 0.3, likeness
