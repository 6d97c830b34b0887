"""What holds for any video and any clip: clips lie within it, show what they are called, and leave no moment out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from avbench.data.placement import OVERLAP_SECONDS, oracle, sliding
from avbench.data.requests import ClipRequest
from avbench.types import ClipSpec, Forgery, Sample

CLOSE = 1e-6


@st.composite
def specs(draw: st.DrawFn) -> ClipSpec:
    """Return clips of 0.2 to 4 s, of pictures and sound or of sound alone, end to end or with a hop."""
    fps = draw(st.sampled_from([24.0, 25.0, 29.97, 30.0]))
    if draw(st.booleans()):
        return ClipSpec(frames=0, fps=fps, audio_samples=draw(st.integers(3200, 64_600)))
    return ClipSpec(frames=draw(st.integers(5, 100)), fps=fps, hop=draw(st.none() | st.integers(3, 60)))


@st.composite
def videos(draw: st.DrawFn) -> list[Sample]:
    """Return a few videos of up to 10 s, forged wholly, in up to three periods, or not at all."""
    samples = []
    for number in range(draw(st.integers(1, 6))):
        fps = draw(st.sampled_from([24.0, 25.0, 29.97, 30.0]))
        frames = draw(st.integers(1, 300))
        forgery = draw(st.sampled_from(Forgery))
        bounds = st.floats(0, frames / fps, allow_nan=False)
        periods = draw(st.lists(st.tuples(bounds, bounds).map(lambda p: (min(p), max(p))), max_size=3))
        name = f"v{number}.mp4"
        given_ = tuple(periods) if forgery else ()
        samples.append(Sample(name, Path(name), forgery, fake_periods=given_, fps=fps, frames=frames))
    return samples


def span(request: ClipRequest, spec: ClipSpec) -> tuple[float, float]:
    """Return what the media reader cuts out, in seconds."""
    begin = request.where.begin(request.sample.duration or 0.0, spec.seconds)
    return begin, begin + spec.seconds


def lies_within(request: ClipRequest, spec: ClipSpec) -> bool:
    begin, end = span(request, spec)
    return begin >= 0 and (end <= (request.sample.duration or 0.0) + CLOSE or begin <= CLOSE)


@settings(max_examples=60)
@given(samples=videos(), spec=specs(), seed=st.integers(0, 99), epoch=st.integers(0, 9))
def test_an_oracle_clip_lies_within_its_video_and_shows_the_forgery(samples, spec, seed, epoch) -> None:
    requests = oracle(samples, spec, seed, epoch)
    assert [request.sample for request in requests] == samples
    for request in requests:
        begin, end = span(request, spec)
        assert lies_within(request, spec) and request.forgery is request.sample.forgery
        if request.sample.fake_periods:
            assert any(first <= end + CLOSE and last >= begin - CLOSE for first, last in request.sample.fake_periods)
            assert request.centre is not None
            inside = [first <= request.centre <= last for first, last in request.sample.fake_periods]
            assert any(inside), "its centre, before it is moved into the video, is inside a period"
    assert requests == oracle(samples, spec, seed, epoch)


@settings(max_examples=30)
@given(samples=videos(), spec=specs(), seed=st.integers(0, 99), order=st.randoms(use_true_random=False))
def test_an_oracle_clip_does_not_depend_on_the_order(samples, spec, seed, order) -> None:
    shuffled = list(samples)
    order.shuffle(shuffled)
    placed = {request.sample.id: request for request in oracle(samples, spec, seed)}
    assert {request.sample.id: request for request in oracle(shuffled, spec, seed)} == placed


@settings(max_examples=60)
@given(samples=videos(), spec=specs())
def test_sliding_clips_cover_each_video_in_steps(samples, spec) -> None:
    requests = sliding(samples, spec)
    assert len({request.seed for request in requests}) == len(requests)
    for sample in samples:
        own = [request for request in requests if request.sample is sample]
        starts = [span(request, spec)[0] for request in own]
        assert starts[0] == 0 and all(lies_within(request, spec) for request in own)
        assert all(0 < b - a <= spec.hop_seconds + CLOSE for a, b in pairwise(starts))
        if spec.hop_seconds <= spec.seconds:
            assert all(b <= a + spec.seconds + CLOSE for a, b in pairwise(starts)), "no moment between two clips"
        assert starts[-1] + spec.seconds >= (sample.duration or 0.0) - CLOSE
        for request in own:
            begin, end = span(request, spec)
            shown = max((min(end, b) - max(begin, a) for a, b in sample.fake_periods), default=0.0)
            if not sample.fake_periods:
                assert request.forgery is sample.forgery
            elif abs(shown - OVERLAP_SECONDS) > CLOSE:
                assert request.forgery is (sample.forgery if shown > OVERLAP_SECONDS else Forgery.RARV)
