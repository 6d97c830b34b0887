"""Detectors that fail, each in a part of its own; the line that is to be named ends with `# here`."""

from __future__ import annotations

from typing import Any

import torch

from avbench.detector import Detector
from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Output, Preset, Stage


class Works(Detector):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.net = torch.nn.Linear(2, self.classes)

    def forward(self, batch: Any) -> Any:
        seen = batch.video.float().mean(dim=(1, 2, 3, 4)) / 255
        return Output(logits=self.net(torch.stack([seen, batch.audio.abs().mean(dim=1)], dim=1)))


class ForwardRaises(Works):
    def forward(self, batch: Any) -> Any:
        return Output(logits=self.net(batch.audio))  # here


class EvaluationRaises(Works):
    def forward(self, batch: Any) -> Any:
        if not self.training:
            raise ValueError("only in evaluation")  # here
        return super().forward(batch)


class LossRaises(Works):
    def loss(self, output: Any, batch: Any) -> Any:
        return {"loss": output.logits[:, 7].mean()}  # here


class LossIsNameless(Works):
    def loss(self, output: Any, batch: Any) -> Any:  # here
        return {"total": output.logits.mean()}


class GivesTensor(Works):
    def forward(self, batch: Any) -> Any:  # here
        return super().forward(batch).logits


class GivesSevenClasses(Works):
    def forward(self, batch: Any) -> Any:  # here
        return Output(logits=torch.zeros(len(batch), 7, requires_grad=True))


class GivesNan(Works):
    def forward(self, batch: Any) -> Any:  # here
        return Output(logits=super().forward(batch).logits * torch.nan)


class NanInEvaluation(Works):
    def forward(self, batch: Any) -> Any:  # here
        return Output(logits=super().forward(batch).logits * (1 if self.training else torch.nan))


class NanForOne(Works):
    def forward(self, batch: Any) -> Any:
        bad = torch.tensor(["person6_FAFV" in name and not self.training for name in batch.ids])
        return Output(logits=super().forward(batch).logits.masked_fill(bad[:, None], torch.nan))


class NoMemory(Works):
    def forward(self, batch: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")  # here


class Asserts(Works):
    def forward(self, batch: Any) -> Any:
        assert batch.video.shape[-1] == 224  # here


class Exits(Works):
    def forward(self, batch: Any) -> Any:
        raise SystemExit(3)  # here


class BuildRaises(Works):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.width = {}["width"]  # here


class BeginRaises(Works):
    def begin_stage(self, stage: Any) -> None:
        raise RuntimeError("no such stage")  # here


class OptimizerRaises(Works):
    def optimizer(self, stage: Any, steps: int) -> Any:
        return torch.optim.AdamW([], lr=stage.lr), None  # here


class StepRaises(Works):
    def after_step(self) -> None:
        raise KeyError("slow copy")  # here


KINDS = [kind for kind in list(globals().values()) if isinstance(kind, type) and issubclass(kind, Detector)][1:]


@hookimpl
def avbench_detectors() -> Any:
    stages = (Stage(epochs=1, batch=8, micro_batch=4, lr=0.05),)
    for kind in KINDS:
        preset = Preset(clip=ClipSpec(frames=5, size=32), stages=stages)
        yield DetectorSpec(kind.__name__.lower(), f"{__name__}:{kind.__name__}", tasks=("binary",), presets=(preset,))
