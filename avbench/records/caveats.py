"""Caveats: what a reader must know before comparing a run's numbers with others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from avbench.types import Forgery, Stream


class Caveat(StrEnum):
    """The caveats without a parameter; those with one are texts that the functions below make."""

    DEMO_DATA = "demo data"
    EXTERNAL = "external"
    SELECTED_ON_TEST = "selected on test"
    EVERY_SAMPLE = "every sample of the test database"
    STRICT_IDENTITY = "strict identity"
    SILENCE_TRIMMED = "leading silence trimmed"
    BALANCED = "balanced test list"
    BUGS_REPRODUCED = "published bugs reproduced"
    FEW_CLUSTERS = "few clusters"
    FROZEN_CLIPS = "frozen clips"
    SILENT_CLIPS = "silent clips"


_RANDOM_START = "random start: "
_DEMO_CHOICE = f"{Caveat.DEMO_DATA}: "


def demo_data_made(choice: str) -> str:
    """Return the caveat of demo data that are not the usual ones; it stands beside the one that they are demo data."""
    return f"{_DEMO_CHOICE}{choice}"


def demo_choice(caveats: Iterable[str]) -> str:
    """Return the choice that the caveat `demo_data_made` among these tells; empty without it."""
    return next((text.removeprefix(_DEMO_CHOICE) for text in caveats if text.startswith(_DEMO_CHOICE)), "")


def limited_to(count: int) -> str:
    """Return the caveat of training, validation and test lists of at most `count` videos."""
    return f"limited to {count}"


def test_list_limited_to(count: int) -> str:
    """Return the caveat of a test list of at most `count` videos."""
    return f"test list limited to {count}"


def random_start(parts: Sequence[str]) -> str:
    """Return the caveat of a training whose named parts start at random where the recipe starts from weights."""
    return f"{_RANDOM_START}{', '.join(parts)}"


def started_at_random(caveats: Iterable[str]) -> tuple[str, ...]:
    """Return the parts that the caveat `random_start` among these names; none without it."""
    found = [caveat.removeprefix(_RANDOM_START) for caveat in caveats if caveat.startswith(_RANDOM_START)]
    return tuple(part for parts in found for part in parts.split(", "))


def above_ceiling(stream: Stream) -> str:
    """Return the caveat of an AUC that one stream cannot honestly give."""
    return f"AUC above the ceiling of {stream} alone"


def tells_unseen(stream: Stream, forgery: Forgery) -> str:
    """Return the caveat of a detector of one stream that tells RARV from fakes of the other stream."""
    return f"{stream} alone tells {forgery.name} from RARV"
