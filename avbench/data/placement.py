"""Where a clip is cut from a video: one labelled clip a video, or a sweep over all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avbench.data.requests import ClipRequest
from avbench.errors import UserError
from avbench.hashing import stable_hash
from avbench.types import ClipSpec, Forgery, Sample

OVERLAP_SECONDS = 0.1
_TINY = 1e-6


def oracle(samples: Sequence[Sample], spec: ClipSpec, seed: int, epoch: int = 0) -> list[ClipRequest]:
    """Place one clip in each video, where its label is true.

    In a fake with known periods the clip's centre is uniform inside a drawn one. Elsewhere the start is a
    fraction of the room that the video leaves: drawn from where the clips of those fakes start, so that position
    tells nothing, or uniform if there are none. A sample's clip depends on (seed, epoch, id) and on these fakes
    alone: pass the whole list, not a shard of it.
    """
    starts = _start_fractions(samples, spec, seed, epoch)

    def place(sample: Sample) -> ClipRequest:
        start = fraction = centre = None
        if spec.whole:
            start = 0.0
        elif _forged_locally(sample):
            centre = _centre(sample, seed, epoch)
        elif starts:
            fraction = starts[stable_hash(seed, epoch, sample.id, "like a fake") % len(starts)]
        else:
            fraction = _uniform(seed, epoch, sample.id, "fraction")
        return ClipRequest(
            sample, sample.forgery, "oracle", start, fraction, centre, seed=stable_hash(seed, epoch, sample.id)
        )

    return [place(sample) for sample in samples]


def sliding(
    samples: Sequence[Sample],
    spec: ClipSpec,
    durations: Mapping[str, float] | None = None,
    seed: int = 0,
) -> list[ClipRequest]:
    """Place clips over each whole video, a hop apart, the last one flush with the end, whatever its label.

    Lengths in seconds come from the metadata, else from `durations` by sample id. An id without either gets
    one clip at its start, so that reading it gives the reason; UserError where nothing was measured at all.
    """
    return [
        ClipRequest(
            sample,
            _label(sample, start, start + spec.seconds, spec.whole),
            "sliding",
            start,
            seed=stable_hash(seed, 0, sample.id, number),
        )
        for sample in samples
        for number, start in enumerate(_starts(_seconds(sample, durations), spec))
    ]


def _seconds(sample: Sample, durations: Mapping[str, float] | None) -> float:
    if sample.duration is not None:
        return sample.duration
    if durations is None:
        raise UserError(f"{sample.id}: its length is unknown, so it cannot be swept; measure the files first")
    return durations.get(sample.id, 0.0)


def _starts(duration: float, spec: ClipSpec) -> list[float]:
    """Return the starts, in seconds, of the clips of a video."""
    room = duration - spec.seconds
    if spec.whole or room <= _TINY:
        return [0.0]
    hop = spec.hop_seconds
    starts = [number * hop for number in range(int(room / hop + _TINY) + 1)]
    return starts if room - starts[-1] <= _TINY else [*starts, room]


def _label(sample: Sample, start: float, end: float, whole: bool) -> Forgery:
    """Return the class of a clip: the video's own, or real where it hardly touches a forged period."""
    if whole or not _forged_locally(sample):
        return sample.forgery
    longest = max(min(end, last) - max(start, first) for first, last in sample.fake_periods)
    return sample.forgery if longest >= OVERLAP_SECONDS - _TINY else Forgery.RARV


def _forged_locally(sample: Sample) -> bool:
    return sample.forgery is not Forgery.RARV and bool(sample.fake_periods)


def _centre(sample: Sample, seed: int, epoch: int) -> float:
    """Return a time, in seconds, uniform inside one of the forged periods."""
    first, last = sample.fake_periods[stable_hash(seed, epoch, sample.id, "period") % len(sample.fake_periods)]
    return first + (last - first) * _uniform(seed, epoch, sample.id, "centre")


def _start_fractions(samples: Sequence[Sample], spec: ClipSpec, seed: int, epoch: int) -> list[float]:
    """Return where the clips of locally forged videos start, sorted: 0 at once, 1 flush with the end."""
    fractions = []
    for sample in samples:
        room = (sample.duration or 0.0) - spec.seconds
        if room > _TINY and _forged_locally(sample):
            start = _centre(sample, seed, epoch) - spec.seconds / 2
            fractions.append(min(max(start, 0.0), room) / room)
    return sorted(fractions)


def _uniform(*key: object) -> float:
    return stable_hash(*key) / 2**63
