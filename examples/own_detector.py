"""A detector of your own, as a class: it compares how much moves with how loud it is.

python examples/own_detector.py [PROTOCOL [DATASET=FOLDER ...]]
"""

import sys

import torch

import avbench
from avbench.detector import Detector
from avbench.types import Output


class MotionAndLoudness(Detector):
    """A linear classifier of two numbers a clip."""

    def __init__(self, config):
        super().__init__(config)
        self.head = torch.nn.Linear(2, self.classes)  # 2 classes in the binary task, 4 in the four-class one

    def forward(self, batch):
        motion = batch.video.float().diff(dim=1).abs().mean(dim=(1, 2, 3, 4)) / 16  # (B,T,C,H,W) uint8 -> (B,)
        loudness = batch.audio.abs().mean(dim=1) * 10  # (B,S) in [-1,1] -> (B,)
        return Output(logits=self.head(torch.stack([motion, loudness], dim=1)))


def main() -> None:
    protocol, *data = sys.argv[1:] or ["cross_lavdf_to_fakeav"]
    roots = dict(text.split("=") for text in data)
    settings = {"epochs": 20, "batch": 8, "lr": 0.05, "clip.size": 64}

    run = avbench.run(MotionAndLoudness, protocol, task="binary", data=roots or None, settings=settings)

    auc = run.metrics.query("metric == 'auc' and granularity == 'video'").iloc[0]
    print(f"{run.title}: AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]")


if __name__ == "__main__":
    main()
