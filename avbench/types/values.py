"""The values that travel through avbench: labels, samples, clips, batches, outputs.

Shape letters used everywhere: B clips, T frames, C channels, H W pixels, S sound samples, M mel bands,
L features, K classes. Score up = fake; 1 = fake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from avbench.types.former import FORMER_CLIP_FIELDS, accepting
from avbench.types.settings import Count, Range, ZeroOrMore

if TYPE_CHECKING:
    import torch

Task = Literal["binary", "four_class"]
Stream = Literal["video", "audio"]
Placement = Literal["oracle", "sliding"]
PLACEMENTS: tuple[Placement, ...] = ("oracle", "sliding")
# What cards, protocols and commands of earlier versions say.
FORMER_PLACEMENTS: Mapping[str, Placement] = {"labelled": "oracle", "sweep": "sliding"}
Pooling = Literal["mean", "mean_logit", "mean_odds", "softmax_of_sum"]

TASKS: tuple[Task, ...] = ("binary", "four_class")
CLASSES: Mapping[Task, int] = {"binary": 2, "four_class": 4}


class Forgery(IntEnum):
    """The four classes; bit 0 says that the video is fake, bit 1 that the audio is."""

    RARV = 0
    RAFV = 1
    FARV = 2
    FAFV = 3

    @classmethod
    def of(cls, *, video_fake: bool, audio_fake: bool) -> Forgery:
        """Return the class of a pair of labels."""
        return cls(int(video_fake) + 2 * int(audio_fake))

    @property
    def video_fake(self) -> bool:
        """Whether the pictures are forged."""
        return bool(self & 1)

    @property
    def audio_fake(self) -> bool:
        """Whether the sound is forged."""
        return bool(self & 2)


class Reason(StrEnum):
    """Why a sample has no score."""

    MISSING_FILE = "missing_file"
    UNREADABLE = "unreadable"
    BAD_MEDIA = "bad_media"
    NO_VIDEO = "no_video"
    NO_AUDIO = "no_audio"
    NO_FACE = "no_face"
    TOO_SHORT = "too_short"
    PERIOD_MISSED = "period_missed"
    DECODER_CRASH = "decoder_crash"
    DECODER_TIMEOUT = "decoder_timeout"
    NOT_FINITE = "not_finite"
    OUT_OF_MEMORY = "out_of_memory"


# What may be otherwise next time: a file that is copied back, another load of the machine, other bounds.
PASSING = frozenset({Reason.MISSING_FILE, Reason.DECODER_TIMEOUT, Reason.OUT_OF_MEMORY})


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled video of a dataset, without a pixel.

    `id` is the path below the dataset's root, with forward slashes. `split` is "train", "validation" or "test", or
    "" where the database has no split of its own. `identity` is the person seen (or, where a database names none,
    the original video); `other_identities` are swap targets; `cluster` is what intervals resample (default: the
    identity); `stratum` is what identity folds balance. `fake_periods` are seconds; empty for a fake = all of it.
    `annotations` names files of frame-level truth (such as action units) beside the video. The first `skip` seconds
    of the file are left out: `frames` and `fake_periods` count from there.
    """

    id: str
    path: Path
    forgery: Forgery
    dataset: str = ""
    split: str = ""
    identity: str = ""
    other_identities: tuple[str, ...] = ()
    cluster: str = ""
    stratum: str = ""
    method: str = ""
    fake_periods: tuple[tuple[float, float], ...] = ()
    fps: float | None = None
    frames: int | None = None
    annotations: tuple[tuple[str, Path], ...] = ()
    skip: float = 0.0

    @property
    def duration(self) -> float | None:
        """Seconds of video, where the metadata tell."""
        return self.frames / self.fps if self.frames and self.fps else None


@accepting(FORMER_CLIP_FIELDS)
@dataclass(frozen=True, slots=True)
class ClipSpec:
    """What a detector wants to be fed.

    `frames` at `fps` as squares of `size` pixels (0 frames: no pictures), cut from the `region`; `audio_samples` at
    `sample_rate` (None: as long as the frames; may be longer; 0: no sound). Test clips start `hop` frames apart
    (None: end to end). `whole` makes one clip of the whole video, `frames` being the most it may have; with neither
    frames nor sound nothing is decoded, and a detector has what `ClipBatch.annotations` says of the file. A video
    with fewer than `min_frames` frames has no score (reason `too_short`); other short ones are padded with zeros.
    `annotations` are names of frame-level truth that the dataset declares: a clip then brings them along.
    """

    frames: ZeroOrMore = 25
    fps: Annotated[float, Range(above=0, max=1000)] = 25.0
    size: Annotated[int, Range(min=1, max=4096)] = 224
    region: Literal["frame", "face", "mouth"] = "frame"
    sample_rate: Annotated[int, Range(min=1, max=768_000)] = 16_000
    audio_samples: ZeroOrMore | None = None
    hop: Count | None = None
    whole: bool = False
    min_frames: ZeroOrMore = 1
    annotations: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """Sound samples of one clip."""
        if self.audio_samples is not None:
            return self.audio_samples
        return round(self.frames / self.fps * self.sample_rate)

    @property
    def seconds(self) -> float:
        """Length of one clip: that of its frames, or of its sound where there are no frames."""
        return self.frames / self.fps if self.frames else self.samples / self.sample_rate

    @property
    def hop_seconds(self) -> float:
        """Distance between the starts of neighbouring test clips."""
        return self.hop / self.fps if self.hop else self.seconds


@dataclass(slots=True)
class ClipBatch:
    """A batch as the harness hands it to a detector.

    video (B,T,C,H,W) uint8 RGB; audio (B,S) float32 in [-1,1]; frames (B,) and samples (B,) valid lengths; forgery
    (B,) int64 label of the clip; has_audio, has_video (B,) bool, False where a stream is missing; seed (B,) int64,
    the only source of randomness for augmentation; annotations: further tensors by name; ids: B sample ids.

    Always among the annotations, (B,) float32, is what the header says of the file: file_seconds, file_bytes,
    file_kbps (of all streams), file_fps and file_frames (0 without pictures). A perturbation leaves them as they are.
    They are for controls that show what gives a database away without a look at it. Beside them what
    `ClipSpec.annotations` asks for: (B,T,N) float32, aligned to the frames by presentation time, nan where unknown and
    behind the last frame.
    """

    video: torch.Tensor
    audio: torch.Tensor
    frames: torch.Tensor
    samples: torch.Tensor
    forgery: torch.Tensor
    has_audio: torch.Tensor
    has_video: torch.Tensor
    seed: torch.Tensor
    ids: tuple[str, ...]
    annotations: dict[str, torch.Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> ClipBatch:
        """Return the batch with `change` made to every tensor, annotations included."""
        # Told apart by what is no tensor, so that torch stays out of what only declares.
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        values |= {name: change(value) for name, value in values.items() if not isinstance(value, tuple | Mapping)}
        values["annotations"] = {name: change(value) for name, value in self.annotations.items()}
        return ClipBatch(**values)

    def to(self, device: torch.device | str) -> ClipBatch:
        """Return the batch with every tensor on `device`."""
        return self.each(lambda tensor: tensor.to(device, non_blocking=True))

    def part(self, first: int, last: int) -> ClipBatch:
        """Return clips first..last-1, as a view."""
        return replace(self.each(lambda tensor: tensor[first:last]), ids=self.ids[first:last])

    def take(self, rows: Sequence[int]) -> ClipBatch:
        """Return the clips of these rows, in this order, as a copy."""
        chosen = list(rows)
        return replace(self.each(lambda tensor: tensor[chosen]), ids=tuple(self.ids[row] for row in chosen))


@dataclass(slots=True)
class Output:
    """What a detector says of a batch.

    logits (B,K), K = 2 (real, fake) or 4 (RARV, RAFV, FARV, FAFV); or score (B,) in [0,1], up = fake, with the
    detector's own threshold at 0.5. p_video and p_audio (B,): probability that this stream is fake, where there are
    branches. aux: whatever the loss needs.
    """

    logits: torch.Tensor | None = None
    score: torch.Tensor | None = None
    p_video: torch.Tensor | None = None
    p_audio: torch.Tensor | None = None
    aux: dict[str, torch.Tensor] = field(default_factory=dict)
