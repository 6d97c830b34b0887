"""A detector that learns in seconds: flicker of the pictures and buzz of the sound, with dropout to test its seeds."""

import torch

from avbench.detector import Detector
from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Output, Preset, Stage


class Small(Detector):
    def __init__(self, config):
        super().__init__(config)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(8, self.classes)
        )

    def forward(self, batch):
        flicker = batch.video.float().diff(dim=1).abs().mean(dim=(1, 2, 3, 4)) / 16
        loudness = batch.audio.abs().mean(dim=1) * 10
        return Output(logits=self.net(torch.stack([flicker, loudness], dim=1) - 1))


@hookimpl
def avbench_detectors():
    stages = (Stage(epochs=12, batch=8, micro_batch=4, lr=0.05),)
    preset = Preset(clip=ClipSpec(frames=10, size=32), stages=stages)
    yield DetectorSpec(name="small", title="Small", load=f"{__name__}:Small", presets=(preset,))
