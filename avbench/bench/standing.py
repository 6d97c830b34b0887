"""Whether a finished run still holds: what it was made of is there as it was, and nothing is left to try again."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from avbench.bench.resolving import ResolvedRun
from avbench.bench.spec import Computing
from avbench.data.lists import Say
from avbench.engine.parts import may_be_better
from avbench.errors import UserError
from avbench.records.card_file import NAME
from avbench.records.run import Run
from avbench.records.training import RECORD, WEIGHTS, FinishedTraining
from avbench.types import PASSING, Reason


@dataclass(frozen=True, slots=True)
class Standing:
    """A finished run; `holds` says that its command has nothing left to do, `remark` what a reader should know."""

    run: Run
    holds: bool
    remark: str = ""


def standing(folder: Path, resolved: ResolvedRun, computing: Computing) -> Standing | None:
    """Return how a run stands that is finished; None for one that is not, or is to be forgotten.

    Raises UserError where the folder holds another run, or scores that are not those that were measured.
    """
    if not (folder / NAME).is_file() or (computing.anew and _earlier(folder / NAME, computing)):
        return None
    found = Run.read(folder)
    if not found.finished:
        return None
    if found.id != resolved.id:
        raise UserError(f"{folder} holds run {found.id}; remove it, or repeat with --fresh")
    if not found.card.scores_sha256:  # every run of this version has it
        raise UserError(f"{folder / NAME} says no sha256 of its scores; repeat with --fresh")
    rows = found.scores[["id", "reason"]]
    if moved := _moved_since(found, resolved):
        return Standing(found, False, f"{moved} again since, so that it is judged again")
    again: Collection[Reason] = tuple(Reason) if computing.retry else PASSING
    failed = rows[rows["reason"].isin([str(reason) for reason in again])]
    paths = {sample.id: sample.path for sample in resolved.lists.split.test}
    told = ", ".join(f"{reason} {n}" for reason, n in failed.groupby("reason")["id"].nunique().items())
    if _earlier(folder / NAME, computing) and may_be_better(failed, paths, again):
        return Standing(found, False, f"videos without a score are tried again ({told})")
    return Standing(found, True, f"; without a score, and as before: {told}" if told else "")


def forget(folder: Path, resolved: ResolvedRun, computing: Computing, say: Say) -> None:
    """Remove the run, and the training, that earlier calls left, as far as this call asks for it."""
    plan = resolved.plan
    if computing.fresh_training and plan is not None and _earlier(plan.folder, computing):
        shutil.rmtree(plan.folder, ignore_errors=True)
    if not computing.anew or not _earlier(folder, computing):
        return
    shutil.rmtree(folder, ignore_errors=True)
    if plan is not None and (plan.folder / RECORD).is_file() and not computing.fresh_training:
        say(f"training {plan.id} is kept (--fresh-training makes it anew)")


def _earlier(path: Path, computing: Computing) -> bool:
    """Whether a file or folder is of an earlier call; one command may need a training, or a member's run, twice."""
    marks = [path / NAME, path / RECORD] if path.is_dir() else [path]
    times = [mark.stat().st_mtime for mark in marks if mark.is_file()]
    return path.exists() and all(time < computing.since for time in times)


def _moved_since(run: Run, resolved: ResolvedRun) -> str:
    """Say what behind a run was made again and came out otherwise; empty where all is as it was."""
    for member, note in zip(resolved.members, run.card.members, strict=False):
        folder = run.folder.parent / member.id
        found = Run.read(folder).card.scores_sha256 if (folder / NAME).is_file() else note.scores_sha256
        if found != note.scores_sha256:
            return f"its member {note.detector} was judged"
    record = FinishedTraining.load(resolved.plan.folder) if resolved.plan is not None else None
    before = run.card.training.files.get(WEIGHTS)
    if record is not None and before is not None and record.files.get(WEIGHTS, before) != before:
        return "its training was made"
    return ""
