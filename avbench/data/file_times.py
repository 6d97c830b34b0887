"""How long each media file has kept the loading processes of a run busy, and which are not opened again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from avbench.types import MediaError, MediaInfo, Reason

# Seconds of film for which a file may take as long again: one of high resolution is decoded at a tenth of its speed.
FILM = 30.0
# No second of film that is slow to decode is held in fewer bytes; a header may claim any length.
BYTES = 1000
# What one clip of a file may take, as a share of what a file of no length may.
CLIP = 0.2


@dataclass(slots=True)
class FileTimes:
    """Seconds by file, and why files are not opened again: they hung, or took longer than they may in all.

    A file may take `seconds`, and as much again for each `FILM` seconds of the film that it holds; a clip of it the
    share `CLIP` of `seconds`. A file that is over that time with a clip, and again in a process where it is alone, is
    given up.
    """

    seconds: float
    film: dict[Path, float] = field(default_factory=dict)
    spent: dict[Path, float] = field(default_factory=dict)
    given_up: dict[Path, MediaError] = field(default_factory=dict)

    @classmethod
    def after_probing(cls, seconds: float, files: Mapping[Path, MediaInfo | MediaError]) -> FileTimes:
        """Return the times of files of which this is known; what hung then is given up already."""
        film, lost = {}, {}
        for path, found in files.items():
            if isinstance(found, MediaInfo):
                film[path] = min(found.duration, found.bytes / BYTES)
            elif found.reason in (Reason.DECODER_TIMEOUT, Reason.OUT_OF_MEMORY):
                lost[path] = found
        return cls(seconds, film=film, given_up=lost)

    def allowed(self, path: Path) -> float:
        """Return the seconds that a file may take in all."""
        return self.seconds * (1 + self.film.get(path, 0.0) / FILM)

    def count(self, path: Path, seconds: float) -> None:
        """Note that a clip of a file took so long."""
        spent = self.spent[path] = self.spent.get(path, 0.0) + seconds
        if spent > self.allowed(path):
            text = f"its clips took {spent:.0f} s in all, more than it may; allow more with --file-seconds"
            self.give_up(path, MediaError(Reason.DECODER_TIMEOUT, f"{path}: {text}"))

    def give_up(self, path: Path, error: MediaError) -> None:
        """Open a file no more: its further clips fail as this one did."""
        self.given_up.setdefault(path, error)
