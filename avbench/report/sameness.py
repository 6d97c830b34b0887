"""Whether a run that was computed again came out the same, what differs where it did not, and what may be why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from avbench.bench.changes import DATA, data_changed, differing
from avbench.records.card import Card
from avbench.records.run import SCORES, Run
from avbench.records.training import WEIGHTS
from avbench.report.compare import environment_that_differs, settings_that_differ
from avbench.report.verifying import measured_otherwise

SHOWN = 5  # values of each kind are told
_KEY = ["id", "placement", "start", "perturbation", "level"]
_ELSEWHERE = ("request.data", "data.", "weights", "detector.version")  # told as data or code, or a place alone
_NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Sameness:
    """Whether a run came out the same; in lines, how its results differ, and what differs of what they are made of."""

    same: bool
    results: tuple[str, ...]
    causes: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([f"came out {'the same' if self.same else 'otherwise'}", *self.results, *self.causes])


def sameness(before: Run, after: Run) -> Sameness:
    """Compare a run with the one that its card was followed to.

    It is the same where every row of the scores is, and every number that the card measured. Where the scores of the
    former are not there, its sha256 and the numbers decide.
    """
    scores_same, scores_told = _scores(before, after)
    numbers = _numbers(before.card, after.card)
    told = [f"scores: {scores_told}", f"numbers of the card: {numbers or 'all the same'}"]
    weights = [run.card.training.files.get(WEIGHTS) for run in (before, after)]
    if all(weights):
        told.append(f"weights of the training: {'the same bytes' if weights[0] == weights[1] else 'others'}")
    return Sameness(scores_same and not numbers, tuple(told), tuple(_causes(before, after)))


def _scores(before: Run, after: Run) -> tuple[bool, str]:
    """Return whether the scores are the same, and how they differ."""
    noted, found = before.card.scores_sha256, after.card.scores_sha256
    if noted and noted == found:
        return True, "the same bytes"
    if not (before.folder / SCORES).is_file():
        if noted and before.id == after.id:
            return False, "another sha256; those of before are not beside the card, so that nobody can say which differ"
        return True, "those of before are not beside the card, so that its numbers alone are compared"
    tables = [_by_clip(run) for run in (before, after)]
    alone = [len(one.index.difference(other.index)) for one, other in (tables, tables[::-1])]
    told = [f"{n:,} clips in the {which} run alone" for n, which in zip(alone, ("former", "new"), strict=True) if n]
    shared = tables[0].index.intersection(tables[1].index)
    first, second = (table.loc[shared] for table in tables)
    apart = (first["score"] - second["score"]).abs()
    if moved := int((apart > 0).sum()):
        told.append(f"{moved:,} of {len(shared):,} clips have another score, by up to {apart.max():.3g}")
    if one_sided := int((first["score"].isna() != second["score"].isna()).sum()):
        told.append(f"{one_sided:,} clips have a score in one run only")
    columns = [str(name) for name in first if name != "score"]
    others = {name for name in columns if name in second and not _equal(first[name], second[name])}
    others |= {*map(str, first)} ^ {*map(str, second)}
    if others:
        told.append(f"columns that differ too: {', '.join(sorted(others))}")
    return not told, "; ".join(told) or "every row the same; the file differs by the id of the run alone"


def _by_clip(run: Run) -> pd.DataFrame:
    """Return scores by clip; what has no score has no time, so that a number tells such rows of one video apart."""
    table = run.scores.assign(start=run.scores["start"].fillna(-1.0))
    key = [name for name in _KEY if name in table]
    number = table.groupby(key, dropna=False).cumcount()
    return table.assign(number=number).set_index([*key, "number"]).sort_index()


def _equal(one: pd.Series, other: pd.Series) -> bool:
    if pd.api.types.is_float_dtype(one) and pd.api.types.is_float_dtype(other):
        return bool(np.array_equal(one.to_numpy(float), other.to_numpy(float), equal_nan=True))
    return bool(one.equals(other))


def _numbers(before: Card, after: Card) -> str:
    """Say which numbers of a card differ, with their values, what is read first in front; empty for none."""
    found = {name: (there, now) for name, there, now in measured_otherwise(before, after)}
    found |= {name: (_NOTHING, now) for name, now, there in measured_otherwise(after, before) if there == _NOTHING}
    names = sorted(found, key=lambda name: (not name.endswith(".value"), name))
    told = [f"{name} {found[name][1]} was {found[name][0]}" for name in names]
    return f"{len(found)} differ: {_listed(told)}" if found else ""


def _causes(before: Run, after: Run) -> list[str]:
    """Say what differs of what a run is made of, by kind."""
    first, second = before.card, after.card
    names = differing(first.made_of, second.made_of) if first.made_of else []
    lists = [name for name in names if name.endswith(DATA)]
    what = data_changed(before, after, [name.removesuffix(DATA) for name in lists]) if lists else ""
    code = [] if first.made_of else ["not noted by the version that made the card"]
    others = [name for name in names if name not in lists]
    code += [f"{n} {second.made_of[n]} was {first.made_of[n]}" if n == "avbench" else n for n in others]
    if (version := second.detector.version) != first.detector.version:
        code.append(f"version of {first.detector.name} {version} was {first.detector.version}")
    settings = [one for one in settings_that_differ(first, second) if not one[0].startswith(_ELSEWHERE)]
    told = {
        "data": [f"{', '.join(lists)}{f' ({what})' if what else ''}"] if lists else [],
        "code and weights": code,
        "settings": [f"{name} {now} was {there}" for name, there, now in settings],
        "environment": [f"{name} {now} was {there}" for name, there, now in environment_that_differs(first, second)],
    }
    return [f"{kind} that differ: {_listed(some) if some else 'none'}" for kind, some in told.items()]


def _listed(told: Sequence[str]) -> str:
    more = len(told) - SHOWN
    return "; ".join(told[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
