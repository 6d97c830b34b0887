"""EnsembleAVDF (approximation) as a detector: one network learns at a time, each its own label; then they vote."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError
from avbench.types import ClipBatch, Output, Stage, Stream
from avbench_backbones import augment
from avbench_backbones.mel import HOP, SAMPLE_RATE, log_mel_20ms
from avbench_backbones.motion import hear_change, see_motion
from avbench_ensemble_avdf.model import AUDIO, BOTH, NETWORKS, VIDEO, Encoder, Ensemble, Network
from avbench_ensemble_avdf.plugin import Settings

# Each turns three fake probabilities (3,B) into one that is above one half where the vote says so.
VOTES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda p_3B: p_3B.mean(dim=0),
    "majority": lambda p_3B: p_3B.median(dim=0).values,  # above one half where two of three are
    "any": lambda p_3B: p_3B.amax(dim=0),
}
ONE_MEL_WINDOW = 256  # samples a spectrogram needs at least


class EnsembleAVDF(Detector):
    """Let networks of pictures, of sound and of both vote whether a second of a talking face is fake."""

    settings: Settings

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s = self.settings
        _check(config, s)
        self.networks = Ensemble(s.width, s.hidden, s.stem_frames)
        self.learning = ""  # the network whose stage it is
        if s.demo_init:
            _sharpen(self.networks)

    def begin_stage(self, stage: Stage) -> None:
        """Thaw the network of that name and freeze the others."""
        self.learning = stage.name
        for name, network in self.networks.items():
            network.requires_grad_(name == self.learning)
        self.train(self.training)

    def train(self, mode: bool = True) -> EnsembleAVDF:
        """Switch to training, in which the frozen networks keep evaluating: their statistics must not drift."""
        super().train(mode)
        for name, network in self.networks.items():
            network.train(mode and self.learning in {"", name})
        return self

    def forward(self, batch: ClipBatch) -> Output:
        """Return the vote (B,), with probabilities of both streams; in training the logits of who learns, as aux."""
        if self.training and self.learning:
            network = self._network(self.learning)
            streams = {stream: self._input(batch, stream) for stream in network.encoders}
            features = {stream: network.encode(*fed, stream) for stream, fed in streams.items()}
            return Output(aux={self.learning: network.classify(features)})
        return self.classify({**self.encode(batch, "video"), **self.encode(batch, "audio")})

    def encode(self, batch: ClipBatch, stream: Stream) -> dict[str, Tensor]:
        """Return what each network that is fed a stream makes of it, (B,L)."""
        fed = self._input(batch, stream)
        networks = {name: self._network(name) for name in (stream, BOTH)}
        return {f"{name} {stream}": network.encode(*fed, stream) for name, network in networks.items()}

    def classify(self, features: Mapping[str, Tensor]) -> Output:
        """Return the vote on features of both streams."""
        logits = {}
        for name in NETWORKS:
            network = self._network(name)
            logits[name] = network.classify({stream: features[f"{name} {stream}"] for stream in network.encoders})
        p = {name: scores.float().softmax(dim=1)[:, 1] for name, scores in logits.items()}
        vote = VOTES[self.settings.vote]
        score_B = vote(torch.stack([p[name] for name in NETWORKS]))
        return Output(score=score_B, p_video=p[VIDEO], p_audio=p[AUDIO], aux=logits)

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Return the cross-entropy of each network that spoke, on its own label, and their sum."""
        labels = {VIDEO: batch.forgery & 1, AUDIO: batch.forgery >> 1, BOTH: (batch.forgery > 0).long()}
        found = {f"loss_{name}": F.cross_entropy(x.float(), labels[name]) for name, x in output.aux.items()}
        return {"loss": torch.stack(list(found.values())).sum(), **found}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return AdamW of what is trainable, and a cosine that ends at 0."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        adamw = torch.optim.AdamW(trainable, lr=stage.lr, weight_decay=stage.weight_decay)
        return adamw, torch.optim.lr_scheduler.CosineAnnealingLR(adamw, max(steps, 1))

    def _network(self, name: str) -> Network:
        network = self.networks[name]
        assert isinstance(network, Network)
        return network

    def _input(self, batch: ClipBatch, stream: str) -> tuple[Tensor, Tensor]:
        """Return what a stream's encoders are fed, (B,C,T,H,W), and how many of its T are valid (B,)."""
        if stream == AUDIO:
            mel_BMT = log_mel_20ms(batch.audio)
            return mel_BMT[:, None, None], torch.ones_like(batch.frames)
        video = batch.video
        if self.training:
            video = augment.flip_randomly(video, augment.dice(batch.seed))
        pixels_BTCHW = augment.normalise(video.float() / 255)
        behind = torch.stack([batch.frames, torch.full_like(batch.frames, pixels_BTCHW.shape[1])], dim=1)
        return augment.mask_spans(pixels_BTCHW, behind, dim=1).transpose(1, 2), batch.frames


@torch.no_grad()
def _sharpen(networks: Ensemble) -> None:
    """Make first filters of eyes see motion, and every other one of ears hear change."""
    for network in networks.values():
        assert isinstance(network, Network)
        for stream, encoder in network.encoders.items():
            assert isinstance(encoder, Encoder)
            filters_OCTHW = encoder.stem.get_parameter("0.weight")
            if stream == VIDEO:
                see_motion(filters_OCTHW)
            else:
                filters_OCTHW[::2] = 0
                hear_change(filters_OCTHW[::2, 0, 0, :, 2:5])


def _check(config: Config, s: Settings) -> None:
    """Raise a UserError for settings that no ensemble can have."""
    if s.stem_frames % 2 == 0:
        raise UserError(f"stem_frames={s.stem_frames}: give an odd number, so that a frame is in the middle")
    if s.demo_init and s.stem_frames < 3:
        raise UserError("demo_init=true sees motion by three frames at least; use --set stem_frames=3")
    if config.clip.sample_rate != SAMPLE_RATE or config.clip.samples <= ONE_MEL_WINDOW:
        raise UserError(f"ensemble_avdf hears {HOP} samples a step at {SAMPLE_RATE} Hz; set clip.audio_samples=16000")
