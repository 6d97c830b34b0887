"""How the clips of an epoch become batches, optimiser steps, and micro-batches of each of several processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

from lightning_fabric import Fabric

from avbench.engine.evaluation import batches_of
from avbench.errors import UserError
from avbench.types import Stage

Item = TypeVar("Item")
MICRO_BATCH_ON_CPU = 4


@dataclass(frozen=True, slots=True)
class Share:
    """What one process computes of an optimiser step: so many clips in so many micro-batches.

    `ends` are the numbers of the micro-batches, from 0 on, with which one of the accumulated batches ends.
    """

    clips: int
    micro_batches: int
    ends: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps of one stage: its epochs of `clips` clips, cut into `batches` batches, shared by `world` processes."""

    stage: Stage
    clips: int
    batches: int
    micro_batch: int
    rank: int
    world: int

    @classmethod
    def of(cls, stage: Stage, clips: int, fabric: Fabric, *, learns: bool) -> Steps:
        """Return the steps of a stage; one that learns leaves an incomplete last batch out, unless it is to be kept.

        A pass that only counts sees every clip. A last batch with fewer clips than there are processes is left out in
        any case. Raises UserError where a whole batch has fewer.
        """
        world = fabric.world_size
        if min(stage.batch, clips) < world:
            raise UserError(
                f"stage {stage.name}: batches of {min(stage.batch, clips)} clips cannot be shared by "
                f"{world} processes; use fewer, or --set batch={world}"
            )
        whole, rest = divmod(clips, stage.batch)
        keeps_rest = not learns or (not stage.drop_last and rest >= world)
        micro_batch = MICRO_BATCH_ON_CPU if fabric.device.type == "cpu" else stage.batch
        return cls(
            stage=stage,
            clips=clips,
            batches=-(-clips // stage.batch) if keeps_rest else whole or 1,
            micro_batch=micro_batch if stage.micro_batch is None else stage.micro_batch,
            rank=fabric.global_rank,
            world=world,
        )

    @property
    def per_epoch(self) -> int:
        """Optimiser steps of an epoch."""
        return -(-self.batches // self.stage.accumulate)

    @property
    def clips_per_step(self) -> int:
        """Clips of an optimiser step, of all processes; the last of an epoch may have fewer."""
        return min(self.stage.accumulate * self.stage.batch, self.clips)

    @property
    def total_clips(self) -> int:
        """Clips of all epochs."""
        return self.stage.epochs * min(self.batches * self.stage.batch, self.clips)

    def clips_before(self, epoch: int, step: int) -> int:
        """Return how many clips come before a step."""
        return min((epoch * self.batches + step * self.stage.accumulate) * self.stage.batch, self.total_clips)

    def share(self, step: int) -> Share:
        """Return what this process computes of a step."""
        first = step * self.stage.accumulate
        batches = range(first, min(first + self.stage.accumulate, self.batches))
        sizes = [min(self.stage.batch, self.clips - self.stage.batch * number) for number in batches]
        own = [len(range(self.rank, size, self.world)) for size in sizes]
        counts = [-(-clips // self.micro_batch) for clips in own]
        return Share(sum(own), sum(counts), frozenset(number - 1 for number in accumulate(counts)))

    def micro_batches(self, clips: Sequence[Item], step: int = 0) -> Iterator[Sequence[Item]]:
        """Yield this process' micro-batches of an epoch's clips, from a step on."""
        for batch in batches_of(clips, self.stage.batch)[step * self.stage.accumulate : self.batches]:
            yield from batches_of(batch[self.rank :: self.world], self.micro_batch)
