"""Detectors that learn and that cannot, each in its own way; nothing is trained but `wishful`."""

import torch

from avbench.detector import Detector
from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Output, Preset, Stage


class Flicker(Detector):
    """Calls pictures forged that flicker."""

    def forward(self, batch):
        flicker = batch.video.float().diff(dim=1).abs().mean(dim=(1, 2, 3, 4))
        return Output(logits=torch.stack([-flicker, flicker], dim=1) / 255)


class Wishful(Detector):
    """Trains a weight that its scores hardly heed: they are drawn by the clip's seed."""

    def __init__(self, config):
        super().__init__(config)
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, batch):
        drawn = [torch.randn((), generator=torch.Generator().manual_seed(int(seed))) for seed in batch.seed]
        logit = torch.stack(drawn) + self.weight
        return Output(logits=torch.stack([-logit, logit], dim=1))


class Broken(Flicker):
    def forward(self, batch):
        raise ZeroDivisionError("no clip\nof mine")


@hookimpl
def avbench_detectors():
    clip = ClipSpec(frames=6, size=32, audio_samples=4000)
    judged = (Preset(clip=clip, stages=(Stage(epochs=0),)),)
    trained = (Preset(clip=clip, stages=(Stage(epochs=1, batch=8),)),)
    one = {"tasks": ("binary",)}
    yield DetectorSpec("seeing", f"{__name__}:Flicker", requires=frozenset({"video"}), presets=judged, **one)
    yield DetectorSpec("mistaken", f"{__name__}:Flicker", requires=frozenset({"audio"}), presets=judged, **one)
    yield DetectorSpec("wishful", f"{__name__}:Wishful", presets=trained, **one)
    yield DetectorSpec("broken", f"{__name__}:Broken", presets=judged, **one)
    yield DetectorSpec("half", members=("seeing", "wishful"))
