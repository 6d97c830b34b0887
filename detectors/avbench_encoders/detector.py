"""The lip reader and the speech reader for the training engine: clips -> probabilities of columns, loss, optimiser.

Letters: B clips, T frames, C channels, H W pixels, L features, N columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.types import ClipBatch, Output, Stage
from avbench_backbones.augment import mask_spans
from avbench_backbones.csn import CSN
from avbench_backbones.mel import HOP, SAMPLE_RATE, log_mel_20ms
from avbench_backbones.whisper import AudioEncoder, WhisperSize
from avbench_encoders import pictures
from avbench_encoders.labels import labels_of, loss_of_logits
from avbench_encoders.settings import LIPS, SPEECH, LipSettings, SpeechSettings

MEL_PER_FRAME = 4  # 10 ms steps at 25 frames a second


class LipNetwork(nn.Module):
    """A CSN that keeps every frame, averaged over the picture, and a linear layer."""

    def __init__(self, blocks: tuple[int, ...], width: int, columns: int) -> None:
        super().__init__()
        self.backbone = CSN(blocks, width=width)
        self.head = nn.Linear(self.backbone.out_channels, columns)

    def forward(self, pixels_BCTHW: Tensor) -> Tensor:
        """Map (B,3,T,H,W) to logits (B,T,N)."""
        logits_BTN: Tensor = self.head(self.backbone(pixels_BCTHW).mean(dim=(3, 4)).transpose(1, 2))
        return logits_BTN


class SpeechNetwork(AudioEncoder):
    """Whisper's encoder at the pictures' pace, and a linear layer."""

    def __init__(self, size: WhisperSize, frames: int, columns: int) -> None:
        super().__init__(size, frames)
        self.head = nn.Linear(size.state, columns)

    def forward(self, mel: Tensor) -> Tensor:
        """Map (B, M, 4T) to logits (B,T,N)."""
        logits_BTN: Tensor = self.head(super().forward(mel))
        return logits_BTN


class FrameReader(Detector):
    """Say which columns hold, frame by frame. It judges no forgery."""

    annotation: str

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        names: str = self.settings.column_names
        return names.split()

    def labels(self, batch: ClipBatch) -> Tensor:
        """Return labels (B,T,N): 1, 0, or nan where unknown."""
        return labels_of(batch.annotations[self.annotation])

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Return the binary cross-entropy of all known labels."""
        return {"loss": loss_of_logits(output.aux["logits"], self.labels(batch))}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler]:
        """Return AdamW and a cosine that ends at zero."""
        adamw = AdamW(self.parameters(), lr=stage.lr, weight_decay=stage.weight_decay)
        return adamw, CosineAnnealingLR(adamw, steps)


class LipReader(FrameReader):
    """Read lips, and the rest of a face, from 25 frames of it."""

    settings: LipSettings
    annotation = LIPS

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s = self.settings
        if s.crop > s.crop_from:
            raise UserError(f"crop={s.crop} is larger than crop_from={s.crop_from}, out of which it is cut")
        self.recipe = pictures.Recipe(s.crop_from, s.crop, s.input_size)
        self.network = LipNetwork(_block_counts(s.csn_blocks), s.csn_width, len(self.columns))

    def forward(self, batch: ClipBatch) -> Output:
        """Return as aux the probabilities "p" (B,T,N) and their logits."""
        return said(self.network(pictures.prepare(batch, self.recipe, training=self.training)))

    def labels(self, batch: ClipBatch) -> Tensor:
        """Return labels (B,T,N): 1, 0, or nan where unknown; in training of the pictures as they are shown."""
        values_BTN = batch.annotations[LIPS]
        if self.training:
            values_BTN = pictures.as_seen(values_BTN, self.columns, batch, self.recipe)
        return labels_of(values_BTN)


class SpeechReader(FrameReader):
    """Hear phonemes, voice and pitch in one second of sound."""

    settings: SpeechSettings
    annotation = SPEECH

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s, clip = self.settings, config.clip
        samples = clip.frames * MEL_PER_FRAME * HOP
        if (clip.samples, clip.sample_rate) != (samples, SAMPLE_RATE):
            raise UserError(
                f"speech_reader hears {clip.frames} frames with {samples} samples at {SAMPLE_RATE} Hz, not "
                f"{clip.samples} at {clip.sample_rate} Hz; use --set clip.audio_samples={samples}"
            )
        size = WhisperSize(s.audio_state, s.audio_heads, s.audio_layers)
        self.network = SpeechNetwork(size, clip.frames, len(self.columns))
        with torch.no_grad():
            self.network.encoder.conv2.weight.mul_(s.sound_gain)

    def forward(self, batch: ClipBatch) -> Output:
        """Return as aux the probabilities "p" (B,T,N) and their logits. Sound that a short clip lacks is zero."""
        mel = log_mel_20ms(batch.audio)
        heard = batch.samples // HOP
        behind = torch.stack([heard, torch.full_like(heard, mel.shape[2])], dim=1)
        return said(self.network(mask_spans(mel, behind, dim=2)))


def said(logits_BTN: Tensor) -> Output:
    """Return as aux the probabilities "p" of logits (B,T,N), and these."""
    logits_BTN = logits_BTN.float()
    return Output(aux={"p": logits_BTN.sigmoid(), "logits": logits_BTN})


def _block_counts(text: str) -> tuple[int, ...]:
    counts = [count.strip() for count in text.split(",")]
    if len(counts) != 4 or not all(count.isdigit() and int(count) for count in counts):
        raise UserError(f"csn_blocks={text}: give four block counts, such as 1,1,1,1")
    return tuple(int(count) for count in counts)
