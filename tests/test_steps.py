"""Clips of an epoch cut into batches, steps and micro-batches: all once, shared by processes, resumed at any step."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from avbench.engine.steps import Steps
from avbench.errors import UserError
from avbench.types import Stage


def steps_of(stage: Stage, clips: int, *, learns: bool = True, rank: int = 0, world: int = 1) -> Steps:
    fabric: Any = SimpleNamespace(global_rank=rank, world_size=world, device=torch.device("cpu"))
    return Steps.of(stage, clips, fabric, learns=learns)


STAGE = Stage(epochs=3, batch=5, accumulate=2, micro_batch=2)


def test_a_stage_that_learns_leaves_an_incomplete_batch_out_and_one_that_counts_does_not() -> None:
    learning, counting = steps_of(STAGE, 18), steps_of(STAGE, 18, learns=False)
    assert (learning.batches, learning.per_epoch, learning.total_clips) == (3, 2, 45)
    assert (counting.batches, counting.per_epoch, counting.total_clips) == (4, 2, 54)
    assert sorted(c for batch in counting.micro_batches(range(18)) for c in batch) == list(range(18))
    assert sorted(c for batch in learning.micro_batches(range(18)) for c in batch) == list(range(15))
    assert steps_of(STAGE, 3).batches == 1, "fewer clips than a batch make one"
    keeping = replace(STAGE, drop_last=False)
    assert [steps_of(keeping, clips).batches for clips in (18, 15, 16, 3)] == [4, 3, 4, 1]
    assert sorted(c for batch in steps_of(keeping, 18).micro_batches(range(18)) for c in batch) == list(range(18))
    assert [steps_of(keeping, clips, world=3).batches for clips in (17, 18)] == [3, 4], "each process needs a clip"


def test_a_share_says_with_which_micro_batches_a_batch_ends() -> None:
    steps = steps_of(replace(STAGE, drop_last=False), 18)  # batches of 5, 5 | 5, 3 clips, two at a time
    assert [sorted(steps.share(step).ends) for step in range(2)] == [[2, 5], [2, 4]]


@pytest.mark.parametrize(("clips", "learns", "world"), [(18, True, 1), (18, False, 1), (23, True, 2), (19, False, 3)])
def test_shares_say_which_micro_batches_belong_to_a_step(clips: int, learns: bool, world: int) -> None:
    seen: list[int] = []
    for rank in range(world):
        steps = steps_of(STAGE, clips, learns=learns, rank=rank, world=world)
        stream = steps.micro_batches(range(clips))
        for step in range(steps.per_epoch):
            share = steps.share(step)
            own = list(islice(stream, share.micro_batches))
            assert sum(map(len, own)) == share.clips and all(len(batch) <= 2 for batch in own)
            assert own == list(islice(steps.micro_batches(range(clips), step), share.micro_batches)), (
                "as after a resume"
            )
            seen += [clip for batch in own for clip in batch]
        assert not list(stream)
    assert len(seen) == len(set(seen)) == (clips // 5 * 5 if learns else clips)


def test_progress_counts_clips_and_a_batch_too_small_for_its_processes_is_refused() -> None:
    steps = steps_of(STAGE, 18)
    assert [steps.clips_before(0, 0), steps.clips_before(0, 1), steps.clips_before(1, 0)] == [0, 10, 15]
    assert steps.clips_before(3, 0) == steps.total_clips == 45 and steps.clips_per_step == 10
    with pytest.raises(UserError, match=r"batches of 5 clips cannot be shared by 6 processes.*--set batch=6"):
        steps_of(STAGE, 18, world=6)
