"""How long it takes to read a clip, by each decoder, and to build a batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avbench.data.loading import load_batches
from avbench.data.requests import ClipRequest
from avbench.errors import UserError
from avbench.media.decoders import require_decoder
from avbench.media.placing import Place
from avbench.media.reading import probe
from avbench.perturbations.open_clip import OpenClip
from avbench.types import ClipSpec, Forgery, Sample

REQUIRES = frozenset({"video", "audio"})


def _paths(real_root: Path) -> list[Path]:
    return sorted((real_root / "LAV-DF" / "train").glob("*.mp4"))[:16]


def test_probe(benchmark: Any, real_root: Path) -> None:
    path = _paths(real_root)[0]
    assert benchmark(probe, path).has_audio


def test_read_a_clip(benchmark: Any, real_root: Path) -> None:
    path = _paths(real_root)[0]
    clip = benchmark(lambda: OpenClip(path, ClipSpec(), Place.fraction(0.5)).clean())
    assert clip.valid_frames == 25


@pytest.mark.parametrize("decoder", ["decord", "torchcodec"])
def test_pictures_by_another_decoder(benchmark: Any, real_root: Path, decoder: str) -> None:
    """Note the CPU time of a clip of 25 frames, without its sound, over that of PyAV; measured in turns."""
    try:
        require_decoder(decoder)
    except UserError as error:
        pytest.skip(str(error))
    path, spec = _paths(real_root)[0], ClipSpec(audio_samples=0)

    def seconds(read: Callable[[], Any]) -> float:
        started = time.process_time()
        read()
        return time.process_time() - started

    def by(name: str) -> Callable[[], Any]:
        return lambda: OpenClip(path, spec, Place.fraction(0.5), decoder=name).clean()

    pairs = np.array([[seconds(by(decoder)), seconds(by("pyav"))] for _ in range(21)])
    other, pyav = np.median(pairs[1:], axis=0)
    benchmark.extra_info |= {"cpu_ms": 1e3 * other, "cpu_ms_pyav": 1e3 * pyav, "ratio": other / pyav}
    print(f"{decoder}: {1e3 * other:.1f} ms of CPU a clip, PyAV {1e3 * pyav:.1f} ms, ratio {other / pyav:.2f}")
    assert benchmark(by(decoder)).valid_frames == 25
    assert other < 10 * pyav


def test_build_a_batch_of_16(benchmark: Any, real_root: Path) -> None:
    requests = [ClipRequest(Sample(p.name, p, Forgery.RARV), Forgery.RARV, fraction=0.5) for p in _paths(real_root)]
    loaded = benchmark.pedantic(lambda: next(load_batches([requests], ClipSpec(), REQUIRES, workers=0)), rounds=3)
    assert len(loaded.batch) == 16
