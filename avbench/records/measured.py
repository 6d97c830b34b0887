"""What is measured on a scores table, as a card holds it: values with intervals, confusion, counts, ceilings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from avbench.types import Stream


class Setting(NamedTuple):
    """Where a value is measured: a clip placement, and the granularity (per video or per clip)."""

    placement: str
    granularity: str

    @property
    def title(self) -> str:
        """Return the setting in words, such as `oracle, per video`."""
        return f"{self.placement}, per {self.granularity}"


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured value with its 95 % interval; None where undefined, and `note` says why.

    `n` rows in `clusters` clusters made it. The interval comes from `resamples` draws, of which `skipped` had no value.
    """

    value: float | None = None
    ci95: tuple[float, float] | None = None
    n: int | None = None
    clusters: int | None = None
    few_clusters: bool = False
    resamples: int = 0
    skipped: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts, true class by row and called class by column; `labels` name both."""

    labels: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ClipCounts:
    """How many clips of a placement have a score, and how many have none.

    `frozen` of the scored ones show, for a fifth of their time or more, a picture that stands in for damaged or missing
    ones; `silent` ones have sound in which nothing can be heard.
    """

    scored: int = 0
    unscored: int = 0
    frozen: int = 0
    silent: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """How many videos have a score, why the others have none, and of which class they are."""

    scored: int = 0
    unscored: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    by_class: Mapping[str, int] = field(default_factory=dict)
    unscored_by_class: Mapping[str, int] = field(default_factory=dict)
    clips: Mapping[str, ClipCounts] = field(default_factory=dict)  # by placement

    @property
    def total(self) -> int:
        """Return the number of videos of the test list."""
        return self.scored + self.unscored


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What a perfect detector of one stream would reach, judged like any other: fake if either stream is."""

    stream: Stream
    acc: float | None = None
    auc: float | None = None


@dataclass(frozen=True, slots=True)
class Blind:
    """How well RARV is told from fakes whose forged stream a detector never gets; an AUC of .5 is to be expected."""

    stream: Stream
    against: str
    auc: float | None = None
    ci95: tuple[float, float] | None = None
    n: int | None = None

    @property
    def measured(self) -> Measured:
        """Return the AUC with its interval."""
        return Measured(self.auc, self.ci95, self.n)


@dataclass(frozen=True, slots=True)
class Measurements:
    """All that is measured on a scores table: metrics by placement, granularity and name; the rest likewise."""

    metrics: Mapping[str, Mapping[str, Mapping[str, Measured]]]
    confusion: Mapping[str, Mapping[str, Confusion]]
    counts: Counts
    ceilings: Mapping[str, Mapping[str, Ceiling]] = field(default_factory=dict)
    blind: Mapping[str, Mapping[str, Blind]] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Strength:
    """How strongly a condition changed its clips: medians of PSNR and SNR in dB, of the bitrate in kbit/s.

    `unchanged` of `clips` scored clips came out as they were.
    """

    clips: int = 0
    unchanged: int = 0
    psnr: float | None = None
    snr: float | None = None
    kbps: float | None = None

    def medians(self) -> dict[str, float]:
        """Return the medians that there are, by name."""
        found = {"psnr": self.psnr, "snr": self.snr, "kbps": self.kbps}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class PerturbedLevel:
    """A perturbation at one level: its parameter, how strong it was, each metric and how far it fell from clean."""

    parameter: int | float = 0
    strength: Strength = Strength()
    metrics: Mapping[str, Measured] = field(default_factory=dict)
    drop: Mapping[str, Measured] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PerturbedType:
    """A type of perturbation: its levels, the mean of each metric over them, and the drop from clean to that mean."""

    title: str
    stream: str = ""
    unit: str = ""
    source: str = ""
    levels: Mapping[int, PerturbedLevel] = field(default_factory=dict)
    mean: Mapping[str, Measured] = field(default_factory=dict)
    drop: Mapping[str, Measured] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommonVideos:
    """How many videos have a score under every condition, and how many were left out for want of one."""

    n: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Robustness:
    """What becomes of AUC and Acc under perturbations, on the videos that have a score under every condition."""

    placement: str
    videos: CommonVideos = CommonVideos()
    clean: Mapping[str, Measured] = field(default_factory=dict)
    types: Mapping[str, PerturbedType] = field(default_factory=dict)
