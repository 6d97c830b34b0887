"""Which of several processes that share a run writes and speaks: torchrun, Fabric and SLURM name it by variables."""

from __future__ import annotations

import os


def is_alone() -> bool:
    """Whether no other process shares the run of this one."""
    worlds = (os.environ.get(name) or "1" for name in ("WORLD_SIZE", "SLURM_NTASKS"))
    return all(world == "1" for world in worlds)


def leads() -> bool:
    """Whether this process is the first of those that share a run, or the only one."""
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):  # the order in which Fabric asks
        if name in os.environ:
            return int(os.environ[name]) == 0
    return True
