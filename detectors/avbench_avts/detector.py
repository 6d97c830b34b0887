"""AVTS as a detector: settings -> network, two stages, clip -> windows -> score, losses, published weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.types import ClipBatch, Output, Stage, Stream
from avbench_avts import windows
from avbench_avts.model import Sizes, SynchronisationNetwork, contrast
from avbench_avts.plugin import Settings
from avbench_backbones import checkpoints
from avbench_backbones.motion import differ, see_motion

ALIGN = "align"  # the stage that learns from real clips which moments of pictures and sound belong together
FALLS_TO = 0.01  # of the rate of stage 2, at its end


class AVTS(Detector):
    """Judge windows of a clip by pictures and sound; a clip's logits are the mean of its windows'."""

    settings: Settings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s = self.settings
        sizes = _sizes(config, s)
        self.grey = sizes.channels == 1
        self.judged = windows.judged(config.clip.frames, sizes.frames)
        self.compared = windows.Cut(sizes.frames, 1, s.align_windows)
        self.aligns = any(stage.name == ALIGN for stage in config.stages)
        self.shares = _shares(s.shares)
        _check(config, s, self.compared)
        self.network = SynchronisationNetwork(sizes)
        if s.demo_init:
            see_motion(self.network.v_encoder.first_filters())
            heard = self.network.a_encoder.first_filters()
            differ(heard[::2].narrow(2, heard.shape[2] // 2 - 1, 3), dim=2)

    def begin_stage(self, stage: Stage) -> None:
        """Train the encoders in "align"; after it, what judges alone, unless `freeze_encoders` is false."""
        self.aligns = stage.name == ALIGN
        frozen = self.settings.freeze_encoders and not self.aligns
        for encoder in (self.network.v_encoder, self.network.a_encoder):
            encoder.requires_grad_(not frozen)
        for part in self.network.judging_parts:
            part.requires_grad_(not self.aligns)
        self.train(self.training)

    def train(self, mode: bool = True) -> AVTS:
        """Switch to training; frozen encoders keep evaluating, unless their statistics are to drift."""
        super().train(mode)
        drifts = self.settings.frozen_batch_norm == "train"
        for encoder in (self.network.v_encoder, self.network.a_encoder):
            frozen = not any(p.requires_grad for p in encoder.parameters())
            encoder.train(mode and (drifts or not frozen))
        return self

    def encode(self, batch: ClipBatch, stream: Stream) -> dict[str, Tensor]:
        """Return tokens (B,M,K,L) of the windows that are judged, and which of these (B,M) are whole."""
        start_B = torch.zeros(len(batch), dtype=torch.long)
        if stream == "video":
            pixels = (
                windows.augmented_pictures(batch, self.judged, start_B, grey=self.grey, each=False, erasing=False)
                if self.training
                else windows.pictures(batch, self.judged, start_B, grey=self.grey)
            )
            return {"seen": self.network.see(pixels), "seen_whole": windows.whole(batch.frames, self.judged)}
        fps = self.config.clip.fps
        heard_frames_B = batch.samples * fps // windows.SOUND_RATE
        cepstra = windows.cepstra(batch, self.judged, start_B, fps)
        return {"heard": self.network.hear(cepstra), "heard_whole": windows.whole(heard_frames_B, self.judged)}

    def classify(self, features: Mapping[str, Tensor]) -> Output:
        """Return logits (B,2), 0 and the published network's one, or (B,4): the mean over windows that are whole."""
        logits_BMZ = self.network.classify(features["seen"], features["heard"]).float()
        whole_BM = features["seen_whole"] & features["heard_whole"]
        logits_BZ = (logits_BMZ * whole_BM[:, :, None]).sum(dim=1) / whole_BM.sum(dim=1, keepdim=True)
        logits = logits_BZ if self.classes == 4 else F.pad(logits_BZ, (1, 0))
        return Output(logits=logits, aux={"windows": logits_BMZ, "whole": whole_BM})

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits; in stage 1 each clip's contrastive loss (B,) and whether it counts, as aux."""
        if self.training and self.aligns:
            return Output(aux=self._align(batch))
        return self.classify({**self.encode(batch, "video"), **self.encode(batch, "audio")})

    def _align(self, batch: ClipBatch) -> dict[str, Tensor]:
        s = self.settings
        start_B = windows.draw_starts(batch, self.compared)
        seen = self.network.see(
            windows.augmented_pictures(
                batch, self.compared, start_B, grey=self.grey, each=s.augment_each, erasing=s.erasing
            )
        )
        fps = self.config.clip.fps
        heard = self.network.hear(windows.cepstra(batch, self.compared, start_B, fps))
        valid_B = torch.minimum(batch.frames, (batch.samples * fps // windows.SOUND_RATE).long())
        counts_B = start_B + self.compared.span <= valid_B
        return {"contrast": contrast(seen, heard, s.temperature), "counts": counts_B}

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Return the contrastive loss of whole clips (stage 1), or the cross-entropy of windows, all classes alike."""
        if output.logits is None:
            counts_B = output.aux["counts"].float()
            return {"loss": (output.aux["contrast"] * counts_B).sum() / counts_B.sum().clamp(min=1)}
        logits_BMZ, whole_BM = output.aux["windows"], output.aux["whole"].float()
        label_BM = self.labels(batch)[:, None].expand(whole_BM.shape)
        if self.classes == 4:
            losses_BM = F.cross_entropy(logits_BMZ.movedim(2, 1), label_BM, reduction="none")
        else:
            losses_BM = F.binary_cross_entropy_with_logits(logits_BMZ[:, :, 0], label_BM.float(), reduction="none")
        shares = [self.shares[0], 1 - self.shares[0]] if self.classes == 2 else self.shares
        weight_B = (1 / (self.classes * losses_BM.new_tensor(shares)))[label_BM[:, 0]]
        losses_B = (losses_BM * whole_BM).sum(dim=1) / whole_BM.sum(dim=1)
        return {"loss": (losses_B * weight_B).mean()}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam; the rate stays in stage 1 and falls as a cosine to a hundredth after it."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        adam = torch.optim.Adam(trainable, lr=stage.lr, weight_decay=stage.weight_decay)
        if stage.name == ALIGN:
            return adam, None
        return adam, LambdaLR(adam, lambda step: rate_factor(step, steps))

    def load_pretrained(self, weights: Mapping[str, Path]) -> None:
        """Load a published file strictly: a whole detector, or what stage 1 writes, encoders alone."""
        for path in weights.values():
            state = checkpoints.weights_of(checkpoints.read_checkpoint(path))
            encoders = all(name.startswith(("v_encoder.", "a_encoder.")) for name in state)
            head = ("temporal_classifier.mlp_head.1.",) if self.classes == 4 else ()
            rest = ("temporal_classifier.", "v_normalized.", "a_normalized.")
            checkpoints.load_strict(self.network, state, rest if encoders else head)

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the published parameters to `network.<their name>`."""
        published = checkpoints.weights_of(state)
        return {name if name.startswith("network.") else f"network.{name}": value for name, value in published.items()}


def rate_factor(step: int, steps: int) -> float:
    """Return what the rate of stage 2 is multiplied by: half a cosine from 1 to a hundredth."""
    return FALLS_TO + (1 - FALLS_TO) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(steps, 1))))


def _shares(text: str) -> tuple[float, ...]:
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    if len(shares) != 4 or not all(share > 0 for share in shares) or abs(sum(shares) - 1) > 1e-3:
        raise UserError(f"shares={text}: give the shares of RARV, RAFV, FARV, FAFV, such as 0.25,0.25,0.25,0.25")
    return shares


def _sizes(config: Config, s: Settings) -> Sizes:
    return Sizes(
        s.variant,
        s.window,
        s.features,
        s.depth,
        s.heads,
        s.head_width,
        s.hidden,
        s.dropout,
        4 if config.task == "four_class" else 1,
    )


def _check(config: Config, s: Settings, compared: windows.Cut) -> None:
    """Raise a UserError for settings that no network can have."""
    clip = config.clip
    if (clip.fps, clip.sample_rate, clip.samples) != (25, windows.SOUND_RATE, clip.frames * 640):
        raise UserError(
            "avts wants 25 frames a second with their sound at 16000 Hz; leave clip.fps and clip.sound_* alone"
        )
    if clip.frames < max(s.window, compared.span):
        raise UserError(
            f"clips of {clip.frames} frames hold no {compared.count} windows of {compared.frames} frames; "
            f"use --set clip.frames={compared.span} or fewer align_windows"
        )
