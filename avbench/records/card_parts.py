"""The parts of a card that say where its numbers come from: detector, request, protocol, data, training, machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from avbench.protocol import Protocol
from avbench.types import Placement, Pooling, Stream


@dataclass(frozen=True, slots=True)
class DetectorPart:
    """The detector: name, version, where its plugin came from, its preset, what it is fed, how clips are pooled."""

    name: str
    title: str = ""
    version: str = ""
    source: str = ""
    preset: str = ""
    pooling: Pooling = "mean"
    requires: tuple[Stream, ...] = ()
    region: str = ""

    @property
    def shown(self) -> str:
        """Return the title, or the name where there is none."""
        return self.title or self.name


@dataclass(frozen=True, slots=True)
class MemberTraining:
    """What an ensemble's card says of a member's training; the rest stands in the card of the member's run."""

    id: str | None = None
    chosen_epoch: int | None = None
    selected_on: str | None = None
    parameters: int | None = None
    seconds: float | None = None
    weights: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an ensemble, the run that scored it, and the sha256 of its scores."""

    detector: str
    title: str = ""
    version: str = ""
    preset: str = ""
    pooling: Pooling = "mean"
    requires: tuple[Stream, ...] = ()
    run: str = ""
    training: MemberTraining | None = None
    scores_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, as far as it is needed to ask for it again; `data` are roots by database."""

    preset: str | None = None
    overrides: tuple[str, ...] = ()
    limit: int | None = None
    limit_test: int | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    checkpoint: str | None = None
    decoder: str = "pyav"
    from_scratch: bool = False
    hash_content: bool = False


@dataclass(frozen=True, slots=True)
class ProtocolRecord:
    """A protocol as it was followed: its fields, with the placements that it came to, and its digest."""

    name: str
    version: int = 1
    train: str = ""
    test: str = ""
    title: str = ""
    placements: tuple[Placement, ...] = ()
    fold: int = 1
    select_on: Literal["validation", "test"] = "validation"
    strict_identity: bool = False
    test_on: Literal["test", "all"] = "test"
    test_distribution: Literal["natural", "balanced"] = "natural"
    trim_silence: bool = False
    perturbations: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    digest: str = ""

    @classmethod
    def of(cls, protocol: Protocol, placements: tuple[Placement, ...]) -> ProtocolRecord:
        """Return the record of a protocol followed in these placements."""
        return cls(**{**protocol.as_dict(), "placements": placements}, digest=protocol.digest())

    def protocol(self) -> Protocol:
        """Return the protocol, to be followed again."""
        return Protocol(**{f.name: getattr(self, f.name) for f in fields(Protocol)})


@dataclass(frozen=True, slots=True)
class DataList:
    """One list of videos: its database, how many of each class, how many identities, a hash of the ids and classes.

    `data_version` says which demo data they are of; `inputs` is a hash of all that is known of them and their files.
    """

    dataset: str = ""
    title: str = ""
    demo: bool = False
    n: int = 0
    by_class: Mapping[str, int] = field(default_factory=dict)
    digest: str = ""
    identities: int | None = None
    identity_is: str = "identity"
    data_version: str = ""
    inputs: str = ""


@dataclass(frozen=True, slots=True)
class DataPart:
    """The lists of a run, None where it needs none, and what is known of identities that they share."""

    train: DataList | None = None
    validation: DataList | None = None
    test: DataList | None = None
    fold: int | None = None
    notes: tuple[str, ...] = ()
    target_identities_seen_in_training: int = 0
    dropped_by_strict_identity: int = 0
    identities_called_alike: int = 0
    training_fakes_naming_test_identities: int = 0

    def lists(self) -> dict[str, DataList]:
        """Return the lists that there are, by name."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: one for name, one in found.items() if one is not None}


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """The data that weights were trained on."""

    dataset: str = ""
    demo: bool = False
    data_version: str = ""
    fold: int | None = None
    n: int = 0
    digest: str = ""
    validation_digest: str = ""
    inputs: str = ""
    validation_inputs: str = ""


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """The training behind a run: its configuration, what it was trained on, the epoch that was chosen and by what.

    `trained_on` is "unknown" for weights and scores that do not tell, None where nothing is trained. `validation` are
    the measures of the chosen epoch, `threshold` the one fixed on validation data. `checkpoint` is the file of given
    weights. `without_clip` counts reasons of training and validation videos that gave no clip. `environments` are those
    it was computed in: one, or several where it was interrupted and went on in another, the last one last. `files` are
    the sha256 of what it left, by name; trainings of earlier versions have none.
    """

    id: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    trained_on: TrainedOn | str | None = None
    checkpoint: str = ""
    chosen_epoch: int | None = None
    selected_on: str = ""
    validation: Mapping[str, float | None] = field(default_factory=dict)
    threshold: float | None = None
    seconds: float | None = None
    clips_per_second: float | None = None
    without_clip: Mapping[str, int] = field(default_factory=dict)
    failed_files: Mapping[str, str] = field(default_factory=dict)
    parameters: int | None = None
    trainable: int | None = None
    reused: bool = False
    environments: tuple[Environment, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Git:
    """The commit of the checkout that computed, and whether it had changes; empty outside one."""

    commit: str = ""
    dirty: bool | None = None


@dataclass(frozen=True, slots=True)
class Processor:
    """The CPU: its model, the instruction set that torch chose, the BLAS of torch and NumPy, torch's oneDNN."""

    model: str = ""
    capability: str = ""
    blas: Mapping[str, str] = field(default_factory=dict)
    onednn: str = ""


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU, its libraries and how they are told to compute.

    `nondeterministic` names the operations that had no deterministic kernel, as far as they were met.
    """

    name: str = ""
    capability: str = ""
    cuda: str = ""
    cudnn: str = ""
    tf32_matmul: bool = False
    tf32_cudnn: bool = False
    deterministic: bool = False
    cudnn_deterministic: bool = False
    cudnn_benchmark: bool = False
    nondeterministic: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Environment:
    """Versions of packages, the machine, the command, the git state, and what decides the last digit of a sum.

    `threads` is None where torch computed nothing, `gpu` where none was used. `variables` are those of the process that
    steer the kernels, such as ATEN_CPU_CAPABILITY.
    """

    packages: Mapping[str, str] = field(default_factory=dict)
    machine: str = ""
    command: tuple[str, ...] = ()
    git: Git = Git()
    threads: int | None = None
    processor: Processor = Processor()
    gpu: Gpu | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def is_like(self, other: Environment) -> bool:
        """Whether both are the same but for the command and the operations that were met."""
        return self._lasting() == other._lasting()

    def _lasting(self) -> Environment:
        return replace(self, command=(), gpu=replace(self.gpu, nondeterministic=()) if self.gpu else None)


@dataclass(frozen=True, slots=True)
class Encoder:
    """The file that a pre-training leaves."""

    file: str
    sha256: str
