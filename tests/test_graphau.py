"""ME-GraphAU's losses in plain loops, F1 and what looks at nothing, the network in the training engine."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avbench import config
from avbench.bench.contract import random_batch
from avbench.bench.pretraining.measuring import place
from avbench.engine.building import build
from avbench.errors import UserError
from avbench.metrics.frame_labels import baselines, f1
from avbench.metrics.frame_labels import table as table_of
from avbench.types import Forgery, Sample, Stage
from avbench_backbones.mefl import MEFLHead
from avbench_graphau.loss import asymmetric_loss, edge_loss, labels_of, relations, weights_of_rates
from avbench_graphau.recipe import ANNOTATION, SPEC

NAN = math.nan


# Losses


def test_the_loss_counts_an_inactive_unit_as_much_as_it_is_mistaken() -> None:
    p = torch.tensor([[0.9, 0.2, 0.6], [0.5, 0.7, 0.0]], requires_grad=True)
    labels, weights = torch.tensor([[1.0, 0.0, NAN], [0.0, 1.0, 1.0]]), torch.tensor([0.5, 2.0, 0.5])
    terms = []
    for n, u in itertools.product(range(2), range(3)):
        value, y = p[n, u].item(), labels[n, u].item()
        if not math.isnan(y):
            terms.append(-weights[u].item() * math.log(max(value, 1e-8)) * y)
            terms[-1] -= weights[u].item() * (1 - y) * value * math.log(max(1 - value, 1e-8))
    loss = asymmetric_loss(p, labels, weights)
    assert loss.item() == pytest.approx(sum(terms) / 5, rel=1e-5)
    loss.backward()
    assert p.grad is not None
    assert p.grad[0, 1].item() == pytest.approx(2.0 * 0.2 / (1 - 0.2) / 5, rel=1e-5), "p' is held still"
    assert p.grad[0, 2].item() == 0 and asymmetric_loss(p, labels * NAN, weights).item() == 0


def test_weights_are_the_published_ones_of_disfas_first_fold() -> None:
    """ME-GraphAU's list for fold 1 (87,209 frames) is inverse rates of mean one."""
    published = [1.422290, 2.347771, 0.399672, 0.795021, 1.878217, 0.440125, 0.195583, 0.521322]
    rates = [0.1 / weight for weight in published]
    assert weights_of_rates(rates) == pytest.approx(published, rel=1e-4)
    assert weights_of_rates([0.5, 0.0, 0.25])[1] == weights_of_rates([0.5, 0.0, 0.25])[2], "as the rarest that is seen"


def test_the_relation_of_a_pair_is_that_of_its_edge() -> None:
    labels = torch.tensor([[1.0, 0.0, NAN]])
    found = relations(labels)[0]
    for i, j in itertools.product(range(3), range(3)):
        known = 2 not in (i, j)
        assert found[3 * i + j] == (2 * labels[0, i] + labels[0, j] if known else -1), (i, j)
    logits = torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(0))
    terms = [-logits[0, e].log_softmax(0)[found[e]].item() for e in range(9) if found[e] >= 0]
    assert edge_loss(logits, labels).item() == pytest.approx(sum(terms) / 4, rel=1e-5)
    assert edge_loss(logits, labels * NAN).item() == 0
    assert labels_of(torch.tensor([1.9, 2.0, NAN]), 2.0).nan_to_num(-1).tolist() == [0, 1, -1]


# F1


def test_f1_and_what_looks_at_nothing() -> None:
    counts = np.array([[[3.0, 1, 2, 4], [0, 0, 5, 5]], [[1, 0, 0, 9], [0, 0, 1, 9]]])  # people, units, kinds
    summed = counts.sum(axis=0)
    assert f1(summed).tolist() == [8 / 11, 0.0]
    blind = baselines(summed, [0.6, 0.2])
    assert blind["all positive"].tolist() == pytest.approx([12 / 26, 12 / 26])
    assert blind["majority"].tolist() == pytest.approx([12 / 26, 0.0])
    table = table_of(counts, ["AU1", "AU2"], [0.6, 0.2])
    assert table["unit"].tolist() == ["AU1", "AU2", "mean"] and table["f1"].iloc[-1] == pytest.approx(4 / 11)
    one, other = 6 / 9, 1.0  # F1 of either person alone
    assert table["low"][0] == pytest.approx(one) and table["high"][0] == pytest.approx(other)


def test_frames_come_in_every_epoch_augmented_anew() -> None:
    sample = Sample("a", Path("a"), Forgery.RARV, "faces", fps=25.0, frames=10)
    clip = replace(SPEC.presets[1].clip, fps=25.0)
    first, again, second = (place([sample], clip, 0, epoch) for epoch in (0, 0, 1))
    assert [r.start for r in first] == pytest.approx([k / 25 for k in range(10)]) and first == again
    assert [r.start for r in second] == [r.start for r in first]
    assert not {r.seed for r in first} & {r.seed for r in second} and len({r.seed for r in first}) == 10


# The network in the engine


def detector_of(*overrides: str, stages: tuple[str, ...] = ("anfl", "mefl")) -> Any:
    asked = config.resolve(SPEC.network, "binary", preset="demo", overrides=overrides)
    asked = replace(asked, stages=tuple(s for s in asked.stages if s.name in stages))
    return build(SPEC.network, replace(asked, settings=replace(asked.settings, units=8, unit_names="x " * 8)), 0)


def faces_batch(detector: Any, clips: int = 3) -> Any:
    batch = random_batch(detector.config.clip, clips)
    values = torch.rand(clips, detector.config.clip.frames, 8, generator=torch.Generator().manual_seed(0)) * 5
    return replace(batch, annotations={**batch.annotations, ANNOTATION: values})


def test_batch_mates_change_nothing_and_seeds_decide_augmentation() -> None:
    detector = detector_of()
    batch = faces_batch(detector)
    with torch.no_grad():
        together = detector.eval()(batch).aux["p"]
        alone = torch.cat([detector(batch.part(i, i + 1)).aux["p"] for i in range(3)])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
        detector.train()
        first, again = detector(batch).aux["p"], detector(batch).aux["p"]
        other = detector(replace(batch, seed=batch.seed + 1)).aux["p"]
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_second_head_is_a_function_of_the_seed_alone() -> None:
    heads = []
    for noise in (0, 5):
        detector = detector_of()
        torch.manual_seed(noise)
        detector.begin_stage(Stage("mefl"))
        heads.append(detector.network.state_dict())
        assert isinstance(detector.network.head, MEFLHead) and torch.initial_seed() == noise
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    assert isinstance(detector_of(stages=("mefl",)).network.head, MEFLHead)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("backbone=resnet34", "did you mean 'resnet"),
        ("metric=l3", "metric=l3: did you mean 'l2'"),
        ("neighbours=9", "a graph of 8 units takes 1 to 8"),
        ("crop=90", "larger than crop_from"),
        ("backbone=swin_tiny", "use --set input_size=224"),
        ("unit_weights=1,2", "give auto, or 8 numbers"),
    ],
)
def test_settings_that_no_network_can_have_are_told(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        detector_of(setting)
