"""Where a clip is cut from a video: one labelled clip a video, or a sweep over all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from avbench.data.requests import ClipRequest
from avbench.errors import UserError
from avbench.hashing import stable_hash
from avbench.types import Clip, ClipSpec, Forgery, MediaError, Reason, Sample

OVERLAP_SECONDS = 0.1
MOST_CLIPS = 20_000  # of one video: five and a half hours of clips of a second
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

    Lengths in seconds come from `durations` by sample id, else from the metadata. An id without either gets
    one clip at its start, so that reading it gives the reason; UserError where nothing was measured at all. A video has
    at most `MOST_CLIPS`; `too_long` names those that would have more.
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
    measured = (durations or {}).get(sample.id, sample.duration)
    if measured is None and durations is None:
        raise UserError(f"{sample.id}: its length is unknown, so it cannot be swept; measure the files first")
    return measured or 0.0


def too_long(samples: Sequence[Sample], spec: ClipSpec, durations: Mapping[str, float]) -> list[str]:
    """Return the ids of the samples that are swept in part alone, because they have more than `MOST_CLIPS` clips."""
    most = spec.seconds + (MOST_CLIPS - 1) * spec.hop_seconds
    return [sample.id for sample in samples if not spec.whole and _seconds(sample, durations) - most > _TINY]


def _starts(duration: float, spec: ClipSpec) -> list[float]:
    """Return the starts, in seconds, of the clips of a video."""
    room = duration - spec.seconds
    if spec.whole or room <= _TINY:
        return [0.0]
    hop = spec.hop_seconds
    count = int(min(room / hop + _TINY, MOST_CLIPS - 1)) + 1
    starts = [number * hop for number in range(count)]
    return starts if count == MOST_CLIPS or room - starts[-1] <= _TINY else [*starts, room]


def _label(sample: Sample, start: float, end: float, whole: bool) -> Forgery:
    """Return the class of a clip: the video's own, or real where it hardly touches a forged period."""
    if whole or not _forged_locally(sample):
        return sample.forgery
    longest = max(min(end, last) - max(start, first) for first, last in sample.fake_periods)
    return sample.forgery if longest >= OVERLAP_SECONDS - _TINY else Forgery.RARV


def require_forged(request: ClipRequest, clip: Clip, spec: ClipSpec) -> None:
    """Raise MediaError `period_missed` where a clip that is called fake holds nothing of any forged period.

    So it is where a file is shorter than its metadata say, or breaks off. Of a video that ends before anything is
    forged no clip is scored: together they would count as a fake.
    """
    sample, periods = request.sample, request.sample.fake_periods
    if not _forged_locally(sample):
        return
    begin = clip.start - sample.skip
    if clip.info is not None and all(first >= clip.info.duration - sample.skip for first, _ in periods):
        raise _missed(sample, 0.0, clip.info.duration - sample.skip)
    if request.forgery is Forgery.RARV:
        return
    end = begin + min(clip.end - clip.start, _reach(request.forgery, clip, spec))
    held = max(min(end, last) - max(begin, first) for first, last in periods)
    longest = max(last - first for first, last in periods)
    if held < min(OVERLAP_SECONDS, (clip.end - clip.start) / 2, longest) - _TINY:
        raise _missed(sample, begin, end)


def _missed(sample: Sample, begin: float, end: float) -> MediaError:
    spans = ", ".join(f"{first:.2f} to {last:.2f}" for first, last in sample.fake_periods[:3])
    return MediaError(
        Reason.PERIOD_MISSED,
        f"{sample.path}: nothing forged can be shown between {begin:.2f} and {end:.2f} s, its forged periods are "
        f"{spans} s; the file and its metadata disagree",
    )


def _reach(forgery: Forgery, clip: Clip, spec: ClipSpec) -> float:
    """Return the seconds of a clip that are not padding, in the streams that may be forged, within a frame."""
    seen, heard = clip.valid_frames / spec.fps, clip.valid_samples / spec.sample_rate
    lengths = [length for length, fake in ((seen, forgery.video_fake), (heard, forgery.audio_fake)) if fake and length]
    return max(lengths, default=inf) + 1 / spec.fps


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
