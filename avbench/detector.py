"""The class that a detector extends. The harness owns device, precision, order, checkpoints and aggregation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from avbench.config import Config, learned_label
from avbench.types import CLASSES, ClipBatch, Output, Stage, Stream


class Detector(nn.Module):
    """A network that turns a ClipBatch into an Output.

    Only `forward` must be written. It receives raw clips (uint8 frames, sound in [-1,1]) on the right device and does
    everything else itself: augmentation while `self.training` (random numbers from `batch.seed` alone), normalisation,
    mel, network. So training, evaluation and scoring a single file cannot differ.

    `settings` are the detector's own, as its preset declares them and `--set` changed them. Declared by a dataclass,
    they are an instance of it, and a subclass that repeats the annotation tells the type checker so::

        @dataclass(frozen=True, slots=True)
        class Settings:
            width: Count = 64
            fusion: Literal["mean", "product"] = "mean"  # a choice
            dropout: Share = 0.1

        class Mine(Detector):
            settings: Settings

            def __init__(self, config: Config) -> None:
                super().__init__(config)
                self.head = nn.Linear(self.settings.width, self.classes)

        Preset(settings=Settings()), Preset("demo", settings=Settings(width=8))

    Types, choices and bounds are checked before a detector is built. What they cannot say, such as a width that must
    be a multiple of heads, its constructor refuses by a ValueError; the user sees one line.
    """

    settings: Any

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.settings = config.settings
        self.classes = CLASSES[config.task]

    def forward(self, batch: ClipBatch) -> Output:
        """Return logits (B,K) or a score (B,) for a batch of clips."""
        raise AssertionError(f"{type(self).__name__} has no forward(batch)")

    def encode(self, batch: ClipBatch, stream: Stream) -> dict[str, Tensor]:
        """Return features by name, (B,...) each, of one stream of a batch in evaluation; empty if it is not used.

        Optional, together with `classify`: then forward(batch) must equal classify of what both streams give, and a
        perturbation of one stream encodes the other once.
        """
        raise NotImplementedError(f"{type(self).__name__} has no encode(batch, stream)")

    def classify(self, features: Mapping[str, Tensor]) -> Output:
        """Return what forward returns, from the features of both streams."""
        raise NotImplementedError(f"{type(self).__name__} has no classify(features)")

    def features(self, batch: ClipBatch) -> dict[str, Tensor]:
        """Return what `avbench analyse` draws, by name, of a batch in evaluation: whatever of it there is.

        Optional. "joint" (B,L): what the clip's classifier reads; "units" (B,T,N): action units or a description of
        them, frame by frame; "attention/ROWS/COLUMNS" (B,T,T): how moments of two streams ("video", "audio") go
        together.
        """
        raise NotImplementedError(f"{type(self).__name__} has no features(batch)")

    @property
    def in_two_steps(self) -> bool:
        """Whether this detector has `encode` and `classify` of its own."""
        return type(self).encode is not Detector.encode

    def labels(self, batch: ClipBatch) -> Tensor:
        """Return the label (B,) int64 this detector learns: of the clip, or of the one stream that it requires."""
        labels: Tensor = learned_label(self.config, batch.forgery)
        return labels

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Return scalars by name; the one called "loss" is minimised, the others are logged."""
        if output.logits is None:
            raise TypeError(f"{type(self).__name__} gives no logits, so it must define loss(output, batch)")
        return {"loss": F.cross_entropy(output.logits.float(), self.labels(batch))}

    def load_pretrained(self, weights: Mapping[str, Path]) -> None:
        """Load published weights before the first stage: a file by the name of the setting that chose it.

        It is called once for each file, and not for random weights. Any error becomes one line that names setting,
        file and detector, so load strictly and let errors pass.
        """
        if weights:
            raise ValueError(f"{type(self).__name__} does not say how to load {', '.join(weights)}")

    def begin_stage(self, stage: Stage) -> None:
        """Prepare a training stage: freeze, thaw, swap heads. The default trains everything."""

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler | None]:
        """Return the optimiser of what is trainable and a schedule stepped once per optimiser step.

        A ReduceLROnPlateau is stepped once an epoch, by the negative log-likelihood of the validation clips (by the
        training loss in a stage without validation).
        """
        trainable = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.AdamW(trainable, lr=stage.lr, weight_decay=stage.weight_decay), None

    def after_step(self) -> None:
        """Act after each optimiser step, for example move a slow copy of the weights."""

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return a foreign state dict under this detector's own names; the default changes nothing."""
        return state


def probabilities(output: Output) -> tuple[Tensor, Tensor | None]:
    """Return P(fake) (B,) and, for four classes, the class probabilities (B,4), both float64 on the CPU.

    P(fake) is softmax(logits)[1] for two classes, 1 - P(RARV) for four, or the detector's own bounded score.
    """
    if output.score is not None:
        return output.score.detach().cpu().double(), None
    if output.logits is None:
        raise TypeError("an Output needs logits or a score")
    p_BK = output.logits.detach().cpu().double().softmax(dim=1)
    if p_BK.shape[1] == 2:
        return p_BK[:, 1], None
    return p_BK[:, 1:].sum(dim=1), p_BK


def log_odds(output: Output) -> Tensor | None:
    """Return the log-odds of a forgery (B,), float64 on the CPU; None of a detector that gives a bounded score.

    They are fake minus real of two logits, log(sum(exp)) of the three forged classes minus RARV of four. A probability
    that rounds to one no longer tells them.
    """
    if output.score is not None or output.logits is None:
        return None
    z_BK = output.logits.detach().cpu().double()
    return z_BK[:, 1:].logsumexp(dim=1) - z_BK[:, 0]
