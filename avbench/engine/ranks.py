"""Which of several processes that share a run writes and speaks: torchrun, Fabric and SLURM name it by variables."""

from __future__ import annotations

import os


def leads() -> bool:
    """Whether this process is the first of those that share a run, or the only one."""
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):  # the order in which Fabric asks
        if name in os.environ:
            return int(os.environ[name]) == 0
    return True
