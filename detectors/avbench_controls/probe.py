"""Linear probes on a few numbers, fitted in one pass: does something else than the forgery give the fakes away?

The probe is Fisher's linear discriminant, P(fake | x) for normal classes of one covariance. Means and scatter are
merged batch by batch (Chan, Golub and LeVeque, 1979), so that a single pass is exact and nothing has to be tuned.
"""

from __future__ import annotations

import torch
from torch import Tensor

from avbench.config import Config
from avbench.detector import Detector
from avbench.types import ClipBatch, Output

RIDGE = 1e-5  # of each variance: numbers that go together must not divide by zero
SILENT = 5e-4  # amplitude, arXiv 2412.00175


class LinearProbe(Detector):
    """P(fake) from `numbers` of a clip; a clip whose numbers are not finite gets the share of fakes."""

    width: int  # F, numbers per clip
    count: Tensor
    mean: Tensor
    scatter: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.register_buffer("count", torch.zeros(2))  # real, fake
        self.register_buffer("mean", torch.zeros(2, self.width))
        self.register_buffer("scatter", torch.zeros(self.width, self.width))  # within classes

    def numbers(self, batch: ClipBatch) -> Tensor:
        """Return numbers (B,F) of clips."""
        raise NotImplementedError

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,2) of the discriminant."""
        x_BF = self.numbers(batch)
        known_B = x_BF.isfinite().all(dim=1)
        prior = ((self.count[1] + 1) / (self.count[0] + 1)).log()
        logit_B = prior.expand(len(batch))
        if (self.count > 0).all():
            covariance_FF = self.scatter / (self.count.sum() - 2).clamp(min=1)
            shared_FF = covariance_FF + (RIDGE * covariance_FF.diagonal() + 1e-12).diag()
            w_F = torch.linalg.solve(shared_FF, self.mean[1] - self.mean[0])
            centred_BF = torch.where(known_B[:, None], x_BF, 0) - self.mean.mean(dim=0)
            logit_B = torch.where(known_B, centred_BF @ w_F + prior, logit_B)
        return Output(logits=torch.stack([torch.zeros_like(logit_B), logit_B], dim=1), aux={"numbers": x_BF})

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Merge the clips of each class into its mean and into the common scatter while training."""
        x_BF, labels_B = output.aux["numbers"], self.labels(batch)
        known_B = x_BF.isfinite().all(dim=1)
        for label in (0, 1) if self.training else ():
            x_NF = x_BF[known_B & (labels_B == label)]
            if len(x_NF):
                self._merge(label, x_NF)
        return super().loss(output, batch)

    def _merge(self, label: int, x_NF: Tensor) -> None:
        before, n = self.count[label].clone(), len(x_NF)
        step_F = x_NF.mean(dim=0) - self.mean[label]
        apart_NF = x_NF - x_NF.mean(dim=0)
        self.scatter += apart_NF.T @ apart_NF + torch.outer(step_F, step_F) * before * n / (before + n)
        self.mean[label] += step_F * n / (before + n)
        self.count[label] += n


class LeadingSilence(LinearProbe):
    """How long a video is silent at its start, before the first sample above an amplitude of 5e-4."""

    width = 1

    def numbers(self, batch: ClipBatch) -> Tensor:
        """Return log(1 + samples) (B,1) up to the first that is loud; all of them if none is."""
        place_S = torch.arange(batch.audio.shape[1], device=batch.audio.device)
        silent_BS = (batch.audio.abs() <= SILENT) | (place_S >= batch.samples[:, None])
        first_B = torch.where(silent_BS, batch.audio.shape[1], place_S).amin(dim=1).minimum(batch.samples)
        return first_B.float().log1p()[:, None]


class Metadata(LinearProbe):
    """Duration and size of the file, and with them its bitrate: of logarithms, it is their difference."""

    width = 2

    def numbers(self, batch: ClipBatch) -> Tensor:
        """Return log seconds and log bytes (B,2)."""
        return torch.stack([batch.annotations[name].log() for name in ("file_seconds", "file_bytes")], dim=1)
