"""Where a number was computed: versions, commit, processor, GPU, and how the libraries there were told to compute."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy
import torch
from threadpoolctl import threadpool_info

from avbench import __version__
from avbench.records.card_parts import Environment, Git, Gpu, Processor

_PACKAGES = ("torch", "torchaudio", "lightning-fabric", "numpy", "pandas", "scikit-learn", "mlflow")
_DECODERS = ("av", "decord2", "torchcodec")
# Each chooses among kernels that sum in another order.
_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
)


def environment(device: torch.device | None = None, nondeterministic: Iterable[str] = ()) -> Environment:
    """Return this process' environment as it computes now; without a device, torch computes nothing.

    `nondeterministic` names the operations that had no deterministic kernel on a GPU.
    """
    return Environment(
        packages=_packages(),
        machine=platform.platform(),
        command=tuple(sys.argv[1:]),
        git=_git(),
        threads=torch.get_num_threads() if device is not None else None,
        processor=_processor(),
        gpu=_gpu(device, nondeterministic) if device is not None and device.type == "cuda" else None,
        variables={name: os.environ[name] for name in _VARIABLES if name in os.environ},
    )


@cache
def _packages() -> dict[str, str]:
    versions = {"avbench": __version__, "python": platform.python_version()}
    for package in (*_PACKAGES, *_DECODERS):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "none"
    return versions


@cache  # of the code as it was loaded
def _git() -> Git:
    """Return commit and dirty flag of the checkout that holds avbench; empty outside one."""
    folder = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10)
        status = subprocess.run(
            ["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return Git()
    return Git() if commit.returncode else Git(commit.stdout.strip(), bool(status.stdout.strip()))


@cache
def _processor() -> Processor:
    build = torch.__config__.show()
    mkl = re.search(r"Math Kernel Library Version ([\d.]+)", build)
    named = re.search(r"BLAS_INFO=(\w+)", build)
    onednn = re.search(r"(?:MKL-DNN|oneDNN) v([\d.]+)", build)
    of_torch = f"MKL {mkl[1]}" if mkl else named[1] if named else "unknown"
    return Processor(
        model=_model(),
        capability=torch.backends.cpu.get_cpu_capability(),
        blas={"torch": of_torch, "numpy": _blas_of_numpy()},
        onednn=onednn[1] if onednn else "none",
    )


def _blas_of_numpy() -> str:
    """Return NumPy's BLAS; where it is loaded, with the processor that it took this one for."""
    for found in threadpool_info():  # of all libraries that happen to be loaded
        if found["user_api"] == "blas" and "numpy" in Path(found["filepath"]).parent.name:
            told = (found["internal_api"], found.get("version"), found.get("architecture"))
            return " ".join(str(part) for part in told if part)
    built: dict[str, dict[str, dict[str, str]]] = numpy.show_config(mode="dicts")  # type: ignore[assignment]
    blas = built["Build Dependencies"]["blas"]
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def _model() -> str:
    """Return the processor's model as the system names it."""
    try:
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
        listed = Path("/proc/cpuinfo").read_text("utf-8")
    except (OSError, subprocess.TimeoutExpired):
        return platform.processor() or platform.machine()
    named = re.search(r"^model name\s*:\s*(.+)$", listed, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()


def _gpu(device: torch.device, nondeterministic: Iterable[str]) -> Gpu:
    cudnn: Any = torch.backends.cudnn
    return Gpu(
        name=torch.cuda.get_device_name(device),
        capability=".".join(map(str, torch.cuda.get_device_capability(device))),
        cuda=torch.version.cuda or "",
        cudnn=str(cudnn.version() or ""),
        tf32_matmul=torch.backends.cuda.matmul.allow_tf32,
        tf32_cudnn=cudnn.allow_tf32,
        deterministic=torch.are_deterministic_algorithms_enabled(),
        cudnn_deterministic=cudnn.deterministic,
        cudnn_benchmark=cudnn.benchmark,
        nondeterministic=tuple(sorted(nondeterministic)),
    )
