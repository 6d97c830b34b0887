"""Placement: labelled clips show what they are called, sweeps see all of a video, and nothing else decides."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from avbench.data.placement import oracle, sliding
from avbench.data.requests import ClipRequest
from avbench.errors import UserError
from avbench.types import ClipSpec, Forgery, Sample

SPEC = ClipSpec(frames=25, fps=25.0)  # clips of one second


def local(count: int, seed: int = 0) -> list[Sample]:
    """Return a locally forged database: every fourth video real, the others with one to three periods."""
    generator = random.Random(seed)
    samples = []
    for number in range(count):
        frames = generator.randint(15, 300)
        starts = [generator.uniform(0, frames / 25 - 0.3) for _ in range(generator.randint(1, 3))]
        periods = tuple((start, start + 0.3) for start in starts) if number % 4 else ()
        name = f"v{number:05d}.mp4"
        samples.append(Sample(name, Path(name), Forgery(number % 4), fake_periods=periods, fps=25.0, frames=frames))
    return samples


def span(request: ClipRequest, spec: ClipSpec = SPEC) -> tuple[float, float]:
    """Return what the media reader cuts out, in seconds."""
    duration = request.sample.duration
    assert duration is not None
    start = request.where.begin(duration, spec.seconds)
    return start, start + spec.seconds


def by_id(requests: Sequence[ClipRequest]) -> dict[str, ClipRequest]:
    return {request.sample.id: request for request in requests}


def test_oracle_clips_are_the_same_everywhere() -> None:
    placed = by_id(oracle(local(40), SPEC, seed=7, epoch=2))
    assert placed["v00001.mp4"].seed == 1078902376998385386
    assert placed["v00001.mp4"].centre == pytest.approx(9.501250202770374, abs=1e-12)
    assert placed["v00000.mp4"].fraction == pytest.approx(0.2971239218951017, abs=1e-12)


def test_a_labelled_fake_shows_one_of_its_periods() -> None:
    seen: Counter[int] = Counter()
    fakes = [sample for sample in local(4000) if sample.fake_periods]
    for request in oracle(fakes, SPEC, seed=1):
        assert request.forgery is request.sample.forgery and request.placement == "oracle"
        assert request.centre is not None and request.start is request.fraction is None
        periods = request.sample.fake_periods
        inside = [number for number, (first, last) in enumerate(periods) if first <= request.centre <= last]
        assert inside
        start, end = span(request)
        assert start <= request.centre <= end
        if len(periods) == 3 and len(inside) == 1:
            seen[inside[0]] += 1
    assert min(seen.values()) > 0.28 * sum(seen.values())  # each period is drawn about as often


def test_labelled_centres_are_uniform_inside_a_period() -> None:
    fakes = [
        Sample(str(n), Path("v"), Forgery.FAFV, fake_periods=((2.0, 3.0),), fps=25.0, frames=250) for n in range(4000)
    ]
    centres = [request.centre or 0.0 for request in oracle(fakes, SPEC, seed=3)]
    shares = Counter(int((centre - 2) * 10) for centre in centres)
    assert set(shares) == set(range(10)) and all(330 < count < 470 for count in shares.values())


def test_where_a_oracle_clip_starts_does_not_tell_real_from_fake() -> None:
    requests = oracle(local(12_000), SPEC, seed=1)
    starts: dict[bool, list[float]] = {True: [], False: []}
    for request in requests:
        room = (request.sample.duration or 0.0) - SPEC.seconds
        if room > 0:
            starts[request.forgery is Forgery.RARV].append(span(request)[0] / room)
    real, fake = sorted(starts[True]), sorted(starts[False])
    # Fakes are often clamped to an end, so their starts are far from uniform: the reals must do the same.
    assert sum(s == 0 for s in fake) / len(fake) > 0.05
    for quantile in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98):
        assert real[int(quantile * len(real))] == pytest.approx(fake[int(quantile * len(fake))], abs=0.03)


def test_wholly_forged_videos_in_a_mixture_start_where_the_others_do() -> None:
    whole = [Sample(f"w{n}", Path("v"), Forgery.FAFV) for n in range(500)]
    local_ones = local(400)
    starts = {r.fraction for r in oracle(local_ones, SPEC, seed=1) if r.fraction is not None}
    placed = [r.fraction for r in oracle([*whole, *local_ones], SPEC, seed=1)[:500]]
    assert len(starts & set(placed)) > 50  # no uniform draw would meet one of them


def test_reals_without_local_forgeries_and_whole_fakes_start_anywhere() -> None:
    samples = [Sample(str(n), Path("v"), Forgery(n % 4)) for n in range(4000)]
    fractions = [request.fraction for request in oracle(samples, SPEC, seed=1)]
    assert all(f is not None for f in fractions)
    shares = Counter(int((f or 0.0) * 10) for f in fractions)
    assert set(shares) == set(range(10)) and all(330 < count < 470 for count in shares.values())


def test_a_oracle_clip_depends_on_seed_epoch_and_id_alone() -> None:
    samples = local(400)
    placed = oracle(samples, SPEC, seed=1, epoch=3)
    assert placed == oracle(samples, SPEC, seed=1, epoch=3)
    shuffled = random.Random(2).sample(samples, len(samples))
    assert by_id(oracle(shuffled, SPEC, seed=1, epoch=3)) == by_id(placed)
    fewer = [s for s in samples if s.fake_periods][::3]
    assert all(by_id(placed)[i] == request for i, request in by_id(oracle(fewer, SPEC, seed=1, epoch=3)).items())
    # Reals depend on the fakes of the list, not on the other reals.
    without = [s for s in samples if s.fake_periods or s.id == "v00000.mp4"]
    assert by_id(oracle(without, SPEC, seed=1, epoch=3))["v00000.mp4"] == by_id(placed)["v00000.mp4"]
    for other in (oracle(samples, SPEC, seed=2, epoch=3), oracle(samples, SPEC, seed=1, epoch=4)):
        assert not {r.seed for r in other} & {r.seed for r in placed}
        assert sum(span(a) == span(b) for a, b in zip(placed, other, strict=True)) < 0.3 * len(samples)
    assert len({r.seed for r in placed}) == len(samples)


def test_whole_videos_start_at_the_beginning_and_keep_their_label() -> None:
    whole = replace(SPEC, frames=500, whole=True)
    samples = local(12)
    for requests in (oracle(samples, whole, seed=1), sliding(samples, whole, None, seed=1)):
        assert [(r.start, r.fraction, r.centre) for r in requests] == [(0.0, None, None)] * 12
        assert [r.forgery for r in requests] == [s.forgery for s in samples]


@pytest.mark.parametrize(
    ("frames", "hop", "starts"),
    [
        (10, None, [0.0]),
        (25, None, [0.0]),
        (26, None, [0.0, 0.04]),
        (75, None, [0.0, 1.0, 2.0]),
        (181, None, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.24]),
        (60, 10, [0.0, 0.4, 0.8, 1.2, 1.4]),
        (28, 1, [0.0, 0.04, 0.08, 0.12]),
    ],
)
def test_a_sweep_strides_and_ends_flush(frames: int, hop: int | None, starts: list[float]) -> None:
    sample = Sample("v", Path("v"), Forgery.RARV, fps=25.0, frames=frames)
    requests = sliding([sample], replace(SPEC, hop=hop), None, seed=1)
    assert [r.start for r in requests] == pytest.approx(starts, abs=1e-9)
    assert len({r.seed for r in requests}) == len(starts)


def test_a_sweep_sees_every_frame_of_every_video() -> None:
    for spec in (SPEC, replace(SPEC, hop=7), ClipSpec(frames=0, audio_samples=64_600)):
        clips: dict[str, list[float]] = {}
        samples = local(200)
        for request in sliding(samples, spec, None, seed=1):
            clips.setdefault(request.sample.id, []).append(request.start or 0.0)
        for sample in samples:
            duration, starts = sample.duration or 0.0, clips[sample.id]
            assert starts[0] == 0 and all(a < b <= a + spec.hop_seconds + 1e-6 for a, b in pairwise(starts))
            assert starts[-1] + spec.seconds == pytest.approx(max(duration, spec.seconds), abs=1e-6)


def test_sweeping_does_not_look_at_the_fake_periods() -> None:
    samples = local(60)
    blind = [replace(s, fake_periods=(), forgery=Forgery.RARV) for s in samples]
    places = [[(r.sample.id, r.start, r.seed) for r in sliding(s, SPEC, None, seed=1)] for s in (samples, blind)]
    assert places[0] == places[1]


@pytest.mark.parametrize(
    ("period", "labels"),
    [
        ((0.5, 0.7), "FRR"),
        ((0.91, 1.09), "RRR"),  # 0.09 s in each
        ((0.9, 1.2), "FFR"),  # exactly 0.1 s in the first
        ((0.95, 2.05), "RFR"),
        ((2.9, 3.0), "RRF"),
        ((1.2, 1.25), "RRR"),  # shorter than 0.1 s: no clip shows it
    ],
)
def test_a_sliding_clip_is_fake_where_it_overlaps_a_period_by_a_tenth_of_a_second(
    period: tuple[float, float], labels: str
) -> None:
    sample = Sample("v", Path("v"), Forgery.FARV, fake_periods=(period,), fps=25.0, frames=75)
    found = [request.forgery for request in sliding([sample], SPEC, None, seed=1)]
    assert found == [Forgery.FARV if label == "F" else Forgery.RARV for label in labels]


def test_a_wholly_forged_video_is_fake_in_every_clip_and_lengths_may_be_measured() -> None:
    sample = Sample("v", Path("v"), Forgery.FAFV)
    requests = sliding([sample], SPEC, {"v": 2.5}, seed=1)
    assert [(r.start, r.forgery) for r in requests] == [(start, Forgery.FAFV) for start in (0.0, 1.0, 1.5)]
    assert [r.start for r in sliding([sample], SPEC, {"other": 9.0}, seed=1)] == [0.0]  # reading it gives the reason
    with pytest.raises(UserError, match="length is unknown"):
        sliding([sample], SPEC, None, seed=1)
    known = replace(sample, fps=25.0, frames=50)
    assert [r.start for r in sliding([known], SPEC, {"other": 9.0}, seed=1)] == [0.0, 1.0]
    assert [r.start for r in sliding([known], SPEC, {"v": 2.5}, seed=1)] == [0.0, 1.0, 1.5]  # what was measured counts
