"""The benchmark for audio-visual deepfake detection: any detector, any dataset, one honest protocol."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("avbench")
except PackageNotFoundError:  # a bare checkout on the path
    __version__ = "0+unknown"
