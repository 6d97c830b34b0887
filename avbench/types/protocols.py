"""A protocol: what is trained on, what is judged, and every detail that makes the number honest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from avbench.hashing import digest_of
from avbench.types.values import Placement


@dataclass(frozen=True, slots=True)
class Protocol:
    """A frozen description of one evaluation.

    `train` and `test` name datasets. `placements` are the clip placements to report, the first one the headline
    (empty: "oracle", and "sliding" too where the test database is forged locally). `fold` picks the identity fold of
    databases without a split. `strict_identity` drops test fakes that name a training identity. `test_on="all"`
    judges every sample of the test database. `trim_silence` drops the leading silence of every video, in training as
    in the test; see `avbench.data.silence`. `perturbations` (names or sets of them) and `levels` perturb the test
    videos; see `perturbed`.
    """

    name: str
    version: int
    train: str
    test: str
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

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        return asdict(self)

    def digest(self) -> str:
        """Return a hash of everything that shapes the result (not titles)."""
        shaping = {k: v for k, v in asdict(self).items() if k != "title"}
        # Protocols that have none of these keep the hash they had before these were.
        for name in ("perturbations", "levels", "trim_silence"):
            if not shaping[name]:
                del shaping[name]
        return digest_of(shaping)
