"""Learning from random weights: encoders taught first and kept then, motion seen from the start, peaked queries."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

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


def step(detector: FauForensics, stage: int) -> dict[str, torch.Tensor]:
    """Take one training step of a stage; return the losses."""
    batch = random_batch(detector.config.clip, 4)
    optimizer, _ = detector.optimizer(detector.config.stages[stage], 10)
    detector.train()
    losses = detector.loss(detector(batch), batch)
    losses["loss"].backward()
    optimizer.step()
    optimizer.zero_grad()
    return losses


def test_first_stage_teaches_the_encoders_alone() -> None:
    detector = build()
    detector.begin_stage(detector.config.stages[0])
    before = {name: value.clone() for name, value in detector.network.state_dict().items()}
    losses = step(detector, 0)
    assert losses.keys() == {"loss", "loss_encoder_video", "loss_encoder_audio"}
    torch.testing.assert_close(losses["loss"], losses["loss_encoder_video"] + losses["loss_encoder_audio"])
    after = detector.network.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"VEncoder_cnn", "AEncoder"}


def test_second_stage_keeps_the_encoders_and_forgets_their_teachers() -> None:
    detector = build()
    for stage in detector.config.stages:
        detector.begin_stage(stage)
    assert not any(name.startswith("encoder_heads") for name in detector.state_dict())
    before = {name: value.clone() for name, value in detector.network.state_dict().items()}
    losses = step(detector, 1)
    assert losses.keys() == {"loss", "loss_joint", "loss_video", "loss_audio"}
    after = detector.network.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert not moved & {"VEncoder_cnn", "AEncoder", "FAUEncoder_cnn"}
    assert {"v_pool", "v_attn_pool", "aud_attn_pool", "mlp_joint", "mlp_v", "mlp_a"} <= moved


def test_teachers_do_not_judge() -> None:
    first, last = build(), build()
    for stage in last.config.stages:
        last.begin_stage(stage)
    batch = random_batch(first.config.clip, 2)
    with torch.inference_mode():
        torch.testing.assert_close(first.eval()(batch).logits, last.eval()(batch).logits, rtol=0, atol=0)


def test_motion_is_seen_from_the_start() -> None:
    """Every first filter is blind to what stands still and sees a flicker."""
    stem = build().network.VEncoder_cnn.blocks[0].conv
    still = torch.rand(1, 3, 1, 40, 40).expand(1, 3, 9, 40, 40)
    flicker = still * (1 + 0.1 * (-1.0) ** torch.arange(9)[:, None, None])
    with torch.no_grad():
        calm, moved = (stem(clip)[:, :, 1:-1].abs().mean(dim=(0, 2, 3, 4)) for clip in (still, flicker))
    assert calm.max() < 1e-5 < 0.05 < moved.min()


def test_change_is_heard_from_the_start() -> None:
    """Every first filter is deaf to a steady sound and hears a rough one."""
    stem = build().network.AEncoder.encoder.conv1
    steady = torch.rand(1, 80, 1).expand(1, 80, 100)
    rough = steady + 0.05 * torch.randn(1, 80, 100)
    with torch.no_grad():
        heard = [(stem(mel) - stem.bias[:, None])[:, :, 1:-1].abs().mean(dim=(0, 2)) for mel in (steady, rough)]
    assert heard[0].max() < 1e-4 < 0.1 < heard[1].min()


def test_sharp_start_lets_correlations_differ_between_clips() -> None:
    def spread(detector: FauForensics) -> float:
        batch = random_batch(detector.config.clip, 4)
        batch.audio = batch.audio * torch.linspace(0.1, 5, 4)[:, None] * torch.linspace(0, 1, batch.audio.shape[1])
        with torch.no_grad():
            z = detector.network.align(detector.network.encode(*prepare(batch, detector.recipe, training=False)))
        unit = torch.nn.functional.normalize(z["audio"], dim=-1)
        return float((unit @ unit.transpose(1, 2)).std(dim=0).mean())

    flat, sharp = spread(build("demo_init=false")), spread(build())
    assert flat < 1e-3 < 1e-2 < sharp


@pytest.mark.parametrize("preset", ["official", "paper"])
def test_published_presets_use_none_of_it(preset: str) -> None:
    config = resolve(SPEC, "binary", preset=preset)
    assert not config.settings.demo_init and [stage.name for stage in config.stages] == ["train"]


def test_the_demo_preset_starts_from_the_encoder_that_ships() -> None:
    config = resolve(SPEC, "binary", preset="demo")
    chosen = weights.choose(SPEC, config)
    (shipped,) = (w for w in SPEC.weights if w.shipped and w.setting == "fau_weights")
    path = chosen["fau_weights"].path
    assert chosen["fau_weights"].sha256 == shipped.sha256 and path is not None and path.stat().st_size < 3_000_000
    assert chosen["csn_weights"].path is None and chosen["whisper_weights"].path is None
    detector, state = build(), load_file(path)
    detector.load_pretrained({"fau_weights": path})
    encoder = detector.network.FAUEncoder_cnn.state_dict()
    assert all(torch.equal(encoder[name], state[name]) for name in encoder) and len(encoder) > 100
    assert not any(parameter.requires_grad for parameter in detector.network.FAUEncoder_cnn.parameters())
    for word in ("random", "none", "auto"):
        config = resolve(SPEC, "binary", preset="demo", overrides=[f"fau_weights={word}"])
        assert weights.choose(SPEC, config, demo=True)["fau_weights"].sha256 == "random", "auto is never what ships"


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
