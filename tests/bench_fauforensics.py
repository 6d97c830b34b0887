"""Times FauForensics: evaluation and a training step, at the demo size and at the published one."""

from __future__ import annotations

import pytest
import torch

from avbench.bench.contract import random_batch
from avbench_fauforensics.plugin import avbench_detectors
from building import build_detector

SPEC = next(iter(avbench_detectors()))
CLIPS = {"demo": 16, "official": 1, "paper": 1}
ROUNDS = {"demo": 5, "official": 2, "paper": 2}
WARM_UP = {"demo": 1, "official": 0, "paper": 0}  # seconds a round


def build(preset):
    detector = build_detector("fauforensics", preset=preset)
    return detector, random_batch(detector.config.clip, CLIPS[preset])


@pytest.mark.parametrize("preset", CLIPS)
def test_evaluation(benchmark, preset):
    detector, batch = build(preset)
    detector.eval()
    with torch.inference_mode():
        benchmark.pedantic(detector, (batch,), rounds=ROUNDS[preset], warmup_rounds=WARM_UP[preset])
    benchmark.extra_info["ms_per_clip"] = 1000 * benchmark.stats.stats.min / CLIPS[preset]


@pytest.mark.parametrize("preset", CLIPS)
def test_training_step(benchmark, preset):
    detector, batch = build(preset)
    optimizer, _ = detector.optimizer(detector.config.stages[0], 100)
    detector.train()

    def step():
        detector.loss(detector(batch), batch)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()

    benchmark.pedantic(step, rounds=ROUNDS[preset], warmup_rounds=WARM_UP[preset])
    benchmark.extra_info["ms_per_clip"] = 1000 * benchmark.stats.stats.min / CLIPS[preset]
