"""FauForensics as a detector: settings -> network, clip -> scores, losses, optimiser, published weights."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.types import CLASSES, ClipBatch, Output, Stage, Stream
from avbench_backbones import checkpoints
from avbench_backbones.adamp import AdamP, poly_factor
from avbench_backbones.mel import HOP, SAMPLE_RATE
from avbench_backbones.whisper import WhisperSize
from avbench_fauforensics.augment import MEL_PER_FRAME, Recipe, prepare, prepare_audio, prepare_video
from avbench_fauforensics.model import Architecture, Network
from avbench_fauforensics.plugin import Settings

log = logging.getLogger(__name__)

# Of an ME-GraphAU file of either stage: what lies behind the nodes.
LEFT_OUT = ("head.gnn.", "head.sc", "head.edge_extractor.", "head.edge_fc.")


class FauForensics(Detector):
    """Judge one second of a talking face: P(fake) of the clip, of its pictures and of its sound."""

    settings: Settings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        _check(config, self.settings)
        self.network = Network(architecture(config, self.settings))
        self.recipe = recipe(self.settings)
        if self.has_blendshapes:
            self.network.FAUEncoder_cnn.register_forward_pre_hook(_require_bundle)
        self.network.sharpen_queries(self.settings.query_gain)
        if self.settings.freeze_encoders:
            self.network.freeze_encoders()

    @property
    def has_blendshapes(self) -> bool:
        """Whether action units come from MediaPipe's published networks, which are never random."""
        return self.network.architecture.fau and self.settings.fau_encoder == "blendshapes"

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,K) of the clip; the branches' probabilities, and their logits (B,2) as aux."""
        return self.classify(self.network.encode(*prepare(batch, self.recipe, training=self.training)))

    def encode(self, batch: ClipBatch, stream: Stream) -> dict[str, Tensor]:
        """Return Z_v or Z_a (B,T,L), in evaluation; nothing where no encoder of that stream is switched on."""
        a = self.network.architecture
        if stream == "video" and (a.video or a.fau):
            return {"video": self.network.encode_video(prepare_video(batch, self.recipe))}
        if stream == "audio" and a.audio:
            return {"audio": self.network.encode_audio(prepare_audio(batch, self.recipe))}
        return {}

    def classify(self, features: Mapping[str, Tensor]) -> Output:
        """Return what `forward` returns, from Z_v and Z_a."""
        logits = self.network.classify(self.network.align(dict(features)))
        branches = {name: scores for name, scores in logits.items() if name != "joint"}
        p_fake = {name: scores.float().softmax(dim=1)[:, 1] for name, scores in branches.items()}
        return Output(logits=logits["joint"], p_video=p_fake.get("video"), p_audio=p_fake.get("audio"), aux=branches)

    def features(self, batch: ClipBatch) -> dict[str, Tensor]:
        """Return what the heads read: joint (B,L), the correlation matrices (B,T,T); and the units seen (B,T,L)."""
        encoded = self.network.features(*prepare(batch, self.recipe, training=False))
        z = self.network.align(self.network.streams(encoded))
        found = {"units": encoded["fau"]} if "fau" in encoded else {}
        if not self.network.architecture.tap:
            return found | {"joint": torch.cat([z_BTL.mean(dim=1) for z_BTL in z.values()], dim=1)}
        pooled = self.network.correlations(z)
        streams = {name: f"{name}/{name}" for name in z}
        if len(z) == 2:
            rows = self.network.architecture.joint_rows
            streams["joint"] = f"{rows}/{'audio' if rows == 'video' else 'video'}"
        square = (len(batch), -1, batch.video.shape[1])
        matrices = {f"attention/{which}": pooled[name].view(square) for name, which in streams.items()}
        return found | matrices | {"joint": pooled["joint"]}

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Weigh the cross-entropies of clip, pictures and sound, each on its own label (eq. 10)."""
        labels = {"video": batch.forgery & 1, "audio": batch.forgery >> 1, "joint": self.labels(batch)}
        logits = {**output.aux, "joint": cast(Tensor, output.logits)}
        losses = {name: F.cross_entropy(scores.float(), labels[name]) for name, scores in logits.items()}
        s = self.settings
        weights = {"video": s.loss_weight_video, "audio": s.loss_weight_audio, "joint": s.loss_weight_joint}
        weighed = [weights[name] * loss for name, loss in losses.items()]
        return {"loss": _sum(weighed), **{f"loss_{n}": loss for n, loss in losses.items()}}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return AdamP and the polynomial schedule that keeps a thousandth of the rate."""
        if self.has_blendshapes:  # else the first to miss them would be the validation
            _require_bundle(self.network.FAUEncoder_cnn)
        trainable = [p for p in self.parameters() if p.requires_grad]
        adamp = AdamP(trainable, lr=stage.lr, weight_decay=stage.weight_decay)
        return adamp, LambdaLR(adamp, lambda step: poly_factor(step, steps))

    def load_pretrained(self, weights: Mapping[str, Path]) -> None:
        """Load Whisper, CSN and action-unit files strictly; that of an encoder switched off is not read."""
        for setting, path in weights.items():
            self._load(setting, path)

    def _load(self, setting: str, path: Path) -> None:
        built = self.network.architecture
        shapes = built.fau_encoder == "blendshapes"
        needed = {
            "whisper_weights": built.audio,
            "csn_weights": built.video,
            "fau_weights": built.fau and not shapes,
            "landmarker_weights": built.fau and shapes,
        }
        if not needed[setting]:
            log.info("%s: not loaded, its encoder is switched off", setting)
            return
        if setting == "landmarker_weights":
            self.network.FAUEncoder_cnn.load(path)  # type: ignore[operator]  # Blendshapes
            return
        weights = checkpoints.weights_of(checkpoints.read_checkpoint(path))
        if setting == "whisper_weights":
            state = checkpoints.whisper_state(weights)
            checkpoints.load_strict(self.network.AEncoder.encoder, state, ("positional_embedding",))
        elif setting == "csn_weights":
            checkpoints.load_strict(self.network.VEncoder_cnn, checkpoints.csn_from_pytorchvideo(weights))
        elif built.fau_encoder != "graphau":
            checkpoints.load_strict(self.network.FAUEncoder_cnn, weights)
        else:
            state = checkpoints.graphau_from_official(weights, head=built.fau_units > 0)
            checkpoints.load_strict(self.network.FAUEncoder_cnn, state, LEFT_OUT)

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the published code's parameters (with or without "module.") to `network.<their name>`."""
        published = checkpoints.weights_of(state)
        return {name if name.startswith("network.") else f"network.{name}": value for name, value in published.items()}


def _require_bundle(encoder: nn.Module, images: tuple[Tensor, ...] = ()) -> None:
    """Raise a UserError where action units are asked of blendshapes whose published networks were not given."""
    if not encoder.get_buffer("bundle").any():
        raise UserError(
            "fau_encoder=blendshapes has no random weights; use --set landmarker_weights=face_landmarker.task, or "
            "run avbench weights fetch mediapipe-face-landmarker"
        )


def _sum(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).sum()


def architecture(config: Config, s: Settings) -> Architecture:
    """Return the network's sizes and switches."""
    return Architecture(
        classes=CLASSES[config.task],
        frames=config.clip.frames,
        width=s.width,
        query_heads=s.query_heads,
        query_head_width=s.query_head_width,
        csn_blocks=_block_counts(s.csn_blocks),
        csn_width=s.csn_width,
        csn_input=s.csn_input_size,
        audio=s.use_audio,
        audio_size=WhisperSize(s.audio_state, s.audio_heads, s.audio_layers),
        fau=s.use_fau and s.use_ffl,
        fau_encoder=s.fau_encoder,
        fau_depth=s.fau_depth,
        fau_width=s.fau_width,
        fau_units=s.fau_units if s.fau_features == "nodes" else 0,
        fau_batch_norm_drifts=s.fau_batch_norm == "train",
        video=s.use_video,
        ifa=s.use_ifa,
        tap=s.use_tap,
        attention_norm=s.attention_norm,
        joint_rows=s.joint_rows,
        hidden=s.width if s.head == "hidden" else 0,
    )


def recipe(s: Settings) -> Recipe:
    """Return how clips are prepared."""
    return Recipe(s.crop_from, s.crop, s.input_size, s.grayscale, s.mel, s.masking)


def _check(config: Config, s: Settings) -> None:
    """Raise a UserError for settings that no network can have."""
    if not (s.use_video or s.use_audio or (s.use_fau and s.use_ffl)):
        raise UserError("use_video, use_audio and use_fau are false: leave fauforensics at least one encoder")
    if s.crop > s.crop_from:
        raise UserError(f"crop={s.crop} is larger than crop_from={s.crop_from}, out of which it is cut")
    samples = config.clip.frames * MEL_PER_FRAME * HOP
    if (config.clip.samples, config.clip.sample_rate) != (samples, SAMPLE_RATE):
        raise UserError(
            f"fauforensics hears {config.clip.frames} frames with {samples} samples at {SAMPLE_RATE} Hz, not "
            f"{config.clip.samples} at {config.clip.sample_rate} Hz; use --set clip.audio_samples={samples}"
        )


def _block_counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(count) for count in text.split(","))
    except ValueError:
        counts = ()
    if len(counts) != 4 or min(counts) < 1:
        raise UserError(f"csn_blocks={text}: give four block counts, such as 3,4,23,3")
    return counts
