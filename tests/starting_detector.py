"""A detector whose official preset starts from published weights, one that does not, and an ensemble of both."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from avbench.detector import Detector
from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Output, Preset, Stage, WeightSpec

HOST = os.environ.get("STARTING_HOST", "http://127.0.0.1:9")  # nobody listens there


@dataclass(frozen=True, slots=True)
class Settings:
    use_ears: bool = True
    eyes_weights: str = "auto"
    ears: str = "auto"


class Starting(Detector):
    settings: Settings

    def __init__(self, config):
        super().__init__(config)
        self.eyes = torch.nn.Linear(1, 2)
        self.ears = torch.nn.Linear(1, 2)

    def forward(self, batch):
        seen = batch.video.float().diff(dim=1).abs().mean(dim=(1, 2, 3, 4)) / 16
        logits = self.eyes(seen[:, None] - 1)
        if self.settings.use_ears:
            logits = logits + self.ears(batch.audio.abs().mean(dim=1)[:, None] * 10 - 1)
        return Output(logits=logits)

    def load_pretrained(self, weights):
        for setting, path in weights.items():
            part = self.eyes if setting == "eyes_weights" else self.ears
            part.load_state_dict(torch.load(path, weights_only=True))


def published(name, setting, **more):
    return WeightSpec(name, setting, name.title(), f"{HOST}/{name}.pt", "MIT", **more)


@hookimpl
def avbench_detectors():
    clip, stages = ClipSpec(frames=6, size=32, audio_samples=8000), (Stage(epochs=1, batch=8, lr=0.3),)
    drive = "https://drive.google.com/file/d/abc"
    spec = DetectorSpec(
        name="starting",
        title="Starting",
        load=f"{__name__}:Starting",
        tasks=("binary",),
        presets=(
            Preset("official", clip, Settings(), stages),
            Preset("lean", clip, Settings(ears="random"), stages),
            Preset("demo", clip, Settings(eyes_weights="random", ears="random"), stages),
        ),
        weights=(
            published("eyes-a", "eyes_weights"),
            published("eyes-b", "eyes_weights"),
            WeightSpec(
                "ears-drive",
                "ears",
                "Ears",
                drive,
                "CC0",
                part="hearing",
                when={"use_ears": True},
                file="ears.zip",
                by_hand="Unpack it and take ears_1.pt",
            ),
        ),
    )
    yield spec
    plain = Preset("official", clip, Settings(eyes_weights="random", ears="random"), stages)
    yield DetectorSpec(name="plain", load=f"{__name__}:Starting", tasks=("binary",), presets=(plain,))
    yield DetectorSpec(name="pair", title="Pair", members=("starting", "plain"))
