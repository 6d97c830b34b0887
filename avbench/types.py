"""The values that travel through avbench: labels, samples, clips, batches, outputs and what plugins declare.

Shape letters used everywhere: B clips, T frames, C channels, H W pixels, S sound samples, M mel bands,
L features, K classes. Score up = fake; 1 = fake. Nothing here imports torch, so that listing plugins is quick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Task = Literal["binary", "four_class"]
Stream = Literal["video", "audio"]
Placement = Literal["labelled", "sweep"]
Pooling = Literal["mean", "mean_logit", "mean_odds"]
Setting = str | int | float | bool | None

TASKS: tuple[Task, ...] = ("binary", "four_class")
CLASSES: Mapping[Task, int] = {"binary": 2, "four_class": 4}
LEVELS = (0, 1, 2, 3, 4, 5)  # of a perturbation: the video as it is, then ever stronger


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
    NO_VIDEO = "no_video"
    NO_AUDIO = "no_audio"
    NO_FACE = "no_face"
    TOO_SHORT = "too_short"
    DECODER_CRASH = "decoder_crash"
    DECODER_TIMEOUT = "decoder_timeout"


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled video of a dataset, without a pixel.

    `id` is the path below the dataset's root, with forward slashes. `split` is "train", "validation" or "test", or
    "" where the database has no split of its own. `identity` is the person seen (or, where a database names none,
    the original video); `other_identities` are swap targets; `cluster` is what intervals resample (default: the
    identity); `stratum` is what identity folds balance. `fake_periods` are seconds; empty for a fake = all of it.
    `targets` names files of frame-level truth (such as action units) beside the video. The first `skip` seconds of the
    file are left out: `frames` and `fake_periods` count from there.
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
    targets: tuple[tuple[str, Path], ...] = ()
    skip: float = 0.0

    @property
    def duration(self) -> float | None:
        """Seconds of video, where the metadata tell."""
        return self.frames / self.fps if self.frames and self.fps else None


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """What a detector wants to be fed.

    `frames` at `fps` as squares of `size` pixels (0 frames: no pictures), cut from the `region`; `sound_samples` at
    `sound_rate` (None: as long as the frames; may be longer; 0: no sound). Test clips start `hop` frames apart
    (None: end to end). `whole` makes one clip of the whole video, `frames` being the most it may have; with neither
    frames nor sound nothing is decoded, and a detector has what `ClipBatch.targets` says of the file. A video
    with fewer than `least_frames` frames has no score (reason `too_short`); other short ones are padded with zeros.
    `targets` are names of frame-level truth that the dataset declares: a clip then brings them along.
    """

    frames: int = 25
    fps: float = 25.0
    size: int = 224
    region: Literal["frame", "face", "mouth"] = "frame"
    sound_rate: int = 16_000
    sound_samples: int | None = None
    hop: int | None = None
    whole: bool = False
    least_frames: int = 1
    targets: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """Sound samples of one clip."""
        if self.sound_samples is not None:
            return self.sound_samples
        return round(self.frames / self.fps * self.sound_rate)

    @property
    def seconds(self) -> float:
        """Length of one clip: that of its frames, or of its sound where there are no frames."""
        return self.frames / self.fps if self.frames else self.samples / self.sound_rate

    @property
    def hop_seconds(self) -> float:
        """Distance between the starts of neighbouring test clips."""
        return self.hop / self.fps if self.hop else self.seconds


@dataclass(slots=True)
class ClipBatch:
    """A batch as the harness hands it to a detector.

    video (B,T,C,H,W) uint8 RGB; audio (B,S) float32 in [-1,1]; frames (B,) and samples (B,) valid lengths; forgery
    (B,) int64 label of the clip; heard, seen (B,) bool, False where a stream is missing; seed (B,) int64, the only
    source of randomness for augmentation; targets: further tensors by name; ids: B sample ids.

    Always among the targets, (B,) float32, is what the header says of the file: file_seconds, file_bytes, file_kbps (of
    all streams), file_fps and file_frames (0 without pictures). A perturbation leaves them as they are. They are for
    controls that show what gives a database away without a look at it. Beside them what `ClipSpec.targets` asks for:
    (B,T,N) float32, aligned to the frames by presentation time, nan where unknown and behind the last frame.
    """

    video: torch.Tensor
    audio: torch.Tensor
    frames: torch.Tensor
    samples: torch.Tensor
    forgery: torch.Tensor
    heard: torch.Tensor
    seen: torch.Tensor
    seed: torch.Tensor
    ids: tuple[str, ...]
    targets: dict[str, torch.Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str) -> ClipBatch:
        """Return the batch with every tensor on `device`."""
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)[:8]}
        return replace(self, **moved, targets={k: v.to(device) for k, v in self.targets.items()})

    def part(self, first: int, last: int) -> ClipBatch:
        """Return clips first..last-1, as a view."""
        cut = {f.name: getattr(self, f.name)[first:last] for f in fields(self)[:9]}
        return replace(self, **cut, targets={k: v[first:last] for k, v in self.targets.items()})

    def take(self, rows: Sequence[int]) -> ClipBatch:
        """Return the clips of these rows, in this order, as a copy."""
        chosen = list(rows)
        taken = {f.name: getattr(self, f.name)[chosen] for f in fields(self)[:8]}
        targets = {k: v[chosen] for k, v in self.targets.items()}
        return replace(self, **taken, ids=tuple(self.ids[row] for row in chosen), targets=targets)


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


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a training: its recipe and which samples it sees. Every field can be `--set`.

    Of 0 `epochs` the detector is judged as it starts; a stage in which no parameter is trainable shows it every sample
    once an epoch, so that `loss` may keep what it counts in buffers.
    `batch` clips make one batch of the recipe and `accumulate` batches one optimiser step; `micro_batch` clips are on
    the device at a time (None: 4 on a CPU, the whole batch on a GPU). `clip_norm` bounds the gradient norm (0: off);
    `clip_scaled` bounds the loss-scaled gradients, as some published code does. `precision` holds on a GPU; a CPU
    always computes in float32.
    """

    name: str = "train"
    samples: Literal["all", "real"] = "all"
    epochs: int = 10
    batch: int = 32
    accumulate: int = 1
    micro_batch: int | None = None
    lr: float = 1e-4
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    clip_scaled: bool = False
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"


@dataclass(frozen=True, slots=True)
class Preset:
    """A named configuration of a detector: its input, its settings, its training stages.

    `for_dataset` holds settings that apply when training on that dataset; `switches` those that a boolean setting of
    that name brings along when it is true.
    """

    name: str = "default"
    clip: ClipSpec = ClipSpec()
    settings: Mapping[str, Setting] = field(default_factory=dict)
    stages: tuple[Stage, ...] = (Stage(),)
    for_dataset: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    switches: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    eval_batch: int = 8


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """Published weights a detector can start from; `setting` is the setting that chooses them.

    `shipped` is the "package:file" of weights that come with the plugin; they are chosen by name, never by "auto".
    """

    name: str
    setting: str
    title: str
    url: str
    licence: str
    sha256: str = ""
    shipped: str = ""


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """A detector as its plugin declares it; `load` is the "module:Class" that is imported when it is used.

    `requires` names the streams without which a sample has no score; a detector that requires one stream alone
    learns that stream's label. `members` makes an ensemble of other detectors: it has no class of its own, does the
    binary task, and its setting `combine` joins their scores (mean, max, noisy_or, logit_mean). `pooling` joins the
    clips of a video: it averages probabilities, their logits, or their odds (a distance d scored as d / (d + threshold)
    has odds d / threshold, so that distances are averaged). The first preset is the default on demo data if it is
    called "demo", else on all data; see `default_preset`.
    """

    name: str
    load: str = ""
    title: str = ""
    summary: str = ""
    tasks: tuple[Task, ...] = TASKS
    requires: frozenset[Stream] = frozenset({"video", "audio"})
    presets: tuple[Preset, ...] = (Preset(),)
    members: tuple[str, ...] = ()
    pooling: Pooling = "mean"
    weights: tuple[WeightSpec, ...] = ()
    paper: str = ""
    version: str = "1"

    def __post_init__(self) -> None:
        if self.members:
            object.__setattr__(self, "tasks", ("binary",))

    def default_preset(self, *, demo: bool) -> Preset:
        """Return the preset "demo" on demo data where there is one, else the first that is not "demo"."""
        chosen = [p for p in self.presets if (p.name == "demo") == demo]
        return chosen[0] if chosen else self.presets[0]


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """Frame-level truth of a dataset, such as action units, phonemes or landmarks.

    `read` is the "module:function" (path: Path) -> avbench.targets.Series, of as many values as there are `columns`;
    path is what `Sample.targets` has under this `name`. `title` says what the values are.
    """

    name: str
    read: str
    columns: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A dataset as its plugin declares it.

    `scan` is the "module:function" (root: Path) -> iterable of Sample; `check` one (root) -> iterable of Finding;
    `train_identities` one (root, fold) -> identities of an official training list, or None. `folders` are the names
    looked for below `--data ROOT`. `identity_is` says what an identity of this database really is. A dataset with
    `stands_in_for` is used for those others when no data are given; `make` is its "module:function"
    (cache: Path, progress) -> root that holds their folders. `targets` is its frame-level truth. A dataset without
    `forgery_labels` (real faces with other labels, all RARV) has no protocols.
    """

    name: str
    title: str
    scan: str
    folders: tuple[str, ...] = ()
    summary: str = ""
    check: str = ""
    train_identities: str = ""
    identity_is: str = "speaker"
    locally_forged: bool = False
    stands_in_for: tuple[str, ...] = ()
    make: str = ""
    targets: tuple[TargetSpec, ...] = ()
    forgery_labels: bool = True
    licence: str = ""
    paper: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark of `avbench data check`: how bad, where, what."""

    level: Literal["error", "warning", "note"]
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric: `compute` is the "module:function" (table of one score per video) -> float; nan where undefined."""

    name: str
    title: str
    compute: str
    tasks: tuple[Task, ...] = TASKS
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True)
class PerturbationSpec:
    """A perturbation: `levels` are its parameter at levels 1 to 5, in `unit`; level 0 is the video as it is.

    `load` is the "module:function" (data, parameter, context) -> data; context is an avbench.perturb.Context. What data
    are depends on `stream`: "video" gives one picture (H,W,3) uint8 RGB, whole, before any crop, or with `whole_stream`
    an iterator of all av.VideoFrames, of which each must come back with its time; "audio" gives the whole sound (S,)
    float32, mono, at the file's own rate. Of "both", `load` is for pictures and `load_sound` for sound.
    `sets` are names that choose several at once; `by_name_alone` keeps it out of the sets of a whole stream and of all
    there are. `encoders` are codecs without which it cannot be computed. `voices` of other test videos are in the
    context. `source` says whose levels these are; empty: avbench's own.
    """

    name: str
    title: str
    load: str
    stream: Literal["video", "audio", "both"]
    levels: tuple[float, float, float, float, float]
    whole_stream: bool = False
    unit: str = ""
    source: str = ""
    sets: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()
    voices: int = 0
    load_sound: str = ""
    by_name_alone: bool = False
