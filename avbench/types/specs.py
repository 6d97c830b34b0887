"""What plugins declare: detectors with presets and stages, datasets, metrics, perturbations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from avbench.types.settings import AnySettings, Count, Setting, ZeroOrMore
from avbench.types.values import TASKS, ClipSpec, Pooling, Stream, Task
from avbench.types.weights import WeightSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVELS = (0, 1, 2, 3, 4, 5)  # of a perturbation: the video as it is, then ever stronger


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a training: its recipe and which samples it sees. Every field can be `--set`.

    Of 0 `epochs` the detector is judged as it starts; a stage in which no parameter is trainable shows it every sample
    once an epoch, so that `loss` may keep what it counts in buffers.
    `batch` clips make one batch of the recipe and `accumulate` batches one optimiser step; `micro_batch` clips are on
    the device at a time (None: 4 on a CPU, the whole batch on a GPU). `drop_last` leaves an epoch's incomplete last
    batch out. `clip_norm` bounds the gradient norm (0: off); `clip_scaled` bounds the loss-scaled gradients, and those
    of each batch that is accumulated as soon as it is added, as some published code does. `precision` holds on a GPU;
    a CPU always computes in float32.
    """

    name: str = "train"
    samples: Literal["all", "real"] = "all"
    epochs: ZeroOrMore = 10
    batch: Count = 32
    accumulate: Count = 1
    micro_batch: Count | None = None
    drop_last: bool = True
    lr: float = 1e-4
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    clip_scaled: bool = False
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"


@dataclass(frozen=True, slots=True)
class Preset:
    """A named configuration of a detector: its input, its settings, its training stages.

    `settings` are a frozen dataclass, whose fields say types, choices and bounds (see avbench.settings), or a plain
    mapping, whose values are examples of their types. `for_dataset` holds settings that apply when training on that
    dataset; `switches` those that a boolean setting of that name brings along when it is true.
    """

    name: str = "default"
    clip: ClipSpec = ClipSpec()
    settings: AnySettings = field(default_factory=dict)
    stages: tuple[Stage, ...] = (Stage(),)
    for_dataset: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    switches: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    eval_batch: Count = 8


@dataclass(frozen=True, slots=True)
class EnsembleSettings:
    """The setting of a detector that is made of `members`: how their fake probabilities become one."""

    combine: Literal["mean", "max", "noisy_or", "logit_mean"] = "mean"


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """A detector as its plugin declares it; `load` is the "module:Class" that is imported when it is used.

    `requires` names the streams without which a sample has no score; a detector that requires one stream alone
    learns that stream's label. `members` makes an ensemble of other detectors: it has no class of its own, does the
    binary task, and its setting `combine` joins their scores (mean, max, noisy_or, logit_mean). `pooling` joins the
    clips of a video, unless `--set pooling=` says otherwise: it averages probabilities, their logits, or their odds (a
    distance d scored as d / (d + threshold) has odds d / threshold, so that distances are averaged), or it sums them
    over clips and takes the softmax (softmax_of_sum). The first preset is the default on demo data if it is
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
class PretrainingSpec:
    """A network that learns frame-level truth before detectors use it, as its plugin declares it.

    It learns the `annotation` of that name, in words `learns`, of any dataset that has it. `load` is the "module:Class"
    of an avbench.detector.Detector whose forward gives `aux["p"]`, the probability (B,T,N) of each of the annotation's
    N columns in each frame, and whose `labels(batch)` gives (B,T,N): 1, 0, or nan where unknown. Its stages can be
    asked for one by one. `labels` is the "module:function" (values (T,N), settings) -> (T,N) of 1, 0 and nan that says
    the same of a file's values; `loss` the "module:function" (network, p (B,T,N), labels (B,T,N)) -> the mean over
    known labels by which epochs of equal F1 are told apart; `settings` the "module:function" (settings, columns, rates)
    -> a mapping of the settings that a database decides, where rates is how often each column holds in training frames.
    Settings come as the presets declare them. Those named in `decided` cannot be `--set`. A clip is each frame in turn
    where `ClipSpec.frames` is 1, else one clip of a video an epoch. `file` is what a training leaves for detectors: the
    weights, `prefix` taken off their names; `used_by` tells the user how. A stage but the first, asked for alone, goes
    on from what the ones before taught, which the setting named `continues` gives.
    """

    name: str
    load: str
    annotation: str
    learns: str
    labels: str
    loss: str
    title: str = ""
    settings: str = ""
    decided: tuple[str, ...] = ()
    requires: frozenset[Stream] = frozenset({"video"})
    presets: tuple[Preset, ...] = (Preset(),)
    weights: tuple[WeightSpec, ...] = ()
    file: str = "encoder.safetensors"
    prefix: str = ""
    used_by: str = ""
    continues: str = ""
    paper: str = ""
    version: str = "1"

    @property
    def network(self) -> DetectorSpec:
        """Return what the training engine and the configuration take."""
        return DetectorSpec(
            name=self.name,
            load=self.load,
            title=self.title,
            tasks=("binary",),
            requires=self.requires,
            presets=self.presets,
            weights=self.weights,
            paper=self.paper,
            version=self.version,
        )


@dataclass(frozen=True, slots=True)
class AnnotationSpec:
    """Frame-level truth of a dataset, such as action units, phonemes or landmarks.

    `read` is the "module:function" (path: Path) -> avbench.series.Series, of as many values as there are `columns`;
    path is what `Sample.annotations` has under this `name`. `title` says what the values are.
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
    (folder: Path, progress, ...) -> root that holds their folders, `data_version` tells it from what was made before.
    `choices` are further arguments of `make` by name with their values, the usual one first; `made` is the
    "module:function" (folder) -> MadeData of a folder that `make` made, None for any other.
    `annotations` is its frame-level truth. A dataset without `forgery_labels` (real faces with other labels, all
    RARV) has no protocols.
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
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    made: str = ""
    data_version: str = ""
    annotations: tuple[AnnotationSpec, ...] = ()
    forgery_labels: bool = True
    licence: str = ""
    paper: str = ""


@dataclass(frozen=True, slots=True)
class MadeData:
    """What a folder says of the data that were made into it: their version, and in words what is unusual about them.

    `data_version` differs for each version and choice; `choice` is empty for data of today's version made as usual.
    `at` is when they were finished, in ns since 1970, None where nobody knows: a file that was changed later is not
    theirs any more, and counts by its own size and time.
    """

    data_version: str
    choice: str = ""
    at: int | None = field(default=None, compare=False)


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

    `load` is the "module:function" (data, parameter, context) -> data; context is an avbench.types.Context. What data
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


@dataclass(frozen=True, slots=True)
class Context:
    """What a perturbation knows beside its data: its own random numbers, the sound's rate in Hz, other voices.

    Voices are mono sounds at that rate. `note` keeps a number about what was done, such as a bitrate.
    """

    random: np.random.Generator
    rate: int = 0
    voices: tuple[NDArray[np.float32], ...] = ()
    notes: dict[str, float] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        """Keep a measured value; the last one of that name counts."""
        self.notes[name] = value
