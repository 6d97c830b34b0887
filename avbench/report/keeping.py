"""Cards and scores of runs, copied for others to read: all that their numbers need, and no path of the machine."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from avbench.errors import UserError
from avbench.records.card import Card
from avbench.records.card_file import NAME, plain
from avbench.records.run import SCORES, Run

_KEPT = {NAME, SCORES}
# An absolute path, one below somebody's home, or one that leaves the folder it starts in, as a word of a text.
_ROOTED = r"(?:~[\w.-]*|\.\.|[A-Za-z]:)?[/\\]"
_WHOLE = re.compile(rf"(?P<before>[\w.-]*=)?(?P<path>{_ROOTED}(?![/\\]).*)")
_WITHIN = re.compile(rf"(?<![\w.~/\\-]){_ROOTED}(?:[^\s/\\'\",;=()\[\]<>|]+[/\\]?)+")


def keep(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Copy card and scores of each finished run into `folder`/runs/<id> and return these folders.

    What an earlier call copied and is not among the runs any more is removed. Raises UserError where the runs
    themselves lie there.
    """
    below = folder / "runs"
    for run in runs:
        run.require_finished()
        if run.folder.resolve().parent == below.resolve():
            raise UserError(f"{below}: the runs lie there themselves; name another folder to copy them into")
    wanted = {run.id for run in runs}
    for earlier in below.glob("*/"):
        if earlier.name not in wanted and {path.name for path in earlier.iterdir()} == _KEPT:
            shutil.rmtree(earlier)
    made = []
    for run in runs:
        (below / run.id).mkdir(parents=True, exist_ok=True)
        without_paths(run.card).save(below / run.id)
        shutil.copyfile(run.folder / SCORES, below / run.id / SCORES)
        made.append(below / run.id)
    return made


def without_paths(card: Card) -> Card:
    """Return the card with each path of the machine cut down to its last name; relative ones stay."""
    return Card.of(_stripped(plain(card)), card.id)


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {_named(key): _stripped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_stripped(one) for one in value]
    return _named(value) if isinstance(value, str) else value


def _named(text: str) -> str:
    """Return a text without paths: it may be one, KEY=PATH, or have some in it."""
    for place, short in ((str(Path.cwd()), "."), (str(Path.home()), "~")):  # names in them may have spaces
        if len(place) > 1:
            text = text.replace(place, short)
    text = text.replace("file://", "")
    if (whole := _WHOLE.fullmatch(text)) is not None:
        return f"{whole['before'] or ''}{_last(whole['path'])}"
    return _WITHIN.sub(lambda found: _last(found[0]), text)


def _last(path: str) -> str:
    kind = PureWindowsPath if "\\" in path else PurePath
    return kind(path).name or "."
