"""A logistic regression on 48 hand-made numbers of pictures and sound: what a network must beat.

It shows the training videos' numbers to `loss` without gradients, as the probes do, and keeps them in buffers: of more
than `kept` clips those with the smallest seeds, which is a random sample that does not depend on their order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from avbench.config import Config
from avbench.detector import Detector
from avbench.types import ClipBatch, Output
from avbench_controls.logistic import fit
from avbench_controls.picture_numbers import picture_numbers
from avbench_controls.settings import Settings
from avbench_controls.sound_numbers import sound_numbers
from avbench_controls.sync_numbers import sync_numbers

WIDTH = 48
FARTHEST = 5.0  # standard deviations; a number beyond says no more
EMPTY = torch.iinfo(torch.int64).max


class HandMade(Detector):
    """P(fake) from 48 numbers of a clip; a clip without pictures or sound gets the share of fakes."""

    settings: Settings
    count: Tensor
    seeds: Tensor
    fake: Tensor
    numbers: Tensor
    fitted: Tensor
    mean: Tensor
    sd: Tensor
    weight: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        kept = self.settings.kept
        self.register_buffer("count", torch.zeros(2))  # real, fake
        self.register_buffer("seeds", torch.full((kept,), EMPTY))  # ascending
        self.register_buffer("fake", torch.zeros(kept, dtype=torch.bool))
        self.register_buffer("numbers", torch.zeros(kept, WIDTH))
        # What is fitted, and on how many clips that came by: others since then ask for another fit.
        self.register_buffer("fitted", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(WIDTH, dtype=torch.float64))
        self.register_buffer("sd", torch.ones(WIDTH, dtype=torch.float64))
        self.register_buffer("weight", torch.zeros(WIDTH + 1, dtype=torch.float64))

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,2); while training those of the share of fakes."""
        x_BF = numbers_of(batch)
        logit_B = ((self.count[1] + 1) / (self.count[0] + 1)).log().expand(len(batch))
        if not self.training and (self.count > 0).all():
            if self.fitted != self.count.sum():
                self._fit()
            known_B = x_BF.isfinite().all(dim=1)
            z_BF = self._standardised(torch.where(known_B[:, None], x_BF, 0))
            logit_B = torch.where(known_B, (z_BF @ self.weight[:-1] + self.weight[-1]).float(), logit_B)
        return Output(logits=torch.stack([torch.zeros_like(logit_B), logit_B], dim=1), aux={"numbers": x_BF})

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Keep the clips' numbers while training."""
        if self.training:
            x_BF, labels_B = output.aux["numbers"].detach(), self.labels(batch)
            known_B = x_BF.isfinite().all(dim=1)
            self.count += torch.bincount(labels_B[known_B], minlength=2)
            seeds = torch.cat([self.seeds, batch.seed[known_B]])
            order = seeds.argsort(stable=True)[: len(self.seeds)]
            self.seeds = seeds[order]
            self.fake = torch.cat([self.fake, labels_B[known_B] == 1])[order]
            self.numbers = torch.cat([self.numbers, x_BF[known_B]])[order]
        return super().loss(output, batch)

    def _fit(self) -> None:
        known = self.seeds != EMPTY
        x_NF, fake_N = self.numbers[known].double().cpu(), self.fake[known].double().cpu()
        self.mean = x_NF.mean(dim=0).to(self.mean.device)
        self.sd = x_NF.std(dim=0, correction=0).clamp(min=1e-9).to(self.sd.device)
        z_NF = self._standardised(self.numbers[known]).cpu()
        self.weight = fit(z_NF, fake_N, self.settings.penalty).to(self.weight.device)
        self.fitted = self.count.sum()

    def _standardised(self, x_BF: Tensor) -> Tensor:
        return ((x_BF.double() - self.mean) / self.sd).clamp(-FARTHEST, FARTHEST)


@torch.no_grad()
def named_numbers(batch: ClipBatch) -> dict[str, Tensor]:
    """Return the 48 numbers (B,) of clips by name; a clip shorter than its tensors is held or repeated."""
    clips = torch.arange(len(batch), device=batch.seed.device)[:, None]
    frames, samples = batch.video.shape[1], batch.audio.shape[1]
    last_B1 = (batch.frames[:, None] - 1).clamp(min=0)
    frame_BT = torch.arange(frames, device=batch.video.device).expand(len(batch), -1).minimum(last_B1)
    sample_BS = torch.arange(samples, device=batch.audio.device) % batch.samples[:, None].clamp(min=1)
    of_pictures, mouth = picture_numbers(batch.video[clips, frame_BT])
    of_sound, sound = sound_numbers(batch.audio[clips, sample_BS], frames)
    return of_pictures | of_sound | sync_numbers(mouth, sound)


def numbers_of(batch: ClipBatch) -> Tensor:
    """Return the 48 numbers (B,48) of clips; nan where a stream is missing."""
    x_BF = torch.stack(list(named_numbers(batch).values()), dim=1)
    return torch.where((batch.has_video & batch.has_audio)[:, None], x_BF, torch.nan)
