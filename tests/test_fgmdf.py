"""FGMDF as a detector: frames of a group, the published class order, losses, recipe, settings, videos too short."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import building
from avbench.bench.contract import check_detector, random_batch
from avbench.cli import main
from avbench.config import resolve
from avbench.detector import probabilities
from avbench.errors import UserError
from avbench.records.card import Card
from avbench.types import ClipBatch, Forgery, Stream
from avbench_fgmdf.audio import min_samples
from avbench_fgmdf.detector import FineGrained, drawn_offsets, fixed_offsets, in_forgery_order, pick
from avbench_fgmdf.plugin import avbench_detectors
from building import build_detector

SPEC = next(iter(avbench_detectors()))
PUBLISHED = list(
    enumerate([Forgery.RARV, Forgery.FAFV, Forgery.RAFV, Forgery.FARV])
)  # sound and pictures, pictures, sound
SMALL = building.SMALL["fgmdf"]
build = partial(build_detector, "fgmdf", *SMALL)


def batch_of(detector: FineGrained, clips: int) -> ClipBatch:
    return random_batch(detector.config.clip, clips)


def test_contract() -> None:
    assert [r for r in check_detector(SPEC) if not r.kept] == []


def test_official_input_is_four_seconds_every_two() -> None:
    config = resolve(SPEC, "four_class", preset="official")
    clip, stage = config.clip, config.stages[0]
    assert (clip.frames, clip.min_frames, clip.samples, clip.size) == (100, 100, 64_000, 128)
    assert (clip.seconds, clip.hop_seconds) == (4.0, 2.0)
    assert (stage.epochs, stage.batch, stage.lr, stage.weight_decay) == (20, 32, 1e-3, 0.0)
    assert sum(p.numel() for p in FineGrained(config).parameters()) == 2_664_044
    assert SPEC.tasks == ("binary", "four_class") and SPEC.requires == {"video", "audio"}


# frames


def test_fixed_offsets_are_spread_evenly() -> None:
    assert fixed_offsets(10, 4).tolist() == [[0, 2, 5, 7]]
    assert fixed_offsets(5, 4).tolist() == [[0, 1, 2, 3]] and fixed_offsets(4, 4).tolist() == [[0, 1, 2, 3]]


def test_drawn_offsets_depend_on_the_seed_alone_and_reach_every_frame() -> None:
    seeds = torch.arange(200)
    drawn = drawn_offsets(seeds, 10, 4)
    assert drawn.shape == (200, 4) and (drawn.diff(dim=1) > 0).all()
    assert set(drawn.flatten().tolist()) == set(range(10))
    assert torch.equal(drawn_offsets(seeds[7:8], 10, 4)[0], drawn[7])
    assert len({tuple(row) for row in drawn.tolist()}) > 100


def test_the_same_frames_of_every_group_are_picked() -> None:
    video = torch.arange(2 * 20).view(2, 20, 1, 1, 1)  # every frame shows its number
    found = pick(video, 4, torch.tensor([[0, 1, 3, 4], [1, 2, 3, 4]]))[..., 0, 0, 0]
    assert found[0].tolist() == [[5 * g + o for o in (0, 1, 3, 4)] for g in range(4)]
    assert found[1].tolist() == [[20 + 5 * g + o for o in (1, 2, 3, 4)] for g in range(4)]
    assert pick(video, 4, fixed_offsets(5, 4))[1, 2, :, 0, 0, 0].tolist() == [30, 31, 32, 33]


def test_training_draws_frames_and_evaluation_sees_the_fixed_ones() -> None:
    detector = build("groups=10", "clip.frames=100", "clip.min_frames=100")
    batch, seen = batch_of(detector, 3), []
    detector.network.video_encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        detector.eval()(batch)
        detector.train()(batch)
    fixed, drawn = (found.mul(255).round().to(torch.uint8) for found in seen)
    assert torch.equal(fixed[1, 6], batch.video[1, [60, 62, 65, 67]])
    offsets = drawn_offsets(batch.seed, 10, 4)
    assert all(torch.equal(drawn[i, 3], batch.video[i, 30 + offsets[i]]) for i in range(3))
    assert float(seen[0].max()) <= 1.0


# classes


def test_classes_leave_in_the_order_of_forgery() -> None:
    published = torch.tensor([[0.0, 1.0, 2.0, 3.0]])  # RARV, FAFV, pictures alone, sound alone
    ours = in_forgery_order(published)[0]
    assert ours[Forgery.RARV] == 0 and ours[Forgery.FAFV] == 1
    assert ours[Forgery.RAFV] == 2 and ours[Forgery.FARV] == 3


@pytest.mark.parametrize(("published", "forgery"), PUBLISHED)
def test_a_published_class_is_scored_and_learnt_as_its_forgery(published: int, forgery: Forgery) -> None:
    detector = build(task="four_class")
    nn.init.zeros_(detector.network.mix_pre.weight)
    detector.network.mix_pre.bias.data = 9.0 * nn.functional.one_hot(torch.tensor(published), 4)
    batch = batch_of(detector, 4)
    output = detector.eval()(batch)
    p_fake, p_classes = probabilities(output)
    assert p_classes is not None and (p_classes[:, forgery] > 0.99).all()
    assert ((p_fake > 0.99) == (forgery != Forgery.RARV)).all()
    batch.forgery = torch.full((4,), int(forgery))
    assert detector.loss(output, batch)["loss_mix"] < 0.01
    batch.forgery = torch.full((4,), (int(forgery) + 1) % 4)
    loss = detector.loss(output, batch)["loss_mix"]
    assert loss > 8
    detector.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = detector.network.mix_pre.bias.grad
    assert gradient is not None and gradient.argmax() == published


def test_each_head_learns_its_own_label_and_the_losses_are_summed() -> None:
    detector = build()
    batch = batch_of(detector, 4)  # RARV, RAFV, FARV, FAFV
    output = detector.eval()(batch)
    losses = detector.loss(output, batch)
    assert losses.keys() == {"loss", "loss_video", "loss_audio", "loss_mix"}
    expected = {
        "loss_video": (output.aux["video"], [0, 1, 0, 1]),
        "loss_audio": (output.aux["audio"], [0, 0, 1, 1]),
        "loss_mix": (output.logits, [0, 1, 1, 1]),
    }
    for name, (logits, labels) in expected.items():
        torch.testing.assert_close(losses[name], nn.functional.cross_entropy(logits, torch.tensor(labels)))
    torch.testing.assert_close(losses["loss"], sum(losses[name] for name in expected))
    for stream, p_fake in (("video", output.p_video), ("audio", output.p_audio)):
        torch.testing.assert_close(p_fake, output.aux[stream].softmax(dim=1)[:, 1])


def test_a_branch_reads_its_stream_alone_while_nothing_crosses() -> None:
    detector = build("demo_init=false").eval()  # all gammas start at zero
    batch = batch_of(detector, 2)
    with torch.no_grad():
        before = detector(batch)
        batch.audio = batch.audio.flip(1) * 0.5
        after = detector(batch)
    assert torch.equal(before.p_video, after.p_video) and not torch.equal(before.p_audio, after.p_audio)


def test_each_stream_is_encoded_alone() -> None:
    detector = build(task="four_class").eval()
    batch = batch_of(detector, 2)
    streams: tuple[Stream, ...] = ("video", "audio")
    with torch.no_grad():
        features = {name: value for stream in streams for name, value in detector.encode(batch, stream).items()}
        assert features["video"].shape == (2, 6, 32) and features["audio"].shape == (2, 2, 32)
        torch.testing.assert_close(detector.classify(features).logits, detector(batch).logits)


def test_checkpoints_of_the_published_code_fit() -> None:
    source, detector = build(task="four_class", seed=1), build(task="four_class", seed=2)
    published = {f"module.{name}": value for name, value in source.network.state_dict().items()}
    detector.load_state_dict(detector.convert_checkpoint(published), strict=True)
    batch = batch_of(detector, 1)
    with torch.no_grad():
        assert torch.equal(detector.eval()(batch).logits, source.eval()(batch).logits)
    assert detector.convert_checkpoint(source.state_dict()).keys() == source.state_dict().keys()


# recipe and settings


def test_rate_is_halved_every_eight_epochs() -> None:
    config = resolve(SPEC, "binary", preset="official", overrides=SMALL)
    optimizer, schedule = FineGrained(config).optimizer(config.stages[0], 20 * 5)
    assert schedule is not None and type(optimizer) is torch.optim.Adam
    rates = []
    for _ in range(20 * 5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == [1e-3] * 40 + [5e-4] * 40 + [2.5e-4] * 20


def test_high_sound_is_lifted_where_asked() -> None:
    plain, lifted = build("emphasis=0").eval(), build("emphasis=0.5").eval()
    batch = batch_of(plain, 1)
    heard: list[torch.Tensor] = []
    for detector in (plain, lifted):
        detector.network.audio_encoder.register_forward_pre_hook(lambda module, given: heard.append(given[0]))
        with torch.no_grad():
            detector(batch)
    assert torch.equal(heard[0], batch.audio)
    torch.testing.assert_close(heard[1][:, 1:], batch.audio[:, 1:] - 0.5 * batch.audio[:, :-1])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("groups=3",), "meets 4 groups"),
        (("frames=6",), "over fours"),
        (("clip.frames=31",), "multiple of 6 that is 24 or more"),
        (("clip.frames=18",), "multiple of 6 that is 24 or more"),
        (("clip.min_frames=10",), "clip.min_frames=24"),
        (("narrow=6",), "24 features"),
        (("width=2",), "at least 4"),
        (("clip.audio_samples=16000",), "15360 samples"),
        (("clip.sample_rate=8000",), "8000 Hz"),
        (("hop=8",), "a smaller hop"),
    ],
)
def test_senseless_settings_are_refused(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(*overrides)


def test_least_sound_leaves_every_moment_a_step() -> None:
    for groups, moments in ((10, 4), (6, 2)):
        least = min_samples(2, moments)
        detector = build(f"groups={groups}", "clip.frames=60", "clip.min_frames=60").eval()
        with torch.no_grad():
            assert detector.network.audio_encoder(torch.zeros(1, least)).shape == (1, moments, 32)
            with pytest.raises(RuntimeError):
                detector.network.audio_encoder(torch.zeros(1, 3**7 * moments * 2))


# videos that are too short


@pytest.fixture
def command(tiny: Path, tmp_path: Path) -> list[str]:
    """Return the words that train and judge a small FGMDF on videos of 30 frames."""
    words = ["run", "--detector", "fgmdf", "--preset", "demo", "--protocol", "within_folder", "--task", "binary"]
    words += [word for setting in (*SMALL, "epochs=1") for word in ("--set", setting)]
    return [*words, "--data", f"folder={tiny}", "--workers", "0", "--out", str(tmp_path), "--placement", "oracle"]


def test_a_video_that_is_too_short_is_reported_not_scored(
    command: list[str], tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "12 of 12 videos scored" in out and "without a score" not in out
    weights = next((tmp_path / "trainings").glob("*/weights.safetensors"))
    longer = ["--set", "clip.frames=60", "--set", "clip.min_frames=60"]
    assert main([*command, *longer, "--checkpoint", str(weights)]) == 0
    out = capsys.readouterr().out
    assert "no video of the test list has a score, so there is nothing to measure" in out
    assert "0 of 12 videos scored (0.0 %)" in out
    assert "without a score: too_short 12 (RARV 3, RAFV 3, FARV 3, FAFV 3)" in out
    assert "too_short: fewer than 60 frames at 25 fps, 2.4 s" in out
    newest = max((tmp_path / "runs").iterdir(), key=lambda run: run.stat().st_mtime_ns)
    assert Card.load(newest).counts.reasons == {"too_short": 12}
    scores = pd.read_parquet(newest / "scores.parquet")
    assert scores["score"].isna().all() and set(scores["reason"]) == {"too_short"}


def test_a_training_without_a_single_clip_ends_in_one_line(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    longer = ["--set", "clip.frames=60", "--set", "clip.min_frames=60"]
    assert main([*command, *longer]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "none of the 16 training videos gives a clip (too_short 16)" in told
    assert "fgmdf needs 60 frames at 25 fps, 2.4 s" in told
