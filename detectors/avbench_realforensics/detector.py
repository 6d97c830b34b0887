"""RealForensics as a detector: settings -> network, two stages, clip -> score, losses, published weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.types import ClipBatch, Output, Stage
from avbench_backbones import checkpoints
from avbench_backbones.adamp import AdamP
from avbench_backbones.mel import HOP, SAMPLE_RATE
from avbench_realforensics import views
from avbench_realforensics.model import RealNetwork, Sizes, agreement, follow
from avbench_realforensics.plugin import Settings
from avbench_realforensics.published import parts

REPRESENT = "represent"  # the stage that learns from real clips what pictures and sound tell of each other
SLOWNESS = 1e-3 / 96  # by how much a teacher moves, for each clip of a batch


class RealForensics(Detector):
    """Judge one second of a talking face by its pictures: P(the pictures are fake)."""

    settings: Settings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s = self.settings
        _check(config, s)
        represents = any(stage.name == REPRESENT for stage in config.stages)
        self.network = RealNetwork(_sizes(s), taught=s.ssl_weight > 0, represents=represents)
        self.recipe = views.Recipe(s.crop_from, s.crop, s.input_size, s.grayscale, s.masking)
        self.prior = math.log(s.fake_share / (1 - s.fake_share))
        self.clips = 0  # in a batch of the stage
        self.has_teacher = represents

    @property
    def represents(self) -> bool:
        """Whether stage 1 is being trained, or yet to be."""
        return self.network.representation is not None

    def begin_stage(self, stage: Stage) -> None:
        """Train students of both streams in "represent"; after it the teacher stands still and the heads judge."""
        self.clips = stage.batch * stage.accumulate
        if stage.name != REPRESENT:
            self.network.representation = None
        for head in (self.network.df_head, self.network.ssl_head):
            if head is not None:
                head.requires_grad_(not self.represents)
        if not self.represents and not self.settings.ssl_weight:
            self.network.target_encoder = None
        self.train(self.training)

    def train(self, mode: bool = True) -> RealForensics:
        """Switch to training; a teacher that stands still keeps evaluating, unless its statistics are to drift."""
        super().train(mode)
        drifts = self.represents or self.settings.teacher_batch_norm == "train"
        if self.network.target_encoder is not None:
            self.network.target_encoder.train(mode and drifts)
        return self

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,2), 0 and the published network's one; in training what the stage's loss compares, as aux.

        In stage 1 there are no logits.
        """
        if not self.training:
            return Output(logits=_two(self.network(views.judged_view(batch, self.recipe))))
        if self.represents:
            return Output(aux=self._represent(batch))
        pixels, _ = views.augmented_view(batch, self.recipe, mask_chance=0.5)
        features_BTL = self.network.backbone(pixels)
        aux = self._compare(features_BTL, batch) if self.network.ssl_head is not None else {}
        return Output(logits=_two(self.network.df_head(features_BTL)), aux=aux)

    def _represent(self, batch: ClipBatch) -> dict[str, Tensor]:
        """Let each student predict the other stream's teacher, which sees and hears the clean clip."""
        network, representation = self.network, self.network.representation
        assert representation is not None and network.target_encoder is not None
        pixels, hidden = views.augmented_view(batch, self.recipe, mask_chance=1.0)
        sound = views.augmented_sound(batch, hidden, self.recipe)
        with torch.no_grad():
            seen_BTL = network.target_encoder(views.clean_view(batch, self.recipe))
            heard_BTL = representation.audio_teacher(views.clean_sound(batch))
        valid_BT = views.both_streams(batch)
        video_BTL = representation.video_head(network.backbone(pixels))
        audio_BTL = representation.audio_head(representation.ears(sound))
        return {
            "video_to_audio": agreement(video_BTL, heard_BTL, valid_BT),
            "audio_to_video": agreement(audio_BTL, seen_BTL, valid_BT),
        }

    def _compare(self, features_BTL: Tensor, batch: ClipBatch) -> dict[str, Tensor]:
        """Let the student predict what the teacher says of clips whose pictures are real."""
        network = self.network
        assert network.ssl_head is not None and network.target_encoder is not None
        real_B = self.labels(batch) == 0
        if not real_B.any():  # every weight keeps a part in the loss, which processes that share a batch wait for
            return {"teacher": sum((p.sum() for p in network.ssl_head.parameters()), features_BTL.new_zeros(())) * 0}
        with torch.no_grad():
            target_BTL = network.target_encoder(views.clean_view(batch, self.recipe)[real_B])
        frame = torch.arange(features_BTL.shape[1], device=features_BTL.device)
        valid_BT = frame < batch.frames[real_B, None]
        return {"teacher": agreement(network.ssl_head(features_BTL[real_B]), target_BTL, valid_BT)}

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Return minus both agreements (stage 1); or the cross-entropy of the logit, moved by the share of fakes, and
        minus the agreement with the teacher on real clips."""
        if output.logits is None:
            losses = {f"loss_{name}": -cosine for name, cosine in output.aux.items()}
            return {"loss": sum(losses.values(), torch.zeros(())), **losses}
        moved_B = output.logits[:, 1].float() + self.prior
        forgery = F.binary_cross_entropy_with_logits(moved_B, self.labels(batch).float())
        if "teacher" not in output.aux:
            return {"loss": forgery}
        teacher = -output.aux["teacher"]
        return {"loss": forgery + self.settings.ssl_weight * teacher, "loss_forgery": forgery, "loss_teacher": teacher}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return AdamP: the rate warms up, then falls as a cosine in stage 1 (not for predictors), else stays."""
        s = self.settings
        if s.ssl_weight and not self.has_teacher:
            raise UserError(
                f"ssl_weight={s.ssl_weight}: nobody has taught the teacher; use --preset two_stage, or give a file "
                "of stage 1 with --set backbone_weights=FILE"
            )
        predictors = [head[1] for head in self._heads()] if self.represents else []
        apart = {id(parameter) for predictor in predictors for parameter in predictor.parameters()}
        trainable = [p for p in self.parameters() if p.requires_grad]
        groups = [{"params": [p for p in trainable if (id(p) in apart) == chosen]} for chosen in (False, True)]
        adamp = AdamP([group for group in groups if group["params"]], lr=stage.lr, weight_decay=stage.weight_decay)
        epochs = s.represent_warmup if self.represents else s.forgery_warmup
        warmup = min(1.0, epochs / max(stage.epochs, 1)) * steps
        falls = self.represents
        factors = [lambda step: rate_factor(step, steps, warmup, falls=falls), lambda step: 1.0]
        return adamp, LambdaLR(adamp, factors[: len(adamp.param_groups)])

    def after_step(self) -> None:
        """Move the teachers of stage 1 towards their students, further for larger batches."""
        representation, teacher = self.network.representation, self.network.target_encoder
        if representation is not None and teacher is not None:
            moved = SLOWNESS * self.clips * self.settings.teacher_speed
            momentum = max(0.0, 1 - moved)
            follow(teacher, self.network.backbone, representation.video_head, momentum)
            follow(representation.audio_teacher, representation.ears, representation.audio_head, momentum)

    def load_pretrained(self, weights: Mapping[str, Path]) -> None:
        """Load the eyes, and what else the file holds of this network, strictly."""
        for path in weights.values():
            found = parts(checkpoints.read_checkpoint(path))
            checkpoints.load_strict(self.network.backbone, found["backbone"])
            if "df_head" in found:
                checkpoints.load_strict(self.network.df_head, found["df_head"])
            if self.network.target_encoder is not None and "target_encoder" in found:
                checkpoints.load_strict(self.network.target_encoder, found["target_encoder"])
                self.has_teacher = True
            elif self.network.target_encoder is not None:
                checkpoints.load_strict(self.network.target_encoder[0], found["backbone"])

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Take eyes and head of a published file; what only training needs stays as it is."""
        if any(name.startswith("network.") for name in state):
            return state
        judges = ("network.backbone.", "network.df_head.")
        own = {name: value for name, value in self.state_dict().items() if not name.startswith(judges)}
        published = {f"network.{name}": value for name, value in checkpoints.weights_of(state).items()}
        return own | {name: value for name, value in published.items() if name.startswith(judges)}

    def _heads(self) -> list[nn.Sequential]:
        representation = self.network.representation
        return [] if representation is None else [representation.video_head, representation.audio_head]


def rate_factor(step: int, steps: int, warmup: float, *, falls: bool) -> float:
    """Return what the learning rate is multiplied by: a line up to 1, then 1 or half a cosine down to 0."""
    if step + 1 < warmup:  # Departure: the first step counts too; there its rate is whole, then 0
        return (step + 1) / warmup
    if not falls:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(steps - warmup, 1))))


def _two(logit_B: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(logit_B), logit_B], dim=1)


def _sizes(s: Settings) -> Sizes:
    blocks = tuple(int(count) for count in s.csn_blocks.split(","))
    return Sizes(blocks, s.csn_width, s.audio_width, s.projection, s.width, s.heads, s.head_width, s.hidden)


def _check(config: Config, s: Settings) -> None:
    """Raise a UserError for settings that no network can have."""
    counts = s.csn_blocks.split(",")
    if len(counts) != 4 or not all(count.strip().isdigit() and int(count) for count in counts):
        raise UserError(f"csn_blocks={s.csn_blocks}: give four block counts, such as 3,4,23,3")
    if s.crop > s.crop_from:
        raise UserError(f"crop={s.crop} is larger than crop_from={s.crop_from}, out of which it is cut")
    clip, samples = config.clip, config.clip.frames * views.MEL_PER_FRAME * HOP
    hears = any(stage.name == REPRESENT for stage in config.stages)
    if hears and (clip.samples, clip.sample_rate) != (samples, SAMPLE_RATE):
        raise UserError(
            f"stage {REPRESENT} hears {clip.frames} frames with {samples} samples at {SAMPLE_RATE} Hz, not "
            f"{clip.samples} at {clip.sample_rate} Hz; use --set clip.audio_samples={samples}"
        )
