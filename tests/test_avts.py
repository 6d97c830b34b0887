"""AVTS: windows, both stages, heads, published files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from avbench.bench.contract import check_detector, random_batch
from avbench.cli import main
from avbench.config import resolve
from avbench.detector import probabilities
from avbench.engine.building import load_pretrained
from avbench.errors import UserError
from avbench.records.card import Card
from avbench.types import ClipBatch, Output
from avbench_avts import windows
from avbench_avts.detector import AVTS, rate_factor
from avbench_avts.plugin import avbench_detectors
from avbench_backbones.speech_features import INT16, mfcc
from building import begin_stages, build_detector

SPEC = next(iter(avbench_detectors()))
SMALL = ("clip.size=32", "clip.frames=15", "features=16", "heads=2", "head_width=8", "hidden=16", "align_windows=4")
build = partial(build_detector, "avts", *SMALL)


def step(detector: AVTS, stage: int) -> tuple[dict[str, Tensor], set[str]]:
    """Take one training step of a stage; return the losses and what moved."""
    batch = random_batch(detector.config.clip, 4)
    before = {name: value.clone() for name, value in detector.network.state_dict().items()}
    optimizer, _ = detector.optimizer(detector.config.stages[stage], 10)
    detector.train()
    losses = detector.loss(detector(batch), batch)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    after = detector.network.state_dict()
    return losses, {name for name in before if not torch.equal(before[name], after[name])}


# windows


def test_judged_windows_lie_end_to_end_with_their_own_sound() -> None:
    batch = random_batch(build().config.clip, 2)
    cut, start = windows.judged(17, 5), torch.zeros(2, dtype=torch.long)
    assert (cut.count, cut.span) == (3, 15)
    pixels = windows.pictures(batch, cut, start, grey=True)
    assert pixels.shape == (2, 3, 1, 5, 28, 28)
    red, green, blue = batch.video[1, 7, :, 2:30, 2:30].float()
    luma = (0.299 * red + 0.587 * green + 0.114 * blue) / 255
    torch.testing.assert_close(pixels[1, 1, 0, 2], (luma - 0.421) / 0.165, rtol=0, atol=0.02)
    heard = windows.cepstra(batch, cut, start, 25)
    assert heard.shape == (2, 3, 19, 13)
    torch.testing.assert_close(heard[1, 2], mfcc(batch.audio[1:, 6400:9600] * INT16, 16_000)[0])
    assert windows.pictures(batch, cut, start, grey=False).shape == (2, 3, 3, 5, 28, 28)


def test_compared_windows_are_a_frame_apart_and_drawn_by_the_seed() -> None:
    batch = random_batch(build().config.clip, 6)
    cut = windows.Cut(5, 1, 4)
    start = windows.draw_starts(batch, cut)
    assert len(set(start.tolist())) > 1 and int(start.max()) <= 15 - cut.span
    plain = windows.pictures(batch, cut, start, grey=True)
    assert torch.equal(plain[:, 0, :, 1:], plain[:, 1, :, :-1])
    frame = int(start[3]) + 2
    alone = windows.pictures(batch, windows.Cut(1, 1, 1), torch.full((6,), frame), grey=True)
    assert torch.equal(plain[3, 1, 0, 1], alone[3, 0, 0, 0])
    heard = windows.cepstra(batch, cut, start, 25)
    first = 640 * frame
    torch.testing.assert_close(heard[3, 2], mfcc(batch.audio[3:4, first : first + 3200] * INT16, 16_000)[0])
    one = batch.take([3])
    assert torch.equal(windows.draw_starts(one, cut), start[3:4])
    for each in (True, False):
        arguments = {"grey": True, "each": each, "erasing": True}
        together = windows.augmented_pictures(batch, cut, start, **arguments)
        assert together.shape == plain.shape
        assert torch.equal(windows.augmented_pictures(one, cut, start[3:4], **arguments)[0], together[3])


def test_only_whole_windows_are_judged() -> None:
    detector = build().eval()
    batch = random_batch(detector.config.clip, 3)
    batch.frames, batch.samples = torch.tensor([15, 12, 3]), torch.tensor([9600, 6000, 9600])
    with torch.no_grad():
        output = detector(batch)
        assert output.aux["whole"].tolist() == [[True, True, True], [True, False, False], [True, False, False]]
        logits = output.aux["windows"][:, :, 0]
        assert output.logits is not None and (output.logits[:, 0] == 0).all()
        torch.testing.assert_close(output.logits[:, 1], torch.stack([logits[0].mean(), logits[1, 0], logits[2, 0]]))
        torch.testing.assert_close(probabilities(output)[0], output.logits[:, 1].double().sigmoid())


# stages, losses, labels


def test_stage_1_trains_encoders_and_stage_2_what_judges() -> None:
    losses, moved = step(begin_stages(build(), 0), 0)
    assert losses.keys() == {"loss"} and moved and all(name.startswith(("v_encoder.", "a_encoder.")) for name in moved)
    _, moved = step(begin_stages(build("freeze_encoders=true"), 1), 1)
    assert moved and all(name.startswith("temporal_classifier.") for name in moved), "neither weights nor statistics"
    _, moved = step(begin_stages(build("freeze_encoders=true", "frozen_batch_norm=train"), 1), 1)
    drifting = {name.rpartition(".")[2] for name in moved if not name.startswith("temporal_classifier.")}
    assert drifting == {"running_mean", "running_var", "num_batches_tracked"}
    assert build("reproduce_bugs=true").settings.frozen_batch_norm == "train"
    assert build(preset="official").settings.frozen_batch_norm == "eval"
    _, moved = step(begin_stages(build(), 1), 1)
    assert "v_encoder.v_conv3D.0.weight" in moved


def test_variant_of_the_training_code_trains() -> None:
    small = ("variant=train", "features=32", "window=18", "clip.frames=36", "align_windows=3", "clip.size=64")
    detector = begin_stages(build(*small), 1)
    assert step(detector, 1)[0]["loss"].isfinite()
    batch = random_batch(detector.config.clip, 2)
    assert detector.eval()(batch).aux["windows"].shape == (2, 2, 1)
    assert step(begin_stages(build(*small), 0), 0)[0]["loss"].isfinite()


def test_clips_that_hold_not_all_windows_do_not_count_in_stage_1() -> None:
    detector = begin_stages(build(), 0).train()
    batch = random_batch(detector.config.clip, 3)
    batch.frames[1] = 3
    output = detector(batch)
    assert output.logits is None and output.aux["counts"].tolist() == [True, False, True]
    loss = detector.loss(output, batch)["loss"]
    torch.testing.assert_close(loss, output.aux["contrast"][[0, 2]].mean())
    batch.frames[:] = 3
    assert detector.loss(detector(batch), batch)["loss"] == 0


def judged(detector: AVTS, logits_BMZ: Tensor) -> Output:
    shape = logits_BMZ.shape[:2]
    whole = torch.ones(shape, dtype=torch.bool)
    logits = logits_BMZ.mean(dim=1)
    logits = logits if detector.classes == 4 else F.pad(logits, (1, 0))
    return Output(logits=logits, aux={"windows": logits_BMZ, "whole": whole})


def batch_of(forgery: list[int]) -> ClipBatch:
    batch = random_batch(build().config.clip, len(forgery))
    batch.forgery = torch.tensor(forgery)
    return batch


def test_one_logit_above_nothing_is_fake_and_classes_weigh_alike() -> None:
    detector = build("shares=0.1,0.3,0.3,0.3")
    logits = torch.tensor([[[2.0], [4.0]], [[2.0], [4.0]]])
    loss = detector.loss(judged(detector, logits), batch_of([0, 3]))["loss"]
    real, fake = F.softplus(torch.tensor([2.0, 4.0])).mean(), F.softplus(torch.tensor([-2.0, -4.0])).mean()
    torch.testing.assert_close(loss, (real / 0.2 + fake / 1.8) / 2)
    assert real > 10 * fake, "a high logit is wrong of a real clip"


def test_four_logits_are_in_the_order_of_the_classes() -> None:
    detector = build("shares=0.1,0.2,0.3,0.4", task="four_class")
    head = detector.network.temporal_classifier.mlp_head[1]
    assert head.weight.shape == (4, 32)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([0.0, 1.0, 2.0, 5.0]))
        output = detector.eval()(random_batch(detector.config.clip, 2))
    p_fake, classes = probabilities(output)
    assert classes is not None and classes.argmax(dim=1).tolist() == [3, 3]
    torch.testing.assert_close(p_fake, 1 - classes[:, 0])
    logits = torch.tensor([[[0.0, 1.0, 2.0, 5.0]]]).expand(2, 3, 4)
    loss = detector.loss(judged(detector, logits), batch_of([2, 3]))["loss"]
    log_p = logits[0, 0].log_softmax(dim=0)
    torch.testing.assert_close(loss, -(log_p[2] / 1.2 + log_p[3] / 1.6) / 2)


def test_rate_falls_to_a_hundredth_in_stage_2_alone() -> None:
    assert [rate_factor(s, 100) for s in (0, 50, 100)] == pytest.approx([1, 0.505, 0.01])
    assert begin_stages(build(), 0).optimizer(begin_stages(build(), 0).config.stages[0], 10)[1] is None


def test_both_streams_and_their_order_matter() -> None:
    detector = build().eval()
    batch = random_batch(detector.config.clip, 2)
    with torch.no_grad():
        before = detector(batch).logits
        for changed in ("audio", "video"):
            other = batch.take([0, 1])
            setattr(other, changed, getattr(batch, changed).flip(1))
            assert not torch.allclose(detector(other).logits, before)


# published files


def test_released_file_loads_strictly(tmp_path: Path) -> None:
    source, detector = build(seed=1), build(seed=2)
    state = {f"module.{name}": value for name, value in source.network.state_dict().items()}
    torch.save({"model": state}, tmp_path / "avts.pth")
    detector.load_pretrained({"pretrained": tmp_path / "avts.pth"})
    batch = random_batch(source.config.clip, 2)
    with torch.no_grad():
        expected = source.eval()(batch).logits
        torch.testing.assert_close(detector.eval()(batch).logits, expected, rtol=0, atol=0)
        judge = build(seed=3)
        judge.load_state_dict(dict(judge.convert_checkpoint({"model": state})), strict=True)
        torch.testing.assert_close(judge.eval()(batch).logits, expected, rtol=0, atol=0)
    four = build(task="four_class", seed=4)
    own = four.network.temporal_classifier.mlp_head[1].weight.clone()
    four.load_pretrained({"pretrained": tmp_path / "avts.pth"})
    assert torch.equal(four.network.temporal_classifier.mlp_head[1].weight, own), "it has four logits, the file one"
    assert torch.equal(four.network.temporal_classifier.cls_token, source.network.temporal_classifier.cls_token)
    del state["module.a_encoder.layer2.0.se.fc.2.bias"]
    torch.save({"model": state}, tmp_path / "avts.pth")
    with pytest.raises(UserError, match=r"missing: a_encoder.layer2.0.se.fc.2.bias"):
        load_pretrained(detector, {"pretrained": tmp_path / "avts.pth"})


def test_files_of_stage_1_fill_the_encoders_alone(tmp_path: Path) -> None:
    source, detector = build(seed=1), build(seed=2)
    state = source.network.state_dict()
    encoders = {name: value for name, value in state.items() if name.startswith(("v_encoder.", "a_encoder."))}
    torch.save({"model": encoders}, tmp_path / "best.pth")
    detector.load_pretrained({"pretrained": tmp_path / "best.pth"})
    own = detector.network.state_dict()
    assert all(torch.equal(own[name], value) for name, value in encoders.items())
    assert not torch.equal(own["temporal_classifier.cls_token"], state["temporal_classifier.cls_token"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("variant=other", "variant"),
        ("frozen_batch_norm=maybe", "frozen_batch_norm"),
        ("align_windows=14", "hold no 14 windows"),
        ("clip.fps=30", "25 frames a second"),
        ("shares=1,2", "shares of RARV"),
    ],
)
def test_impossible_settings_are_told(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(override)


def test_presets_hold_the_published_windows() -> None:
    for preset, frames, count in (("official", 5, 10), ("train_code", 18, 12)):
        config = resolve(SPEC, "binary", preset=preset)
        assert (config.settings.window, config.settings.align_windows) == (frames, count)
        assert config.clip.frames >= frames + count - 1 and config.clip.frames % frames == 0
        assert [stage.samples for stage in config.stages] == ["real", "all"]


def test_keeps_the_contract() -> None:
    assert not [result for result in check_detector(SPEC) if not result.kept]


def test_trains_and_judges_by_command(tiny: Path, tmp_path: Path) -> None:
    words = ["run", "--detector", "avts", "--preset", "demo", "--protocol", "within_folder", "--task", "four_class"]
    words += [word for setting in (*SMALL, "epochs=1", "batch=2") for word in ("--set", setting)]
    assert main([*words, "--data", f"folder={tiny}", "--workers", "0", "--out", str(tmp_path)]) == 0
    run = next((tmp_path / "runs").iterdir())
    assert Card.load(run).detector.pooling == "mean_logit"
    scores = pd.read_parquet(run / "scores.parquet")
    assert scores[["score", "p_rarv", "p_rafv", "p_farv", "p_fafv"]].stack().between(0, 1).all()
