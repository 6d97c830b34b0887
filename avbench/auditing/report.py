"""An audit as a value: everything is measured once, judged, and kept as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from avbench import __version__
from avbench.auditing import balance, coverage, duplicates, leaks, modality, shortcuts
from avbench.auditing.modality import Untouched
from avbench.auditing.shortcuts import Shortcut
from avbench.auditing.subject import Subject
from avbench.auditing.verdicts import LEVELS, Verdict
from avbench.progress import Progress, silent

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found: `facts` are plain values, ready for JSON but for verdicts and shortcuts."""

    name: str
    demo: bool
    part: str
    verdicts: tuple[Verdict, ...]
    shortcuts: tuple[Shortcut, ...]
    untouched: tuple[Untouched, ...]
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "format": FORMAT,
            "avbench": __version__,
            "name": self.name,
            "demo": self.demo,
            "judged_on": self.part,
            "verdicts": [verdict.as_dict() for verdict in self.verdicts],
            "shortcuts": [shortcut.as_dict() for shortcut in self.shortcuts],
            "untouched": [one.as_dict() for one in self.untouched],
            **self.facts,
        }

    def count(self, level: str) -> int:
        """Return how many verdicts have a level."""
        return sum(verdict.level == level for verdict in self.verdicts)


def audit(subject: Subject, *, resamples: int = 1000, seed: int = 0, progress: Progress = silent) -> Audit:
    """Audit a subject; verdicts come worst first, in the order of the checks where they are equal."""
    populations = subject.populations()
    part = list(populations)[-1]
    judged = populations[part]
    found_leaks = leaks.leaks(subject)
    facts: dict[str, Any] = {
        "parts": {str(name): balance.balance(rows) for name, rows in subject.table.groupby("part", sort=False)},
        "databases": {
            name: {"title": base.title, "root": str(base.root), "identity_is": base.spec.identity_is}
            for name, base in subject.databases.items()
        },
        "protocol": {**subject.protocol.as_dict(), "digest": subject.protocol.digest()},
        "split_notes": list(subject.split.notes),
        "balance": balance.balance(judged),
        "ceilings": modality.ceilings(judged["forgery"]),
        "coverage": coverage.coverage(subject.table if subject.whole else judged),
        "duplicates": duplicates.duplicates(subject.table),
        "leaks": [leak.as_dict() for leak in found_leaks],
        "resamples": resamples,
        "seed": seed,
    }
    streams = [modality.untouched(judged, stream, resamples=resamples, seed=seed) for stream in ("audio", "video")]
    found = shortcuts.shortcuts(populations, resamples=resamples, seed=seed, progress=progress)
    verdicts = [
        *leaks.verdicts(found_leaks, subject),
        leaks.overlap_verdict(subject),
        duplicates.verdict(facts["duplicates"]),
        *shortcuts.verdicts(found, part),
        *(modality.untouched_verdict(one, part) for one in streams),
        balance.verdict(facts["balance"], part),
        modality.ceiling_verdict(facts["ceilings"], part),
        coverage.verdict(facts["coverage"]),
        balance.label_verdict(facts["balance"]),
        *_elsewhere(),
    ]
    verdicts.sort(key=lambda verdict: LEVELS.index(verdict.level))
    return Audit(subject.name, subject.demo, part, tuple(verdicts), tuple(found), tuple(streams), facts)


def _elsewhere() -> Iterator[Verdict]:
    """Yield the pitfalls that lie in detectors and runs, not in data, and who looks after them."""
    yield Verdict(
        "faces not found", (), "not checked", "an audit looks for no faces; cards count the reason no_face by class"
    )
    yield Verdict(
        "thresholds", (9,), "not applicable", "of detectors: cards hold Acc at one half and at the validation threshold"
    )
    yield Verdict(
        "perturbations that change nothing",
        (12,),
        "not applicable",
        "of sweeps: avbench perturb refuses them",
    )
    yield Verdict(
        "augmented validation", (15,), "not applicable", "of trainings: avbench augments training clips alone"
    )
