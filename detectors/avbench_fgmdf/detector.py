"""FGMDF as a detector: settings -> network, clip -> groups of frames -> scores, losses, optimiser, class order.

Letters: B clips, G groups, T frames of a group, C channels, H W pixels, S samples, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.types import CLASSES, ClipBatch, Forgery, Output, Stage, Stream
from avbench_backbones import checkpoints
from avbench_backbones.anti_spoofing import emphasised
from avbench_backbones.augment import dice
from avbench_backbones.sinc import SAMPLE_RATE
from avbench_fgmdf.audio import min_samples
from avbench_fgmdf.graph import REACH, audio_moments
from avbench_fgmdf.network import FGMDF, ROUNDS, Size
from avbench_fgmdf.plugin import Settings
from avbench_fgmdf.start import sharpen

# Class k of the published network.
PUBLISHED_ORDER = (Forgery.RARV, Forgery.FAFV, Forgery.RAFV, Forgery.FARV)


class FineGrained(Detector):
    """Judge four seconds of a talking face: P(fake) of the clip, of its pictures and of its sound."""

    settings: Settings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        sizes = size(config, self.settings)
        _check(config, sizes)
        self.network = FGMDF(sizes)
        if self.settings.demo_init:
            sharpen(self.network)
        if self.settings.keep_eyes:
            self.network.video_encoder.requires_grad_(False)

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,K) of the clip; the branches' probabilities, and their logits (B,2) as aux."""
        return self._output(self.network(self._groups(batch), self._sound(batch)))

    def encode(self, batch: ClipBatch, stream: Stream) -> dict[str, Tensor]:
        """Return the vectors of all groups (B,G,L), or of all moments of the sound (B,M,L), in evaluation."""
        if stream == "video":
            return {"video": self.network.video_encoder(self._groups(batch))}
        return {"audio": self.network.audio_encoder(self._sound(batch))}

    def classify(self, features: Mapping[str, Tensor]) -> Output:
        """Return what `forward` returns, from the vectors of both streams."""
        return self._output(self.network.classify(features["video"], features["audio"]))

    def _groups(self, batch: ClipBatch) -> Tensor:
        """Return frames (B,G,T,C,H,W) in [0,1]; in training each clip draws which frames of its groups are seen."""
        groups, frames = self.settings.groups, self.settings.frames
        span = batch.video.shape[1] // groups
        offsets_BT = drawn_offsets(batch.seed, span, frames) if self.training else fixed_offsets(span, frames)
        return pick(batch.video, groups, offsets_BT.to(batch.video.device)).float() / 255

    def _sound(self, batch: ClipBatch) -> Tensor:
        return emphasised(batch.audio, self.settings.emphasis)

    def _output(self, logits: Mapping[str, Tensor]) -> Output:
        mix_BK = logits["mix"] if self.classes == 2 else in_forgery_order(logits["mix"])
        branches = {name: logits[name] for name in ("video", "audio")}
        p_fake = {name: branch_B2.float().softmax(dim=1)[:, 1] for name, branch_B2 in branches.items()}
        return Output(logits=mix_BK, p_video=p_fake["video"], p_audio=p_fake["audio"], aux=branches)

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Sum the cross-entropies of clip, pictures and sound, each on its own label."""
        assert output.logits is not None
        labels = {"video": batch.forgery & 1, "audio": batch.forgery >> 1}
        losses = {f"loss_{name}": F.cross_entropy(output.aux[name].float(), labels[name]) for name in labels}
        losses["loss_mix"] = F.cross_entropy(output.logits.float(), self.labels(batch))
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam, its rate halved every few epochs."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        adam = torch.optim.Adam(trainable, lr=stage.lr, weight_decay=stage.weight_decay)
        every = self.settings.halve_every
        return adam, LambdaLR(adam, lambda step: 0.5 ** (step * stage.epochs // max(steps, 1) // every))

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the published code's parameters (with or without "module.") to `network.<their name>`."""
        published = checkpoints.weights_of(state)
        return {n if n.startswith("network.") else f"network.{n}": value for n, value in published.items()}


def in_forgery_order(published_B4: Tensor) -> Tensor:
    """Turn logits in the published order to that of Forgery."""
    return published_B4[:, [PUBLISHED_ORDER.index(forgery) for forgery in Forgery]]


def fixed_offsets(span: int, frames: int) -> Tensor:
    """Return which frames of a group of `span` are seen in evaluation, (1,T): spread evenly, 0 2 5 7 of ten."""
    return torch.arange(frames)[None] * span // frames


def drawn_offsets(seeds: Tensor, span: int, frames: int) -> Tensor:
    """Return which frames of a group each clip sees, (B,T) in order: any, drawn once a clip for all of its groups."""
    return torch.stack([torch.randperm(span, generator=die)[:frames].sort().values for die in dice(seeds)])


def pick(video_BTCHW: Tensor, groups: int, offsets_BT: Tensor) -> Tensor:
    """Return the frames (B,G,T,C,H,W) at these offsets of each of the groups that a clip is cut into."""
    span = video_BTCHW.shape[1] // groups
    offsets_BT = offsets_BT.expand(len(video_BTCHW), -1)
    place_BGT = torch.arange(groups, device=offsets_BT.device)[:, None] * span + offsets_BT[:, None]
    clip_B11 = torch.arange(len(video_BTCHW), device=offsets_BT.device)[:, None, None]
    return video_BTCHW[clip_B11, place_BGT]


def size(config: Config, s: Settings) -> Size:
    """Return the network's sizes."""
    return Size(CLASSES[config.task], s.groups, s.frames, s.width, s.filters, s.hop, s.narrow, s.wide, s.dropout)


def _check(config: Config, sizes: Size) -> None:
    """Raise a UserError for what no network can have."""
    clip = config.clip
    if sizes.groups < REACH:
        raise UserError(f"groups={sizes.groups}: a moment of sound meets {REACH} groups, so there must be as many")
    if sizes.frames < 4 or sizes.frames % 4:
        raise UserError(f"frames={sizes.frames}: time is averaged over fours of frames, so use 4, 8, ...")
    if clip.frames % sizes.groups or clip.frames // sizes.groups < sizes.frames:
        least = sizes.groups * sizes.frames
        raise UserError(
            f"clip.frames={clip.frames} are not {sizes.groups} groups of {sizes.frames} frames or more; use a "
            f"multiple of {sizes.groups} that is {least} or more"
        )
    if clip.min_frames != clip.frames:
        raise UserError(
            f"clip.min_frames={clip.min_frames}: {config.detector} sees whole clips alone; use --set "
            f"clip.min_frames={clip.frames}"
        )
    if sizes.features % (4 * 2**ROUNDS):
        raise UserError(
            f"narrow={sizes.narrow} times a third of filters={sizes.filters} makes {sizes.features} features, which "
            f"cannot be halved {ROUNDS} times; use a multiple of {4 * 2**ROUNDS}"
        )
    samples, least = round(clip.seconds * SAMPLE_RATE), min_samples(sizes.hop, audio_moments(sizes.groups))
    if clip.sample_rate != SAMPLE_RATE or clip.samples != samples or samples < least:
        raise UserError(
            f"{config.detector} hears {clip.frames} frames with {samples} samples at {SAMPLE_RATE} Hz, with "
            f"hop={sizes.hop} at least {least}, not {clip.samples} at {clip.sample_rate} Hz; use longer clips, "
            "a smaller hop, or --set clip.audio_samples=none"
        )
