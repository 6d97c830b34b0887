"""ME-GraphAU for the training engine: frames -> probabilities of action units, losses, stages, published weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from avbench.config import Config
from avbench.detector import Detector
from avbench.errors import UserError, unknown
from avbench.types import ClipBatch, Output, Stage
from avbench_backbones import checkpoints
from avbench_backbones.swin import SIZES
from avbench_graphau.loss import asymmetric_loss, edge_loss, labels_of
from avbench_graphau.network import MEGraphAU, StageName, backbone_state, load_shared
from avbench_graphau.prepare import Recipe, prepare
from avbench_graphau.recipe import ANNOTATION, Settings


class GraphAU(Detector):
    """Say which action units a face shows, frame by frame. It judges no forgery."""

    settings: Settings
    unit_weights: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        s = self.settings
        _check(s)
        self.recipe = Recipe(s.crop_from, s.crop, s.input_size, s.jitter)
        first: StageName = "mefl" if config.stages and config.stages[0].name == "mefl" else "anfl"
        backbone = s.backbone if s.backbone in SIZES else int(s.backbone.removeprefix("resnet"))
        self.network = MEGraphAU(backbone, s.width, s.units, s.neighbours, s.metric, first)
        self.register_buffer("unit_weights", weights_in(s.unit_weights, s.units), persistent=False)
        self.next_head = int(torch.randint(2**31, (), device="cpu"))  # seed of the second stage's head

    def begin_stage(self, stage: Stage) -> None:
        """Take the head that the stage is named after, "anfl" or "mefl"."""
        if stage.name not in get_args(StageName):
            raise unknown("stage of graphau", stage.name, get_args(StageName))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.next_head)
            self.network.enter("mefl" if stage.name == "mefl" else "anfl")

    def forward(self, batch: ClipBatch) -> Output:
        """Return as aux the probabilities "p" (B,T,U), and "pairs" (B,T,U*U,4) in the second stage."""
        images = prepare(batch, self.recipe, training=self.training)
        said = dict(zip(("p", "pairs"), self.network.classify(images.flatten(0, 1)), strict=True))
        return Output(
            aux={k: x.float().reshape(*images.shape[:2], *x.shape[1:]) for k, x in said.items() if x is not None}
        )

    def labels(self, batch: ClipBatch) -> Tensor:
        """Return labels (B,T,U): 1, 0, or nan where unknown."""
        return labels_of(batch.annotations[ANNOTATION], self.settings.positive_from)

    def loss(self, output: Output, batch: ClipBatch) -> dict[str, Tensor]:
        """Return the asymmetric loss of the units, in the second stage plus the weighed one of their pairs."""
        labels_NU = self.labels(batch).flatten(0, 1)
        units = asymmetric_loss(output.aux["p"].flatten(0, 1), labels_NU, self.unit_weights)
        if "pairs" not in output.aux:
            return {"loss": units}
        pairs = edge_loss(output.aux["pairs"].flatten(0, 1), labels_NU)
        return {"loss": units + self.settings.edge_weight * pairs, "loss_units": units, "loss_pairs": pairs}

    def optimizer(self, stage: Stage, steps: int) -> tuple[Optimizer, LRScheduler]:
        """Return AdamW and a cosine that ends at zero."""
        adamw = AdamW(self.parameters(), lr=stage.lr, weight_decay=stage.weight_decay)
        return adamw, CosineAnnealingLR(adamw, steps)

    def load_pretrained(self, weights: Mapping[str, Path]) -> None:
        """Load an ImageNet backbone, or all that both stages share of an ME-GraphAU file, strictly."""
        for setting, path in weights.items():
            found = checkpoints.weights_of(checkpoints.read_checkpoint(path))
            if setting == "backbone_weights":
                checkpoints.load_strict(self.network, backbone_state(found), ("global_linear.", "head."))
            else:
                load_shared(self.network, found)

    def convert_checkpoint(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the published code's parameters (with or without "module.") to `network.<their name>`."""
        published = checkpoints.weights_of(state)
        return {name if name.startswith("network.") else f"network.{name}": value for name, value in published.items()}


def frame_loss(network: GraphAU, p_BTU: Tensor, labels_BTU: Tensor) -> Tensor:
    """Return the asymmetric loss of the units alone, which both stages have: a mean over known labels."""
    return asymmetric_loss(p_BTU.flatten(0, 1), labels_BTU.flatten(0, 1), network.unit_weights)


def weights_in(text: str, units: int) -> Tensor:
    """Return the weights (U,) that a setting names: numbers separated by commas, or ones for "auto"."""
    if text == "auto":
        return torch.ones(units)
    if not re.fullmatch(r"[\d.eE+-]+(,[\d.eE+-]+)*", text) or text.count(",") + 1 != units:
        raise UserError(f"unit_weights={text}: give auto, or {units} numbers separated by commas")
    return torch.tensor([float(number) for number in text.split(",")])


def _check(s: Settings) -> None:
    """Raise a UserError for settings that no network can have."""
    if s.neighbours > s.units:
        raise UserError(f"neighbours={s.neighbours}: a graph of {s.units} units takes 1 to {s.units}")
    if s.crop > s.crop_from:
        raise UserError(f"crop={s.crop} is larger than crop_from={s.crop_from}, out of which it is cut")
    if s.backbone in SIZES and s.input_size != 224:
        raise UserError(f"backbone={s.backbone} sees pictures of 224 pixels; use --set input_size=224")
