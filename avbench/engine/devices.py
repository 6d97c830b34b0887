"""Where a run computes: Lightning Fabric for one CPU, several GPUs, or torchrun and SLURM nodes."""

from __future__ import annotations

import os
import platform
import re

import torch
from lightning_fabric import Fabric

from avbench.engine.ranks import leads
from avbench.errors import UserError

_WORDS = "use auto, cpu, cuda, cuda:0 or cuda:0,1"


def device_named(device: str) -> tuple[str, list[int]]:
    """Return cpu or cuda and the numbers of the GPUs that are named; UserError for a device that is not here."""
    kind, colon, numbers = device.partition(":")
    if kind not in {"auto", "cpu", "cuda"} or (colon and kind != "cuda"):
        raise UserError(f"--device {device:.80}: {_WORDS}")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {device:.80}: torch sees no GPU here; use --device cpu")
    named = numbers.split(",") if colon else []
    if not all(re.fullmatch("[0-9]{1,4}", number) for number in named) or len(set(map(int, named))) < len(named):
        raise UserError(f"--device {device:.80}: the part after the colon must be GPU numbers such as 0,1")
    there = torch.cuda.device_count() if named else 0
    if absent := [number for number in named if int(number) >= there]:
        raise UserError(f"--device {device:.80}: there is no GPU {absent[0]}; torch sees {there}, counted from 0")
    return kind, [int(number) for number in named]


def make_fabric(device: str, precision: str = "32-true") -> Fabric:
    """Return a launched Fabric for `auto`, `cpu`, `cuda`, `cuda:1` or `cuda:0,1`; a CPU computes in float32."""
    kind, named = device_named(device)
    devices: int | list[int] = named or int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    nodes = int(os.environ.get("GROUP_WORLD_SIZE") or os.environ.get("SLURM_NNODES") or 1)
    many = nodes > 1 or (devices if isinstance(devices, int) else len(devices)) > 1
    fabric = Fabric(
        accelerator=kind,
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if many else "auto",
        precision=precision if kind == "cuda" else "32-true",
    )
    fabric.launch()
    if fabric.world_size == 1 and not leads():
        raise UserError(
            "this is one of several processes, yet none knows of the others: start them with torchrun, or one process "
            "with --device cuda:0,1"
        )
    return fabric


def describe(fabric: Fabric) -> str:
    """Return the device in words, for the card."""
    if fabric.device.type == "cuda":
        return f"{fabric.world_size} x {torch.cuda.get_device_name(fabric.device)}"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' * (threads > 1)} ({platform.machine()})"
