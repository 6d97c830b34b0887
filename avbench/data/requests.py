"""One clip that is to be loaded, as it is or under a condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avbench.hashing import stable_hash
from avbench.media.placing import Place
from avbench.perturbations.conditions import Condition
from avbench.types import Forgery, Placement, Sample

VOICE_DRAWS = 8  # tries for each voice that is wanted, before fewer will do


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """One clip to load: whose it is, its own label, how it was placed and where, and the seed of its augmentation.

    Exactly one of `start` (seconds), `fraction` (of the room there is) and `centre` (seconds) is set; see `where`.
    `condition` perturbs the video; None leaves it as it is.
    """

    sample: Sample
    forgery: Forgery
    placement: Placement = "oracle"
    start: float | None = None
    fraction: float | None = None
    centre: float | None = None
    seed: int = 0
    condition: Condition | None = None

    @property
    def where(self) -> Place:
        """Return where the clip lies in its file."""
        given = (Place.start, self.start), (Place.fraction, self.fraction), (Place.centre, self.centre)
        places = [place(value, self.sample.skip) for place, value in given if value is not None]
        if len(places) != 1:
            raise ValueError(f"one of start, fraction and centre places a clip, not {[value for _, value in given]}")
        return places[0]

    @property
    def place(self) -> tuple[object, ...]:
        """Return what two requests have in common that ask for the same clip under different conditions."""
        return self.sample, self.placement, self.start, self.fraction, self.centre


def voices_for(condition: Condition, sample: Sample, speakers: Sequence[Sample]) -> Condition:
    """Return the condition with the files of other people that it mixes in, drawn by video and type alone.

    `speakers` are the test samples whose sound is real: forged voices would bring their own artefacts along. Every
    level draws the same.
    """
    chosen: dict[str, Path] = {}
    for number in range(VOICE_DRAWS * condition.spec.voices if speakers else 0):
        other = speakers[stable_hash(sample.id, condition.name, "voice", number) % len(speakers)]
        if other.identity != sample.identity and len(chosen) < condition.spec.voices:
            chosen.setdefault(other.id, other.path)
    return replace(condition, voices=tuple(chosen.values()))


def under(
    requests: Sequence[ClipRequest], conditions: Sequence[Condition | None], samples: Sequence[Sample]
) -> list[ClipRequest]:
    """Return each clip's request under each condition, those of one clip together; `samples` are the test list."""
    speakers = [sample for sample in samples if not sample.forgery.audio_fake]

    def given(condition: Condition | None, sample: Sample) -> Condition | None:
        return voices_for(condition, sample, speakers) if condition and condition.spec.voices else condition

    return [replace(request, condition=given(c, request.sample)) for request in requests for c in conditions]
