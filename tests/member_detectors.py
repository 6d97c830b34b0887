"""Two detectors that learn in seconds, one of pictures and one of sound, and ensembles of them."""

import torch

from avbench.detector import Detector
from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Output, Preset, Stage


class One(Detector):
    """A logistic regression on one number of a clip."""

    def __init__(self, config):
        super().__init__(config)
        self.net = torch.nn.Linear(1, 2)

    def number(self, batch):
        raise NotImplementedError

    def forward(self, batch):
        return Output(logits=self.net(self.number(batch)[:, None] - 1))


class Flicker(One):
    def number(self, batch):
        return batch.video.float().diff(dim=1).abs().mean(dim=(1, 2, 3, 4)) / 16


class Buzz(One):
    def number(self, batch):
        return batch.audio.abs().mean(dim=1) * 10


@hookimpl
def avbench_detectors():
    stages = (Stage(epochs=8, batch=8, lr=0.3),)
    seen = Preset(clip=ClipSpec(frames=6, size=32, audio_samples=0), stages=stages)
    heard = Preset(clip=ClipSpec(frames=0, audio_samples=8000), stages=stages)
    one = {"tasks": ("binary",), "title": "One number"}
    yield DetectorSpec("flicker", f"{__name__}:Flicker", requires=frozenset({"video"}), presets=(seen,), **one)
    yield DetectorSpec(
        "buzz", f"{__name__}:Buzz", requires=frozenset({"audio"}), presets=(heard,), pooling="mean_logit", **one
    )
    yield DetectorSpec("both", title="Both", members=("flicker", "buzz"))
    yield DetectorSpec("ears", members=("buzz",))
    yield DetectorSpec("nobody", members=("flicker", "buz"))
    yield DetectorSpec("nested", members=("both", "buzz"))
