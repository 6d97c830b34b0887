"""MRDF as a detector: settings -> network, video -> score, losses, optimiser, published files; 1 = real ends here."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.types import CLASSES, ClipBatch, Output, Stage, Stream
from avbench_backbones import checkpoints
from avbench_backbones.motion import see_motion
from avbench_mrdf import keys, losses
from avbench_mrdf.encoder import EncoderSize
from avbench_mrdf.inputs import RATE, pictures, sounds, valid_frames
from avbench_mrdf.model import Architecture, MRDFNetwork
from avbench_mrdf.plugin import Settings

FPS = 25  # four windows of 10 ms are one frame
FAKE, REAL = 0, 1  # the published classes
STREAMS = "streams"  # a stage before all losses, for networks that start from little
BINARY_ALONE = ("ensemble", "multilabel")


class MRDF(Detector):
    """Judge a whole video by how its pictures and its sound go together: P(fake), of each stream where it has heads."""

    settings: Settings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        _check(config, self.settings)
        self.variant = self.settings.variant
        self.network = MRDFNetwork(architecture(config, self.settings))
        self.streams_alone = False
        if self.settings.demo_init:
            see_motion(self.network.model.feature_extractor_video.resnet.frontend3D.get_parameter("0.weight"))

    def begin_stage(self, stage: Stage) -> None:
        """Train everything, unless the stem is to stay random as the published code leaves it.

        In a stage called "streams" each stream learns its own label alone.
        """
        self.streams_alone = stage.name == STREAMS
        stem = self.network.model.feature_extractor_video.resnet.frontend3D
        stem.requires_grad_(self.settings.train_stem)

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,K), or the score of an ablation without them; what the losses compare, as aux."""
        valid_BT = valid_frames(batch)
        video_BTL = self.network.see(pictures(batch, self.settings.crop, training=self.training), valid_BT)
        return self._judge(video_BTL, self.network.hear(sounds(batch)), valid_BT)

    def encode(self, batch: ClipBatch, stream: Stream) -> dict[str, Tensor]:
        """Return features (B,T,L) of one stream in evaluation; with the pictures, which frames are valid."""
        if stream == "audio":
            return {"audio": self.network.hear(sounds(batch))}
        valid_BT = valid_frames(batch)
        return {
            "video": self.network.see(pictures(batch, self.settings.crop, training=False), valid_BT),
            "valid": valid_BT,
        }

    def classify(self, features: Mapping[str, Tensor]) -> Output:
        """Return what `forward` returns, from the features of both streams."""
        return self._judge(features["video"], features["audio"], features["valid"])

    def _judge(self, video_BTL: Tensor, audio_BTL: Tensor, valid_BT: Tensor) -> Output:
        """Turn what the network says, where class 1 is real, into what avbench asks, where class 1 is fake."""
        out = self.network.classify(video_BTL, audio_BTL, valid_BT)
        p_video = p_audio = None
        if "logits_video" in out:
            p_video, p_audio = (out[f"logits_{s}"].float().softmax(dim=1)[:, FAKE] for s in ("video", "audio"))
        if self.variant == "multilabel":
            p_audio, p_video = torch.sigmoid(-out["logits"].float()).unbind(dim=1)
        if self.variant in BINARY_ALONE:
            assert p_video is not None and p_audio is not None
            return Output(score=torch.maximum(p_video, p_audio), p_video=p_video, p_audio=p_audio, aux=out)
        if out["logits"].shape[1] == CLASSES["binary"]:
            return Output(logits=out["logits"][:, [REAL, FAKE]], p_video=p_video, p_audio=p_audio, aux=out)
        if self.classes == CLASSES["binary"]:  # four classes are learnt, two are asked for
            return Output(score=1 - out["logits"].float().softmax(dim=1)[:, 0], aux=out)
        return Output(logits=out["logits"], p_video=p_video, p_audio=p_audio, aux=out)

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Return the sum of the variant's losses: of the clip, across its streams, within each of them."""
        out, forgery_B = output.aux, batch.forgery
        real_B = (forgery_B == 0).long()
        real = {"video": 1 - (forgery_B & 1), "audio": 1 - (forgery_B >> 1)}
        parts: dict[str, Tensor] = {}
        for stream, label_B in real.items():
            if "logits_video" in out:
                parts[f"loss_{stream}"] = F.cross_entropy(out[f"logits_{stream}"].float(), label_B)
            elif self.variant == "margin":
                parts[f"loss_{stream}"] = losses.within(out[f"embedding_{stream}"], label_B)
        if parts and self.streams_alone and self.training:
            return {"loss": torch.stack(list(parts.values())).sum(), **parts}
        if self.variant == "multilabel":
            labels_B2 = torch.stack([real["audio"], real["video"]], dim=1)
            parts["loss_clip"] = F.binary_cross_entropy_with_logits(out["logits"].float(), labels_B2.float())
        elif "logits" in out:
            two = out["logits"].shape[1] == CLASSES["binary"]
            parts["loss_clip"] = F.cross_entropy(out["logits"].float(), real_B if two else forgery_B)
        if self.variant in {"ce", "margin"}:
            parts["loss_across"] = losses.across(out["mean_video"], out["mean_audio"], real_B)
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return Adam with the published moments; the rate halves where validation stands still for four epochs."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        adam = torch.optim.Adam(trainable, lr=stage.lr, betas=(0.5, 0.9), weight_decay=stage.weight_decay)
        return adam, ReduceLROnPlateau(adam, factor=0.5, patience=3, min_lr=1e-8)

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the parameters of a published Lightning file, without parts that this variant does not compute."""
        if any(name.startswith("network.") for name in state):
            return state
        published = keys.from_lightning(checkpoints.weights_of(state))
        absent = keys.absent(self.network.architecture)
        return {f"network.{name}": value for name, value in published.items() if not name.startswith(absent)}


def architecture(config: Config, s: Settings) -> Architecture:
    """Return what the variant consists of, and its sizes."""
    variant = s.variant
    classes = {"ensemble": 0, "multilabel": 2, "multiclass": 4}
    return Architecture(
        classes=classes.get(variant, CLASSES[config.task]),
        projected=variant in {"ce", "margin", "ensemble"},
        stream_heads=variant in {"ce", "ensemble"},
        trunk_width=s.trunk_width,
        size=EncoderSize(
            s.width,
            s.layers,
            s.heads,
            s.hidden,
            s.position_kernel,
            s.position_groups,
            s.dropout,
        ),
    )


def _check(config: Config, s: Settings) -> None:
    """Raise a UserError for settings that no network can have."""
    clip = config.clip
    if config.task == "four_class" and s.variant in BINARY_ALONE:
        raise UserError(f"variant={s.variant} has two labels and cannot do four_class; use --task binary")
    if not 0 < s.crop <= clip.size:
        raise UserError(f"crop={s.crop} cannot be cut out of pictures of {clip.size}; use --set crop={clip.size}")
    for name, parts in {"heads": s.heads, "position_groups": s.position_groups}.items():
        if s.width % parts:
            raise UserError(f"width={s.width} is no multiple of {name}={parts}")
    if (clip.fps, clip.sample_rate) != (FPS, RATE):
        raise UserError(
            f"mrdf joins {FPS} frames a second with sound at {RATE} Hz, not {clip.fps:g} and {clip.sample_rate}"
        )
