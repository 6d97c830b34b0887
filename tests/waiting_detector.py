"""The small detector, whose process waits for a signal, or is killed, where the environment says so."""

import os
import signal
import time
from pathlib import Path

import torch

from avbench.detector import Detector
from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Output, Preset, Stage


class Waiting(Detector):
    def __init__(self, config):
        super().__init__(config)
        self.net = torch.nn.Linear(2, self.classes)

    def forward(self, batch):
        if not self.training:
            self._meet_fate()
        flicker = batch.video.float().diff(dim=1).abs().mean(dim=(1, 2, 3, 4)) / 16
        loudness = batch.audio.abs().mean(dim=1) * 10
        return Output(logits=self.net(torch.stack([flicker, loudness], dim=1) - 1))

    def _meet_fate(self):
        if mark := os.environ.get("WAITING_DETECTOR"):  # names a file that tells that the process waits
            Path(mark).write_text(str(os.getpid()))
            time.sleep(120)
        if os.environ.get("KILLED_DETECTOR") == self.config.task:
            os.kill(os.getpid(), signal.SIGKILL)


@hookimpl
def avbench_detectors():
    stages = (Stage(epochs=1, batch=8, micro_batch=4, lr=0.05),)
    preset = Preset(clip=ClipSpec(frames=10, size=32), stages=stages)
    yield DetectorSpec(name="waiting", title="Waiting", load=f"{__name__}:Waiting", presets=(preset,))
