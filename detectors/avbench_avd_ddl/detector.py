"""AVD-DDL as a detector: settings -> networks, clip -> distance -> score, losses, optimiser."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.types import ClipBatch, Output, Stage, Stream
from avbench_avd_ddl.model import CEPSTRA, SHRINKS, DissonanceNetwork, Sizes, heard_windows
from avbench_avd_ddl.plugin import Settings
from avbench_backbones import augment, checkpoints
from avbench_backbones.motion import differ
from avbench_backbones.short import hold_last
from avbench_backbones.speech_features import INT16, mfcc, windows


class AVDDL(Detector):
    """Judge one second by how far its pictures lie from its sound."""

    settings: Settings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s = self.settings
        _check(config, s)
        self.threshold, self.margin, self.nfft = s.threshold, s.margin, s.nfft
        self.network = DissonanceNetwork(_sizes(config, s))
        if s.calm_start:
            self.network.calm()
        if s.demo_init:
            self.network.netcnnlip.see_change()
            differ(self.network.netcnnaud.get_parameter("0.weight")[::2], dim=3)

    def encode(self, batch: ClipBatch, stream: Stream) -> dict[str, Tensor]:
        """Return the embedding (B,L) of one stream."""
        if stream == "video":
            pixels_BTCHW = augment.normalise(hold_last(batch.video, batch.frames).float() / 255)
            return {"seen": self.network.see(pixels_BTCHW.transpose(1, 2))}
        rate = self.config.clip.sample_rate
        cepstra_BNQ = mfcc(batch.audio * INT16, rate, CEPSTRA, nfft=self.nfft)
        whole_B = 1 + (batch.samples - round(0.025 * rate)) // round(0.01 * rate)  # windows without padding
        last_filled_B = torch.where(batch.samples < batch.audio.shape[1], whole_B, cepstra_BNQ.shape[1])
        return {"heard": self.network.hear(hold_last(cepstra_BNQ, last_filled_B).transpose(1, 2))}

    def classify(self, features: Mapping[str, Tensor]) -> Output:
        """Return the score d / (d + threshold) (B,) of the distance d, and what the heads say of each stream."""
        seen_BL, heard_BL = features["seen"].float(), features["heard"].float()
        distance_B = torch.linalg.vector_norm(seen_BL - heard_BL, dim=1)
        # the published heads say fake, real
        video_B2, audio_B2 = (logits.flip(dims=[1]) for logits in self.network.classify(seen_BL, heard_BL))
        return Output(
            score=distance_B / (distance_B + self.threshold),
            p_video=video_B2.softmax(dim=1)[:, 1],
            p_audio=audio_B2.softmax(dim=1)[:, 1],
            aux={"distance": distance_B, "video": video_B2, "audio": audio_B2},
        )

    def forward(self, batch: ClipBatch) -> Output:
        """Return score, heads and, for the loss, distance (B,) and logits (B,2): real, fake."""
        return self.classify({**self.encode(batch, "video"), **self.encode(batch, "audio")})

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Return the contrastive loss and both cross-entropies, all of the clip's label, and their sum."""
        label_B = self.labels(batch)
        distance_B = output.aux["distance"]
        apart_B = (self.margin - distance_B).clamp(min=0)
        losses = {
            "loss_contrastive": torch.where(label_B == 0, distance_B.square(), apart_B.square()).mean(),
            "loss_video": F.cross_entropy(output.aux["video"], label_B),
            "loss_audio": F.cross_entropy(output.aux["audio"], label_B),
        }
        return {"loss": sum(losses.values(), torch.zeros((), device=distance_B.device)), **losses}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam; the rate stays."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.Adam(trainable, lr=stage.lr, weight_decay=stage.weight_decay), None

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the published parameters to `network.<their name>`."""
        published = checkpoints.weights_of(state)
        return {name if name.startswith("network.") else f"network.{name}": value for name, value in published.items()}


def _sizes(config: Config, s: Settings) -> Sizes:
    return Sizes(
        s.video_width,
        s.audio_width,
        s.hidden,
        s.embedding,
        s.dropout,
        config.clip.frames,
        config.clip.size,
        windows(config.clip.samples, config.clip.sample_rate),
        s.track_running_stats,
    )


def _check(config: Config, s: Settings) -> None:
    """Raise a UserError for settings that no network can have."""
    clip = config.clip
    if s.nfft < 0.025 * clip.sample_rate:
        raise UserError(f"nfft={s.nfft} cuts windows of {0.025 * clip.sample_rate:g} samples; give at least as many")
    if clip.frames < 1 or clip.size < SHRINKS or heard_windows(windows(clip.samples, clip.sample_rate)) < 1:
        raise UserError(
            f"avd_ddl cannot judge {clip.frames} frames of {clip.size} px with {clip.samples} samples; give at least "
            f"1 frame of {SHRINKS} px and {round(0.185 * clip.sample_rate)} samples"
        )
