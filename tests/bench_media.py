"""How long it takes to read a clip and to build a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avbench.data.loading import load_batches
from avbench.data.requests import ClipRequest
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


def test_build_a_batch_of_16(benchmark: Any, real_root: Path) -> None:
    requests = [ClipRequest(Sample(p.name, p, Forgery.RARV), Forgery.RARV, fraction=0.5) for p in _paths(real_root)]
    loaded = benchmark.pedantic(lambda: next(load_batches([requests], ClipSpec(), REQUIRES, workers=0)), rounds=3)
    assert len(loaded.batch) == 16
