"""AVD-DDL: published names, sizes and arithmetic, distance and score, both losses, label order, short clips."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from avbench.bench.contract import check_detector, random_batch
from avbench.cli import main
from avbench.config import resolve
from avbench.detector import probabilities
from avbench.errors import UserError
from avbench.metrics.pooling import pool
from avbench.records.card import Card
from avbench.records.scores import coerce
from avbench.types import ClipBatch, Output
from avbench_avd_ddl.detector import AVDDL
from avbench_avd_ddl.model import DissonanceNetwork, Sizes
from avbench_avd_ddl.plugin import avbench_detectors
from avbench_backbones.motion import differ
from avbench_backbones.short import BatchNorm1d, hold_last
from building import build_detector

SPEC = next(iter(avbench_detectors()))
TINY = ("clip.size=32", "clip.frames=8", "clip.audio_samples=8000", "video_width=4", "audio_width=4", "hidden=16")
build = partial(build_detector, "avd_ddl", *TINY, "embedding=16")


def batch_of(detector: AVDDL, clips: int = 4) -> ClipBatch:
    return random_batch(detector.config.clip, clips)


# published sizes, names, arithmetic


def published_names(statistics: bool = True) -> set[str]:
    def norm(name: str, tracked: bool = True) -> list[str]:
        kept = ("running_mean", "running_var", "num_batches_tracked") if tracked else ()
        return [f"{name}.{part}" for part in ("weight", "bias", *kept)]

    def affine(name: str) -> list[str]:
        return [f"{name}.weight", f"{name}.bias"]

    names: list[str] = []
    for index in (0, 4, 8, 11, 14, 18):
        names += affine(f"netcnnaud.{index}") + norm(f"netcnnaud.{index + 1}")
    for stream in ("aud", "lip"):
        names += affine(f"netfc{stream}.0") + norm(f"netfc{stream}.1") + affine(f"netfc{stream}.3")
        names += norm(f"final_bn_{stream}") + affine(f"final_fc_{stream}.1")
    names += ["netcnnlip.conv1.weight", *norm("netcnnlip.bn1", statistics)]
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            at = f"netcnnlip.layer{layer}.{block}"
            for number in (1, 2):
                names += [f"{at}.conv{number}.weight", *norm(f"{at}.bn{number}", statistics)]
            if layer > 1 and block == 0:
                names += [f"{at}.downsample.0.weight", *norm(f"{at}.downsample.1", statistics)]
    return set(names)


@pytest.mark.parametrize("statistics", [True, False])
def test_published_size_and_names(statistics: bool) -> None:
    with torch.device("meta"):
        network = DissonanceNetwork(Sizes(track_running_stats=statistics))
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert count["netcnnlip"] == 14_057_536
    assert count["netcnnaud"] == sum(
        o * i * k + 3 * o
        for o, i, k in ((64, 1, 9), (192, 64, 9), (384, 192, 9), (256, 384, 9), (256, 256, 9), (512, 256, 20))
    )
    assert count["netfcaud"] == 512 * 21 * 4096 + 3 * 4096 + 4096 * 1024 + 1024
    assert count["netfclip"] == 256 * 7 * 7 * 4096 + 3 * 4096 + 4096 * 1024 + 1024
    assert sum(count.values()) == 122_777_092
    assert set(network.state_dict()) == published_names(statistics)
    maps = network.netcnnlip(torch.empty(2, 3, 30, 224, 224, device="meta"))
    assert maps.shape == (2, 256, 8, 7, 7)
    assert network.hear(torch.empty(2, 13, 99, device="meta")).shape == (2, 1024)


def test_official_input_and_25_frames_a_second() -> None:
    clip = resolve(SPEC, "binary", preset="official").clip
    assert (clip.frames, clip.fps, clip.size, clip.sample_rate, clip.samples) == (30, 30, 224, 48_000, 48_000)
    slow = resolve(SPEC, "binary", preset="official", overrides=("clip.fps=25", "clip.frames=25")).clip
    assert slow.samples == 48_000
    with torch.device("meta"):
        network = DissonanceNetwork(Sizes(frames=25))
        assert network.moments == 7 and network.see(torch.empty(2, 3, 25, 224, 224)).shape == (2, 1024)


def reference_video(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """Return what the published video network does in evaluation, block by block from its weights."""

    def norm(x: Tensor, name: str) -> Tensor:
        entry = [state[f"netcnnlip.{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *entry)

    def conv(x: Tensor, name: str, stride: tuple[int, ...]) -> Tensor:
        weight = state[f"netcnnlip.{name}.weight"]
        return F.conv3d(x, weight, None, stride, tuple(size // 2 for size in weight.shape[2:]))

    x = F.max_pool3d(norm(conv(x, "conv1", (1, 2, 2)), "bn1").relu(), (1, 3, 3), (1, 2, 2), (0, 1, 1))
    for layer, stride in ((1, (1, 1, 1)), (2, (1, 2, 2)), (3, (2, 2, 2)), (4, (2, 2, 2))):
        for block in (0, 1):
            at, steps = f"layer{layer}.{block}", stride if block == 0 else (1, 1, 1)
            out = norm(conv(x, f"{at}.conv1", steps), f"{at}.bn1").relu()
            out = norm(conv(out, f"{at}.conv2", (1, 1, 1)), f"{at}.bn2")
            if layer > 1 and block == 0:
                x = norm(conv(x, f"{at}.downsample.0", steps), f"{at}.downsample.1")
            x = out + x if (layer, block) == (4, 1) else (out + x).relu()
    features = x.mean(dim=2).flatten(1)
    hidden = F.linear(features, state["netfclip.0.weight"], state["netfclip.0.bias"])
    entry = [state[f"netfclip.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    return F.linear(F.batch_norm(hidden, *entry).relu(), state["netfclip.3.weight"], state["netfclip.3.bias"])


def test_video_network_is_the_published_one() -> None:
    network = DissonanceNetwork(Sizes(4, 4, 16, 8, frames=8, pixels=64, windows=49))
    pixels = torch.randn(3, 3, 8, 64, 64)
    with torch.no_grad():
        network.train()
        network.see(pixels)  # statistics of its own
        network.eval()
        torch.testing.assert_close(network.see(pixels), reference_video(network.state_dict(), pixels))


# distance, score, heads


def test_score_is_one_half_at_the_published_threshold_and_videos_average_distances() -> None:
    detector = build("calm_start=false").eval()
    assert SPEC.pooling == "mean_odds" and detector.threshold == 0.6
    seen = torch.zeros(3, 16)
    heard = torch.eye(16)[:3] * torch.tensor([[0.3], [0.6], [2.4]])
    with torch.no_grad():
        output = detector.classify({"seen": seen, "heard": heard})
    torch.testing.assert_close(output.score, torch.tensor([0.3 / 0.9, 0.5, 0.8]))
    torch.testing.assert_close(output.aux["distance"], torch.tensor([0.3, 0.6, 2.4]))
    row = {"id": "a", "identity": "a", "cluster": "a", "method": "", "forgery": 1, "placement": "sliding", "reason": ""}
    score = probabilities(output)[0].tolist()
    table = coerce(pd.DataFrame([row | {"start": k, "end": k + 1, "score": s} for k, s in enumerate(score)]))
    assert pool(table, SPEC.pooling)["score"][0] == pytest.approx(1.1 / 1.7)
    assert pool(table.iloc[:2], SPEC.pooling)["score"][0] < 0.5  # their mean distance is 0.45


def test_published_heads_say_fake_then_real() -> None:
    detector = build().eval()
    features = {"seen": torch.randn(4, 16), "heard": torch.randn(4, 16)}
    with torch.no_grad():
        for head in (detector.network.final_fc_lip, detector.network.final_fc_aud):
            head.get_parameter("1.weight").zero_()
            head.get_parameter("1.bias").copy_(torch.tensor([0.0, 3.0]))  # published: 1 is real
        output = detector.classify(features)
        batch = batch_of(detector)
        batch.forgery = torch.zeros(4, dtype=torch.long)
        losses = detector.loss(output, batch)
        fake = torch.sigmoid(torch.tensor(-3.0))
        torch.testing.assert_close(output.p_video, fake.expand(4))
        torch.testing.assert_close(output.p_audio, fake.expand(4))
        torch.testing.assert_close(losses["loss_video"], -torch.log(1 - fake))
        batch.forgery = torch.full((4,), 2)
        torch.testing.assert_close(detector.loss(output, batch)["loss_audio"], -torch.log(fake))


def test_reals_are_drawn_together_and_fakes_pushed_apart_to_the_margin() -> None:
    detector, batch = build(), batch_of(build())
    batch.forgery = torch.tensor([0, 1, 2, 3])
    distance = torch.tensor([0.5, 0.4, 0.99, 3.0], requires_grad=True)
    aux = {"distance": distance, "video": torch.zeros(4, 2), "audio": torch.zeros(4, 2)}
    losses = detector.loss(Output(aux=aux), batch)
    torch.testing.assert_close(losses["loss_contrastive"], torch.tensor((0.25 + 0.59**2) / 4))
    torch.testing.assert_close(losses["loss"], losses["loss_contrastive"] + 2 * torch.log(torch.tensor(2.0)))
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    assert distance.grad is not None and (distance.grad.sign() == torch.tensor([1, -1, 0, 0])).all()


def test_equal_embeddings_have_a_finite_gradient() -> None:
    detector = build()
    seen = torch.ones(4, 16, requires_grad=True)
    batch = batch_of(detector)
    detector.loss(detector.classify({"seen": seen, "heard": torch.ones(4, 16)}), batch)["loss"].backward()  # type: ignore[no-untyped-call]
    assert seen.grad is not None and seen.grad.isfinite().all()


def test_both_streams_matter() -> None:
    detector = build().eval()
    batch = batch_of(detector)
    with torch.no_grad():
        before = detector(batch).score
        batch.audio = batch.audio.flip(0)
        assert not torch.allclose(detector(batch).score, before)
        batch.audio, batch.video = batch.audio.flip(0), batch.video.flip(0)
        assert not torch.allclose(detector(batch).score, before)


# statistics, short clips, starts


def test_without_running_statistics_each_clip_is_judged_by_its_own() -> None:
    detector = build("track_running_stats=false")
    assert not any("netcnnlip" in name and "running" in name for name in detector.state_dict())
    batch = batch_of(detector)
    detector.eval()
    with torch.no_grad():
        together = detector(batch).score
        alone = torch.cat([detector(batch.part(i, i + 1)).score for i in range(4)])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
        pixels = torch.randn(1, 3, 8, 32, 32)
        maps = detector.network.netcnnlip(pixels)
        assert torch.allclose(detector.network.train().netcnnlip(pixels), maps), "those of the clip, as in training"


def test_short_clips_end_with_their_last_moment() -> None:
    detector = build().eval()
    batch = batch_of(detector, 2)
    batch.frames[1] = 5
    whole = batch.take([0, 1])
    whole.frames = torch.tensor([8, 8])
    whole.video[1, 5:] = whole.video[1, 4]
    with torch.no_grad():
        torch.testing.assert_close(detector.encode(batch, "video")["seen"], detector.encode(whole, "video")["seen"])
        batch.samples[1] = 4000
        batch.audio[1, 4000:] = 0.0
        silent = batch.take([1])
        silent.audio[:, 4000:] = 0.1
        heard = [detector.encode(part, "audio")["heard"] for part in (batch.take([1]), silent)]
        torch.testing.assert_close(*heard, rtol=1e-3, atol=1e-4)


def test_held_moments_and_a_batch_of_one() -> None:
    x = torch.arange(8.0).view(2, 4)
    assert hold_last(x, torch.tensor([2, 0])).tolist() == [[0, 1, 1, 1], [4, 4, 4, 4]]
    norm, plain = BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    many = torch.randn(6, 3)
    torch.testing.assert_close(norm(many), plain(many))
    one = torch.randn(1, 3)
    torch.testing.assert_close(norm(one), plain.eval()(one))
    torch.testing.assert_close(norm.running_mean, plain.running_mean)


def test_filters_of_differences_ignore_what_stands_still() -> None:
    filters = torch.randn(5, 2, 3, 3)
    middle = filters[:, :, :, 1].clone()
    differ(filters, dim=3)
    still = torch.randn(1, 2, 8, 1).expand(1, 2, 8, 9)
    torch.testing.assert_close(F.conv2d(still, filters), torch.zeros(1, 5, 6, 7), rtol=0, atol=1e-5)
    assert torch.equal(filters[:, :, :, 1], middle)
    assert (filters[0, ..., 2] == 0).all() and (filters[1, ..., 0] == 0).all()


def test_published_files_fit_strictly() -> None:
    source, judge = build(seed=1), build(seed=2)
    published = {f"module.{name}": value for name, value in source.network.state_dict().items()}
    judge.load_state_dict(dict(judge.convert_checkpoint(published)), strict=True)
    batch = batch_of(source)
    with torch.no_grad():
        torch.testing.assert_close(judge.eval()(batch).score, source.eval()(batch).score, rtol=0, atol=0)
    assert judge.convert_checkpoint(source.state_dict()).keys() == source.state_dict().keys()
    del published["module.netfclip.3.bias"]
    with pytest.raises(RuntimeError, match="Missing key"):
        judge.load_state_dict(dict(judge.convert_checkpoint(published)), strict=True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("threshold=0", "above 0"),
        ("nfft=256", "cuts windows"),
        ("clip.size=16", "of 32 px"),
        ("clip.audio_samples=1600", "samples"),
    ],
)
def test_impossible_settings_are_told(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(override)


def test_four_classes_are_refused() -> None:
    with pytest.raises(UserError, match="cannot do four_class"):
        resolve(SPEC, "four_class")


def test_keeps_the_contract() -> None:
    assert not [result for result in check_detector(SPEC) if not result.kept]


def test_trains_and_judges_by_command(tiny: Path, tmp_path: Path) -> None:
    words = ["run", "--detector", "avd_ddl", "--preset", "demo", "--protocol", "within_folder", "--task", "binary"]
    words += [word for setting in (*TINY, "epochs=2") for word in ("--set", setting)]
    assert main([*words, "--data", f"folder={tiny}", "--workers", "0", "--out", str(tmp_path)]) == 0
    run = next((tmp_path / "runs").iterdir())
    assert Card.load(run).detector.pooling == "mean_odds"
    scores = pd.read_parquet(run / "scores.parquet")
    assert scores[["score", "p_video", "p_audio"]].stack().between(0, 1).all()
    assert np.isfinite(scores["score"]).all()
