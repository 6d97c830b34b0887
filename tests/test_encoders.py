"""The readers of lips and speech: they see and hear what detectors do, and their files fit there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from avbench.bench.pretraining.plan import PretrainingRequest
from avbench.bench.pretraining.run import pretrain
from avbench.config import resolve
from avbench.data.loading import Loading
from avbench.engine.building import build
from avbench.errors import UserError
from avbench.plugins.registry import installed
from avbench.plugins.weights import choose, starts
from avbench.types import ClipBatch
from avbench_backbones.mouths import prepare
from avbench_backbones.resnet18 import frame_by_frame
from avbench_demo import speakers
from avbench_demo.labels import LIPS, SPEECH
from avbench_encoders import pictures
from avbench_encoders.labels import frame_loss, labels_of, labels_of_values, loss_of_logits
from avbench_fauforensics import augment as fauforensics
from avbench_realforensics import views as realforensics

NAN = float("nan")


def reader(name: str, columns: tuple[str, ...], *overrides: str) -> Any:
    spec = installed().pretraining(name)
    config = resolve(spec.network, "binary", overrides=[f"column_names={' '.join(columns)}", *overrides])
    return build(spec.network, config, 0)


def detector(name: str) -> Any:
    spec = installed().detector(name)
    return build(spec, resolve(spec, "binary", preset="demo"), 0)


def batch(clips: int = 3, size: int = 112, frames: int = 25) -> ClipBatch:
    random = torch.Generator().manual_seed(1)
    yes = torch.ones(clips, dtype=torch.bool)
    return ClipBatch(
        video=torch.randint(256, (clips, frames, 3, size, size), dtype=torch.uint8, generator=random),
        audio=torch.randn(clips, 640 * frames, generator=random) / 10,
        frames=torch.full((clips,), frames),
        samples=torch.full((clips,), 640 * frames),
        forgery=torch.zeros(clips, dtype=torch.long),
        has_audio=yes,
        has_video=yes,
        seed=torch.arange(clips),
        ids=tuple(map(str, range(clips))),
    )


def exported(network: Any, path: Path) -> Path:
    save_file({name.removeprefix("network."): value for name, value in network.state_dict().items()}, path)
    return path


def test_unknown_labels_count_in_no_loss() -> None:
    logits = torch.tensor([[[2.0, -1.0], [0.5, 3.0]]], requires_grad=True)
    labels = torch.tensor([[[1.0, NAN], [NAN, 0.0]]])
    loss = loss_of_logits(logits, labels)
    assert loss.item() == pytest.approx(-F.logsigmoid(torch.tensor([2.0, -3.0])).mean().item(), abs=1e-6)
    loss.backward()
    assert logits.grad is not None and (logits.grad == 0).tolist() == [[[False, True], [True, False]]]
    assert frame_loss(None, logits.sigmoid(), labels).item() == pytest.approx(loss.item(), abs=1e-6)  # type: ignore[arg-type]
    assert loss_of_logits(logits, torch.full_like(logits, NAN)).item() == 0
    values = torch.tensor([-0.1, 0.0, 0.1, 1.0, NAN])
    assert labels_of(values)[:4].tolist() == [0, 0, 1, 1] and labels_of(values)[4].isnan()
    assert str(labels_of_values(values.numpy(), None).tolist()) == "[0.0, 0.0, 1.0, 1.0, nan]"  # type: ignore[arg-type]


def test_the_lip_reader_sees_what_detectors_see() -> None:
    given, recipe = replace(batch(), frames=torch.tensor([25, 20, 25])), pictures.Recipe()
    asked = fauforensics.Recipe(input_size=70, masking=False)
    seen = {t: pictures.prepare(given, recipe, training=t) for t in (False, True)}
    for training, mine in seen.items():
        theirs, _ = fauforensics.prepare(given, asked, training=training)
        flat = F.interpolate(theirs.transpose(1, 2).flatten(0, 1), (56, 56), mode="bilinear")
        torch.testing.assert_close(mine, flat.unflatten(0, (3, 25)).transpose(1, 2), atol=1e-5, rtol=0)
    real = realforensics.judged_view(given, realforensics.Recipe(input_size=56))
    torch.testing.assert_close(seen[False], real, atol=1e-6, rtol=0)
    assert not torch.equal(seen[False], seen[True])


@pytest.mark.parametrize("seed", range(6))
def test_labels_of_the_head_follow_crop_and_mirror(seed: int) -> None:
    """A spot 3 pixels right and 2 above the middle of the picture is looked for where it is shown."""
    given = replace(batch(1, size=112, frames=1), seed=torch.tensor([seed]))
    given.video = torch.zeros_like(given.video)
    row, column = 55 - 2, 56 + 3
    given.video[..., row, column] = 255
    aside, down = 2.0 * (column - 55.5), 2.0 * (row - 55.5)  # pixels of a picture of 224
    columns = ("AU25_over_1", "left_over_1", "right_over_1", "up_over_3", "down_over_3")
    values = torch.tensor([[[0.7, -aside - 1, aside - 1, -down - 3, down - 3]]])
    recipe = pictures.Recipe()
    cut = pictures._cut(given.video, given.seed, recipe, training=True)[0, 0, 0]
    (spot,) = (cut == 255).nonzero().tolist()
    shown_down, shown_aside = (2.0 * (place - (70 - 1) / 2) for place in spot)
    found = pictures.as_seen(values, columns, given, recipe)
    expected = [0.7, -shown_aside - 1, shown_aside - 1, -shown_down - 3, shown_down - 3]
    torch.testing.assert_close(found[0, 0], torch.tensor(expected))


def test_labels_are_moved_in_training_alone() -> None:
    network, given = reader("lip_reader", ("right_over_0", "blink_over_0.5")), batch()
    given.annotations["lips"] = torch.tensor([1.0, NAN]).expand(3, 25, 2)
    network.eval()
    assert (network.labels(given)[..., 0] == 1).all() and network.labels(given)[..., 1].isnan().all()
    network.train()
    assert network.labels(given)[..., 1].isnan().all()
    network.loss(network(given), given)["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_files_of_the_lip_reader_fit_strictly(tmp_path: Path) -> None:
    network = reader("lip_reader", LIPS)
    path = exported(network, tmp_path / "lips.safetensors")
    own = network.network.backbone.state_dict()
    faces, real = detector("fauforensics"), detector("realforensics")
    faces.load_pretrained({"csn_weights": path})
    real.load_pretrained({"backbone_weights": path})
    for loaded in (faces.network.VEncoder_cnn, real.network.backbone, real.network.target_encoder[0]):
        assert all(torch.equal(value, own[name]) for name, value in loaded.state_dict().items())
    with pytest.raises(ValueError, match="do not fit"):
        faces.load_pretrained(
            {"csn_weights": exported(reader("lip_reader", LIPS, "csn_width=4"), tmp_path / "narrow.safetensors")}
        )


def test_files_of_the_mouth_reader_fit_strictly_and_read_the_same(tmp_path: Path) -> None:
    network, judge, given = reader("mouth_reader", LIPS), detector("lipforensics"), batch(size=48)
    path = exported(network, tmp_path / "mouths.safetensors")
    judge.load_pretrained({"pretrained": path})
    state = load_file(path)
    loaded = judge.network.state_dict()
    assert state.keys() == loaded.keys()
    heads = {"tcn.tcn_output.weight", "tcn.tcn_output.bias"}
    assert all(torch.equal(loaded[name], value) for name, value in state.items() if name not in heads)
    network.eval()
    judge.eval()
    mouths = prepare(given.video, given.frames)
    features = frame_by_frame(judge.network.trunk, judge.network.frontend3D(mouths))
    moments = judge.network.tcn.mb_ms_tcn(features.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(network(given).aux["logits"], network.network.tcn.tcn_output(moments))


def test_files_of_the_speech_reader_fit_strictly_and_hear_the_same(tmp_path: Path) -> None:
    network, faces, given = reader("speech_reader", SPEECH), detector("fauforensics"), batch()
    path = exported(network, tmp_path / "speech.safetensors")
    faces.load_pretrained({"whisper_weights": path})
    state = load_file(path)
    for name, value in faces.network.AEncoder.state_dict().items():
        assert torch.equal(value, state[name]), name
    network.eval()
    features = faces.network.AEncoder(fauforensics.prepare_audio(given, fauforensics.Recipe()))
    logits = network.network.head(features)
    torch.testing.assert_close(network(given).aux["logits"], logits)
    torch.testing.assert_close(network(given).aux["p"], logits.sigmoid())


@pytest.mark.parametrize(
    ("name", "setting", "weights"),
    [
        ("fauforensics", "csn_weights", "csn-demo"),
        ("fauforensics", "whisper_weights", "whisper-demo"),
        ("realforensics", "backbone_weights", "csn-demo"),
        ("lipforensics", "pretrained", "mouth-demo"),
    ],
)
def test_encoders_that_ship_are_those_declared_and_fit_the_demo_preset(name: str, setting: str, weights: str) -> None:
    spec = installed().detector(name)
    config = resolve(spec, "binary", preset="demo", overrides=[f"{setting}={weights}"])
    chosen = choose(spec, config, demo=True)[setting]
    assert chosen.path is not None and chosen.path.stat().st_size < 3_000_000
    detector(name).load_pretrained({setting: chosen.path})
    official = resolve(spec, "binary", preset="official")
    assert all(w.name != weights for start in starts(spec, official) for w in start.candidates), "never by auto"


def test_settings_that_no_reader_can_have_are_refused() -> None:
    for name, wrong in (
        ("lip_reader", "csn_blocks=1,1"),
        ("lip_reader", "crop=200"),
        ("speech_reader", "clip.audio_samples=8000"),
    ):
        with pytest.raises(UserError, match=wrong.partition("=")[0]):
            reader(name, ("a",), wrong)


@pytest.fixture
def few(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(speakers, "PEOPLE", {"train": 2, "validation": 1, "test": 1})
    yield speakers.make_speakers(tmp_path_factory.getbasetemp() / "demo_speakers", people=4)


@pytest.mark.parametrize(("name", "columns"), [("lip_reader", LIPS), ("mouth_reader", LIPS), ("speech_reader", SPEECH)])
def test_one_step_of_avbench_pretrain(name: str, columns: tuple[str, ...], few: Path, tmp_path: Path) -> None:
    request = PretrainingRequest(
        network=name,
        dataset="demo_speakers",
        roots={"demo_speakers": few},
        overrides=("epochs=1", "batch=2", "micro_batch=2"),
        results=tmp_path,
        device="cpu",
        loading=Loading(0),
        mlflow=False,
    )
    card, folder = pretrain(request, installed())
    measured = card.metrics["every_frame"]["frame"]
    assert {f"f1_{column}" for column in columns} <= measured.keys() and 0 < measured["loss"].value < 2
    state = load_file(folder / "encoder.safetensors")
    parts = {"lip_reader": {"backbone", "head"}, "speech_reader": {"encoder", "head"}}
    assert {key.split(".")[0] for key in state} == parts.get(name, {"frontend3D", "trunk", "tcn"})
    assert "head.bias" not in state or state["head.bias"].shape == (len(columns),)
