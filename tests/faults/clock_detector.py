"""Detectors that read the time off recordings which show and sound it (making_media.py); nothing is trained.

`p_video` x 20 is the second that the first picture of a clip shows, `p_audio` x 20 the second at which its sound
begins: both must be the clip's start. `clock` is fed pictures and sound, `ear` sound alone.
"""

import numpy as np
import torch

from avbench.detector import Detector
from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Output, Preset, Stage
from making_media import moment_heard, moment_seen

SPAN = 20.0


class Clock(Detector):
    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("nothing", torch.zeros(1))

    def forward(self, batch):
        seen = [moment_seen(clip[0].numpy()) if clip.shape[0] else 0.0 for clip in batch.video]
        heard = []
        for clip, count in zip(batch.audio.numpy(), batch.samples.tolist(), strict=True):
            sound = clip[:count]
            loud = count > 1600 and np.abs(sound).max() > 1e-3
            heard.append(moment_heard(sound) - count / 32_000 if loud else 0.0)
        shares = [torch.tensor(np.clip(values, 0, SPAN) / SPAN, dtype=torch.float32) for values in (seen, heard)]
        return Output(score=(shares[0] + shares[1]) / 2, p_video=shares[0], p_audio=shares[1])


@hookimpl
def avbench_detectors():
    never = (Stage(epochs=0),)
    both = Preset(clip=ClipSpec(frames=25, size=32), stages=never)
    alone = Preset(clip=ClipSpec(frames=0, audio_samples=16_000), stages=never)
    common = {"load": f"{__name__}:Clock", "tasks": ("binary",)}
    yield DetectorSpec(name="clock", title="Clock", presets=(both,), **common)
    yield DetectorSpec(name="ear", title="Ear", presets=(alone,), requires=frozenset({"audio"}), **common)
