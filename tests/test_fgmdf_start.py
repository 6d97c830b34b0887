"""What FGMDF starts from in its demo preset: eyes that see small changes, nodes that speak, kept eyes."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from avbench.bench.contract import random_batch
from avbench_fgmdf.detector import FineGrained
from avbench_fgmdf.plugin import avbench_detectors
from building import SMALL, build_detector

SPEC = next(iter(avbench_detectors()))
build = partial(build_detector, "fgmdf", *SMALL["fgmdf"])


def test_sharp_start_sees_what_bends_in_time_and_nothing_that_stands_still_or_drifts() -> None:
    encoder = build().network.video_encoder
    conv = encoder.fea_fusion.convblk[0]
    assert isinstance(conv, nn.Conv2d)
    channels = conv.in_channels // 4
    still = torch.ones(4, channels)
    drifting = torch.arange(4.0)[:, None].expand(4, channels)
    flickering = torch.tensor([0.0, 1.0, 0.0, 0.0])[:, None].expand(4, channels)
    seen = [conv(frames.reshape(1, -1, 1, 1)).flatten() for frames in (still, drifting, flickering)]
    assert (seen[0] == 0).all() and (seen[1] == 0).all() and (seen[2] != 0).all()
    assert (seen[2] > 0).any() and (seen[2] < 0).any()
    assert {index for index in conv.weight.flatten(1).ne(0).nonzero()[:, 1].remainder(channels).tolist()} == set(
        range(channels)
    ), "every channel is looked at"


def test_sharp_start_lets_small_changes_through() -> None:
    def change(*overrides: str) -> float:
        """Return how much of a faint flicker of the whole picture is left in what the frames are fused from."""
        encoder, fused = build("clip.size=40", *overrides).network.video_encoder, []
        encoder.fea_fusion.register_forward_pre_hook(lambda module, given: fused.append(given[0]))
        video = torch.rand(4, 1, 4, 3, 40, 40) * 0.1 + torch.rand(4, 1, 1, 3, 1, 1)
        flickering = video + torch.tensor([0.0, 0.05, 0.0, 0.05]).view(4, 1, 1, 1)
        with torch.no_grad():
            encoder.train()(video), encoder(flickering)
        spread = [found.unflatten(1, (4, -1)).mean(dim=(3, 4)).std(dim=1).mean() for found in fused]
        return float(spread[1] / spread[0])

    assert change() > 1.5 * change("demo_init=false")


def test_sharp_start_lets_nodes_speak_and_kept_eyes_are_not_trained() -> None:
    def gammas(detector: FineGrained) -> set[float]:
        named = detector.network.named_parameters()
        return {value.item() for name, value in named if "gamma" in name and not name.startswith("video_encoder.")}

    assert gammas(build()) == {1.0} and gammas(build("demo_init=false")) == {0.0}
    for detector, trained in ((build(), False), (build("keep_eyes=false"), True)):
        eyes = detector.network.video_encoder
        assert all(p.requires_grad == trained for p in eyes.parameters())
        before = eyes.bn1.running_mean.clone()  # type: ignore[operator]
        batch = random_batch(detector.config.clip, 2)
        detector.train().loss(detector(batch), batch)["loss"].backward()  # type: ignore[no-untyped-call]
        assert not torch.equal(eyes.bn1.running_mean, before), "statistics are counted in either case"  # type: ignore[arg-type]
        assert (eyes.conv1.weight.grad is not None) == trained
